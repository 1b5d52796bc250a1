"""Answers of responders: what each proves; `openssl ocsp` gives some of them."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests.revocation_world import (
    DAY,
    HOUR,
    ISSUING,
    NOW,
    OCSP,
    OTHER,
    ROOT,
    STRANGER,
    certify,
    chain,
)
from throughway.model.revocation import Fault, Standing, Verdict
from throughway.pki.authority import KeyType, create_root
from throughway.pki.crl import SKEW
from throughway.pki.judgement import serial_of
from throughway.pki.ocsp import (
    LONGEST_GET,
    build_request,
    get_url,
    judge_ocsp,
    life_of,
    serials_of,
)
from throughway.pki.pem import build_certificate_pem, build_key_pem

CHAIN = chain()
LEAF, ISSUER = CHAIN.leaf.certificate, ISSUING.certificate
SIGNING = (ExtendedKeyUsageOID.OCSP_SIGNING,)
DELEGATE = certify("Responder", ISSUING, usages=SIGNING)
STATUS = ocsp.OCSPCertStatus
SECOND = timedelta(seconds=1)


def judged(answer: OCSP, nonce: bytes = b"") -> Verdict:
    return judge_ocsp(LEAF, ISSUER, answer.build(LEAF, ISSUING), NOW, nonce)


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (OCSP(), None, "says good"),
        (OCSP(status=STATUS.REVOKED), Fault.REVOKED, "keyCompromise"),
        (OCSP(status=STATUS.REVOKED, end=NOW - HOUR / 2), Fault.REVOKED, "revoked on"),
        (OCSP(status=STATUS.UNKNOWN), Fault.OCSP_UNKNOWN, "does not know"),
        (OCSP(end=NOW - HOUR / 2), Fault.OCSP_UNUSABLE, "was good until"),
        (OCSP(begin=NOW + HOUR), Fault.OCSP_UNUSABLE, "valid from"),
        (OCSP(begin=NOW + SKEW), None, "says good"),
        (OCSP(begin=NOW + SKEW + SECOND), Fault.OCSP_UNUSABLE, "valid from"),
        (OCSP(end=None), None, ""),
        (OCSP(begin=NOW - 2 * DAY, end=None), Fault.OCSP_UNUSABLE, "was good until"),
        (OCSP(about=ISSUER), Fault.OCSP_UNUSABLE, "another certificate"),
        (OCSP(delegate=DELEGATE), None, ""),
        (
            OCSP(delegate=certify("Server", ISSUING)),
            Fault.OCSP_UNTRUSTED,
            "Server may not sign OCSP responses",
        ),
        (
            OCSP(delegate=certify("Old", ISSUING, usages=SIGNING, end=NOW - HOUR)),
            Fault.OCSP_UNTRUSTED,
            "Old has expired",
        ),
        (
            OCSP(delegate=certify("Foreign", OTHER, usages=SIGNING)),
            Fault.OCSP_UNTRUSTED,
            "was not issued by Corp Issuing",
        ),
        (OCSP(delegate=STRANGER), Fault.OCSP_UNTRUSTED, "not signed by Corp Issuing"),
    ],
)
def test_what_an_answer_proves(answer: OCSP, fault: Fault | None, words: str) -> None:
    verdict = judged(answer)
    assert (verdict.fault, verdict.subject) == (fault, "da.example.com")
    assert words in verdict.why
    assert (verdict.standing is Standing.GOOD) is (fault is None)


def test_an_issuer_of_the_same_name_is_another_one() -> None:
    theirs = OCSP().build(LEAF, OTHER)
    assert judge_ocsp(LEAF, ISSUER, theirs, NOW).fault is Fault.OCSP_UNTRUSTED
    # Signed by the right key, about a certificate of the other one: its serial number is ours.
    crossed = ocsp.OCSPResponseBuilder().add_response(
        cert=LEAF,
        issuer=OTHER.certificate,
        algorithm=hashes.SHA256(),
        cert_status=STATUS.GOOD,
        this_update=NOW,
        next_update=None,
        revocation_time=None,
        revocation_reason=None,
    )
    crossed = crossed.responder_id(ocsp.OCSPResponderEncoding.NAME, ISSUER)
    data = crossed.sign(ISSUING.key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert judge_ocsp(LEAF, ISSUER, data, NOW).fault is Fault.OCSP_UNUSABLE


@pytest.mark.parametrize(
    ("said", "asked", "fault"),
    [
        (b"n" * 16, b"n" * 16, None),
        (b"n" * 16, b"m" * 16, Fault.OCSP_UNUSABLE),
        (b"", b"m" * 16, None),
        (b"n" * 16, b"", None),
    ],
)
def test_a_nonce_that_is_said_must_be_ours(said: bytes, asked: bytes, fault: Fault | None) -> None:
    assert judged(OCSP(nonce=said), asked).fault is fault


def test_a_nonce_proves_an_answer_new() -> None:
    old = OCSP(begin=NOW - 2 * DAY, end=None, nonce=b"n" * 16)
    assert judged(old, b"n" * 16).standing is Standing.GOOD
    assert judged(old).standing is Standing.UNKNOWN
    # What says until when it is good is believed in that.
    late = replace(old, end=NOW - HOUR)
    assert judged(late, b"n" * 16).standing is Standing.UNKNOWN


@pytest.mark.parametrize("data", [b"", b"no answer", b"\x30\x03\x0a\x01\x06", bytes(64)])
def test_what_is_no_answer(data: bytes) -> None:
    assert judge_ocsp(LEAF, ISSUER, data, NOW).fault is Fault.OCSP_UNUSABLE
    assert life_of(data) is None
    assert list(serials_of(data)) == []


def with_pss(data: bytes) -> bytes:
    """Return the answer with RSASSA-PSS named, which its signature is not."""
    return data.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d01010a"))


def test_rsa() -> None:
    root = create_root("RSA Root", NOW - DAY, key_type=KeyType.RSA2048)
    leaf = certify("x", root).certificate
    assert isinstance(root.key, rsa.RSAPrivateKey)
    data = OCSP().build(leaf, root)
    assert judge_ocsp(leaf, root.certificate, data, NOW).standing is Standing.GOOD
    assert judge_ocsp(leaf, root.certificate, with_pss(data), NOW).standing is Standing.UNKNOWN


def test_a_question() -> None:
    request = build_request(LEAF, ISSUER)
    assert get_url("http://ocsp.example.com/", request).startswith("http://ocsp.example.com/MF")
    assert "//" not in get_url("http://ocsp.example.com/", request).removeprefix("http://")
    long = build_request(LEAF, ISSUER, b"n" * LONGEST_GET)
    assert get_url("http://ocsp.example.com/", long) == ""
    assert ocsp.load_der_ocsp_request(request.der).serial_number == LEAF.serial_number


GOOD = OCSP(delegate=DELEGATE).build(LEAF, ISSUING)


def test_life_and_serials_of_an_answer() -> None:
    assert life_of(GOOD) == (NOW - HOUR, NOW + DAY)
    assert life_of(OCSP(end=None).build(LEAF, ISSUING)) == (NOW - HOUR, NOW - HOUR + DAY)
    assert list(serials_of(GOOD)) == [LEAF.serial_number]


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.booleans())
def test_a_damaged_answer_is_judged_and_proves_nothing_else(
    at: int, change: int, cut: bool
) -> None:
    """Bytes outside of what is signed may change; what is said stays what was signed."""
    data = GOOD[:at] if cut else GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    verdict = judge_ocsp(LEAF, ISSUER, data, NOW)
    assert verdict.standing is not Standing.REVOKED
    assert verdict.standing is Standing.UNKNOWN or not cut


class OpenSSL:
    """`openssl ocsp` as the responder's signer, working on files."""

    def __init__(self, folder: Path, *, responder: str, revoked: bool = False) -> None:
        self.folder, self.responder = folder, responder
        for stem, each in (("issuing", ISSUING), ("delegate", DELEGATE), ("root", ROOT)):
            (folder / f"{stem}.crt").write_bytes(build_certificate_pem(each.certificate))
            (folder / f"{stem}.key").write_bytes(build_key_pem(each.key))
        (folder / "leaf.crt").write_bytes(build_certificate_pem(LEAF))
        end = (NOW + 90 * DAY).strftime("%y%m%d%H%M%SZ")
        at = (NOW - HOUR).strftime("%y%m%d%H%M%SZ,keyCompromise") if revoked else ""
        state = "R" if revoked else "V"
        serial = serial_of(LEAF)
        line = f"{state}\t{end}\t{at}\t{serial}\tunknown\t/CN=da.example.com\n"
        (folder / "index.txt").write_text(line)

    def answer(self, request: bytes, *options: str) -> bytes:
        (self.folder / "request.der").write_bytes(request)
        subprocess.run(
            (
                *("openssl", "ocsp", "-index", "index.txt", "-CA", "issuing.crt"),
                *("-rsigner", f"{self.responder}.crt", "-rkey", f"{self.responder}.key"),
                *("-reqin", "request.der", "-respout", "answer.der", *options),
            ),
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
        return (self.folder / "answer.der").read_bytes()


@pytest.mark.parametrize("responder", ["issuing", "delegate"])
@pytest.mark.parametrize("revoked", [False, True])
def test_answers_of_openssl(tmp_path: Path, responder: str, revoked: bool) -> None:
    openssl = OpenSSL(tmp_path, responder=responder, revoked=revoked)
    nonce = b"a nonce of ours."
    data = openssl.answer(build_request(LEAF, ISSUER, nonce).der, "-ndays", "1")
    # OpenSSL's clock: the tests' own stands still since they began.
    now = datetime.now(UTC)
    verdict = judge_ocsp(LEAF, ISSUER, data, now, nonce)
    assert verdict.standing is (Standing.REVOKED if revoked else Standing.GOOD)
    other = judge_ocsp(LEAF, ISSUER, data, now, b"another nonce.")
    assert other.fault is Fault.OCSP_UNUSABLE


def test_openssl_verifies_what_we_sign(tmp_path: Path) -> None:
    """The answers that these tests make are not only to our own liking."""
    OpenSSL(tmp_path, responder="issuing")
    (tmp_path / "ours.der").write_bytes(GOOD)
    answer = subprocess.run(
        (
            *("openssl", "ocsp", "-issuer", "issuing.crt", "-cert", "leaf.crt", "-no_nonce"),
            *("-respin", "ours.der", "-CAfile", "root.crt", "-verify_other", "issuing.crt"),
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "leaf.crt: good" in answer.stdout, answer.stderr
    assert "Response verify OK" in answer.stderr
