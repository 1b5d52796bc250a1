"""What certificates prove, judged at given moments."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from throughway.pki import judgement
from throughway.pki.authority import (
    Credential,
    Profile,
    create_root,
    issue,
)
from throughway.pki.judgement import Usage, Validity

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = create_root("Corp Root", NOW)
OTHER_ROOT = create_root("Other Root", NOW)
GATEWAY = issue(
    ROOT,
    Profile.GATEWAY,
    ["da.example.com", "*.da.example.com", "2001:db8::1"],
    now=NOW,
    days=100,
    crl_url="http://crl.example.com/ca.crl",
).certificate
COMPUTER = issue(ROOT, Profile.COMPUTER, ["client1.corp.example.com"], now=NOW).certificate


def signed(issuer: Credential, subject: str, *, ca: bool, length: int | None) -> Credential:
    """Issue by hand what the authority would never issue."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        issuer.certificate.subject,
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]),
        key.public_key(),
        x509.random_serial_number(),
        NOW,
        NOW + timedelta(days=50),
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
    return Credential(key, builder.sign(issuer.key, hashes.SHA256()))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-1, Validity.NOT_YET_VALID),
        (0, Validity.VALID),
        (39, Validity.VALID),
        (40, Validity.EXPIRES_SOON),
        (69, Validity.EXPIRES_SOON),
        (70, Validity.EXPIRES_VERY_SOON),
        (99, Validity.EXPIRES_VERY_SOON),
        (100, Validity.EXPIRED),
    ],
)
def test_validity(days: int, expected: Validity) -> None:
    now = NOW + timedelta(days=days)
    assert judgement.validity(GATEWAY, now) is expected
    assert judgement.in_force(GATEWAY, now) is (0 <= days < 100)


def test_describe() -> None:
    fact = judgement.describe(GATEWAY, NOW)
    assert fact.subject == "da.example.com"
    assert fact.issuer == "Corp Root"
    assert fact.names == ("da.example.com", "*.da.example.com", "2001:db8::1")
    assert fact.usages == (Usage.SERVER,)
    assert fact.days_left == 100
    assert fact.crl_urls == ("http://crl.example.com/ca.crl",)
    assert int(fact.serial, 16) == GATEWAY.serial_number
    assert judgement.describe(GATEWAY, NOW + timedelta(days=101)).days_left == -1


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("da.example.com", True),
        ("DA.Example.Com", True),
        ("x.da.example.com", True),
        ("a.b.da.example.com", False),
        (".da.example.com", False),
        ("example.com", False),
        ("2001:db8:0::1", True),
        ("2001:db8::2", False),
    ],
)
def test_covers(host: str, covered: bool) -> None:
    assert judgement.covers(GATEWAY, host) is covered


def test_the_common_name_alone_covers_nothing() -> None:
    bare = signed(ROOT, "da.example.com", ca=False, length=None).certificate
    assert not judgement.covers(bare, "da.example.com")


def test_responders_are_read() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (x509.oid.AuthorityInformationAccessOID.OCSP, "http://ocsp.example.com/"),
            (x509.oid.AuthorityInformationAccessOID.CA_ISSUERS, "http://crl.example.com/ca.crt"),
        )
    ]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
    builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    assert judgement.ocsp_urls(certificate) == ("http://ocsp.example.com/",)
    assert judgement.crl_urls(certificate) == ()


@pytest.mark.parametrize(
    ("serial", "shown"), [(1, "01"), (0xABC, "0ABC"), (0xABCD, "ABCD"), (1 << 152, "01" + 38 * "0")]
)
def test_serials_are_whole_bytes(serial: int, shown: str) -> None:
    assert judgement.hex_of(serial) == shown


def test_usages() -> None:
    assert judgement.allows(COMPUTER, Usage.CLIENT)
    assert not judgement.allows(COMPUTER, Usage.SERVER)
    assert not judgement.allows(GATEWAY, Usage.CLIENT)
    unrestricted = signed(ROOT, "x", ca=False, length=None).certificate
    assert judgement.allows(unrestricted, Usage.CLIENT)


def test_chain_to_the_anchor() -> None:
    fact = judgement.chain(COMPUTER, [OTHER_ROOT.certificate, ROOT.certificate], NOW)
    assert fact.trusted
    assert fact.path == ("client1.corp.example.com", "Corp Root")


def test_chain_to_nowhere_says_why() -> None:
    fact = judgement.chain(COMPUTER, [OTHER_ROOT.certificate], NOW)
    assert not fact.trusted
    assert "Corp Root" in fact.why


def test_chain_through_an_intermediate() -> None:
    root = create_root("Corp Root", NOW)
    top = signed(root, "Top", ca=True, length=1)
    issuing = signed(top, "Issuing", ca=True, length=0)
    leaf = signed(issuing, "leaf", ca=False, length=None).certificate
    between = [issuing.certificate, top.certificate]
    assert not judgement.chain(leaf, [top.certificate], NOW).trusted
    assert judgement.chain(leaf, [top.certificate], NOW, between).trusted
    # create_root's own path length is 0: nothing below it may issue.
    assert not judgement.chain(leaf, [root.certificate], NOW, between).trusted


def test_a_leaf_cannot_issue() -> None:
    fake = signed(signed(ROOT, "leaf", ca=False, length=None), "evil", ca=False, length=None)
    leaf = signed(ROOT, "leaf", ca=False, length=None)
    assert not judgement.chain(
        fake.certificate, [ROOT.certificate], NOW, [leaf.certificate]
    ).trusted


def test_an_issuer_of_the_same_name_but_another_key_is_not_the_issuer() -> None:
    namesake = create_root("Corp Root", NOW)
    assert not judgement.chain(COMPUTER, [namesake.certificate], NOW).trusted
    assert judgement.chain(COMPUTER, [namesake.certificate, ROOT.certificate], NOW).trusted


def test_an_expired_link_breaks_the_chain() -> None:
    fact = judgement.chain(GATEWAY, [ROOT.certificate], NOW + timedelta(days=101))
    assert (fact.trusted, fact.why) == (False, "da.example.com is expired")
    old_root = create_root("Old", NOW, days=10)
    top = issue(old_root, Profile.SERVER, ["a.example"], now=NOW, days=500).certificate
    fact = judgement.chain(top, [old_root.certificate], NOW + timedelta(days=11))
    assert not fact.trusted
