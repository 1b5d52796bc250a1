"""The judge says of each fault what OpenSSL says of it in a handshake."""

import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from tests.net.iphttps_world import CLIENT_FAULTS, Authority, Pair
from throughway.net.certificate_judge import CertificateJudge
from throughway.net.tls import Credentials
from throughway.proto.iphttps.adc import Verdict


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.pem)


def judged(folder: Path, fault: str) -> tuple[Verdict, Pair]:
    authority = Authority(folder)
    own = fault if fault in ("untrusted", "expired", "not yet valid", "wrong usage") else ""
    pair = authority.client(own)
    revoked = (pair,) if fault == "revoked" else ()
    crl = authority.list_revoked(*revoked, ends=-1 if fault == "old list" else 1)
    if fault == "no list":
        (other := folder / "third").mkdir()
        crl = Authority(other, "Third Root").list_revoked()
    judge = CertificateJudge(Credentials(client_ca=authority.root.pem, client_crls=crl.read_text()))
    return judge(der(pair)), pair


def test_a_good_one_is_known_again(tmp_path: Path) -> None:
    verdict, pair = judged(tmp_path, "")
    assert verdict == Verdict(
        subject="CN=client1.corp.example.com",
        fingerprint=hashlib.sha256(der(pair)).hexdigest(),
        serial=f"{x509.load_der_x509_certificate(der(pair)).serial_number:X}",
    )


@pytest.mark.parametrize("fault", [fault for fault in CLIENT_FAULTS if fault != "none"])
def test_a_fault_is_named(fault: str, tmp_path: Path) -> None:
    verdict, _ = judged(tmp_path, fault)
    assert verdict.problem == CLIENT_FAULTS[fault]
    assert verdict.subject == "CN=client1.corp.example.com"
    assert verdict.why


def test_without_lists_revocation_is_not_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    judge = CertificateJudge(Credentials(client_ca=authority.root.pem))
    assert judge(der(authority.client())).problem == ""


def test_what_is_no_certificate_is_not_trusted(tmp_path: Path) -> None:
    judge = CertificateJudge(Credentials(client_ca=Authority(tmp_path).root.pem))
    for data in (b"", b"\x30\x03\x02\x01\x01", bytes(100)):
        assert judge(data).problem == "iphttps-client-cert-untrusted"


def test_an_older_list_takes_nothing_away(tmp_path: Path) -> None:
    """Both may be named in client_crls, in any order."""
    authority = Authority(tmp_path)
    pair, other = authority.client(), authority.client()
    old, new = authority.list_revoked().read_text(), authority.list_revoked(pair).read_text()
    for lists in (old + new, new + old):
        judge = CertificateJudge(Credentials(client_ca=authority.root.pem, client_crls=lists))
        assert judge(der(pair)).problem == "iphttps-client-cert-revoked"
        assert judge(der(other)).problem == ""


def test_an_authority_may_have_a_new_key(tmp_path: Path) -> None:
    """Two anchors of one name, each with its list, while certificates of both are out."""
    (tmp_path / "new").mkdir()
    authorities = (Authority(tmp_path), Authority(tmp_path / "new"))
    anchors = "".join(authority.root.pem for authority in authorities)
    lists = "".join(authority.list_revoked().read_text() for authority in authorities)
    judge = CertificateJudge(Credentials(client_ca=anchors, client_crls=lists))
    for authority in authorities:
        assert judge(der(authority.client())).problem == ""
