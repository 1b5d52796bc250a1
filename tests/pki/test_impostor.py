"""Who shows a certificate that is not the gateway's."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from throughway.pki import authority
from throughway.pki.impostor import INSPECTORS, unmasked

HOST = "da.example.com"
UNTRUSTED, MISMATCH = "iphttps-cert-untrusted-root", "iphttps-cert-name-mismatch"


def chain(issuer: str, name: str) -> tuple[bytes, ...]:
    now = datetime.now(UTC)
    root = authority.create_root(issuer, now - timedelta(days=1))
    made = authority.certify(
        root,
        authority.Profile.GATEWAY,
        (name,),
        authority.generate_key(authority.KeyType.P256).public_key(),
        now=now,
        life=timedelta(days=1),
    )
    return made.public_bytes(Encoding.DER), root.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("problem", "issuer", "name", "behind"),
    [
        (UNTRUSTED, "Zscaler Intermediate", HOST, "iphttps-tls-inspected"),
        (UNTRUSTED, "Home Security Inspection", HOST, "iphttps-tls-inspected"),
        (UNTRUSTED, "Corp Root", HOST, UNTRUSTED),
        (UNTRUSTED, "Corp Root", "fritz.box", "iphttps-wrong-server"),
        (MISMATCH, "Corp Root", "www.example.com", MISMATCH),
        (MISMATCH, "Corp Root", "www.shop.test", "iphttps-wrong-server"),
        ("iphttps-cert-expired", "Zscaler", "www.shop.test", "iphttps-cert-expired"),
    ],
)
def test_what_lies_behind(problem: str, issuer: str, name: str, behind: str) -> None:
    assert unmasked(problem, chain(issuer, name), HOST) == behind


@pytest.mark.parametrize("shown", [(), (b"no certificate",)])
def test_what_cannot_be_read_stays_what_it_was(shown: tuple[bytes, ...]) -> None:
    assert unmasked(UNTRUSTED, shown, HOST) == UNTRUSTED


def test_authorities_of_people_are_none_of_inspectors() -> None:
    for name in ("DigiCert Global Root G2", "ISRG Root X1", "Contoso Corp CA", "lab-root"):
        assert not INSPECTORS.search(name)
