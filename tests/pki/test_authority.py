"""The authority, held against what OpenSSL says of its certificates."""

import ipaddress
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from throughway.model.errors import ConfigError, TrustError
from throughway.pki import authority, pem
from throughway.pki.authority import Credential, KeyType, Profile, Revoked
from throughway.pki.computer_certificate import IKE_INTERMEDIATE

NOW = datetime.now(UTC).replace(microsecond=0)  # OpenSSL judges by the real clock
ROOT = authority.create_root("Corp Root", NOW)
CRL_URL = "http://crl.example.com/ca.crl"


def issued(profile: Profile, name: str, key_type: KeyType = KeyType.P256) -> Credential:
    return authority.issue(ROOT, profile, [name], now=NOW, key_type=key_type, crl_url=CRL_URL)


def verify(folder: Path, credential: Credential, *options: str, revoked: int = 1) -> str:
    """Return what `openssl verify` says, with a CRL that lists the serial."""
    crl = authority.build_crl(
        ROOT, [Revoked(revoked, NOW)], number=1, now=NOW, next_update=NOW + timedelta(days=7)
    )
    (folder / "root.crt").write_bytes(pem.build_certificate_pem(ROOT.certificate))
    (folder / "x.crt").write_bytes(pem.build_certificate_pem(credential.certificate))
    (folder / "crl.pem").write_bytes(pem.build_crl_pem(crl))
    command = "openssl verify -x509_strict -crl_check -CAfile root.crt -CRLfile crl.pem"
    answer = subprocess.run(
        [*command.split(), *options, "x.crt"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout + answer.stderr


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> object:
    return certificate.extensions.get_extension_for_class(kind).value


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize(
    ("profile", "purpose", "wrong_purpose"),
    [
        (Profile.GATEWAY, "sslserver", "sslclient"),
        (Profile.COMPUTER, "sslclient", "sslserver"),
        (Profile.SERVER, "sslserver", "sslclient"),
    ],
)
def test_openssl_accepts_each_profile_for_its_purpose_only(
    tmp_path: Path, profile: Profile, purpose: str, wrong_purpose: str, key_type: KeyType
) -> None:
    credential = issued(profile, "da.example.com", key_type)
    name = ("-verify_hostname", "da.example.com")
    assert verify(tmp_path, credential, "-purpose", purpose, *name) == "x.crt: OK\n"
    assert "purpose" in verify(tmp_path, credential, "-purpose", wrong_purpose)
    assert "mismatch" in verify(tmp_path, credential, "-verify_hostname", "other.example.com")


def test_openssl_refuses_what_the_crl_lists(tmp_path: Path) -> None:
    credential = issued(Profile.COMPUTER, "client1.corp.example.com")
    assert verify(tmp_path, credential) == "x.crt: OK\n"
    serial = credential.certificate.serial_number
    assert "certificate revoked" in verify(tmp_path, credential, revoked=serial)


def test_identifiers_chain_and_the_distribution_point_is_there() -> None:
    certificate = issued(Profile.GATEWAY, "da.example.com").certificate
    ski = extension(ROOT.certificate, x509.SubjectKeyIdentifier)
    aki = extension(certificate, x509.AuthorityKeyIdentifier)
    assert isinstance(ski, x509.SubjectKeyIdentifier)
    assert isinstance(aki, x509.AuthorityKeyIdentifier)
    assert aki.key_identifier == ski.digest
    points = extension(certificate, x509.CRLDistributionPoints)
    assert isinstance(points, x509.CRLDistributionPoints)
    assert points[0].full_name == [x509.UniformResourceIdentifier(CRL_URL)]


def test_usages_fit_strongswan_and_tls() -> None:
    gateway = extension(
        issued(Profile.GATEWAY, "da.example.com").certificate, x509.ExtendedKeyUsage
    )
    computer = extension(issued(Profile.COMPUTER, "c.example").certificate, x509.ExtendedKeyUsage)
    assert isinstance(gateway, x509.ExtendedKeyUsage)
    assert isinstance(computer, x509.ExtendedKeyUsage)
    assert set(gateway) == {ExtendedKeyUsageOID.SERVER_AUTH, IKE_INTERMEDIATE}
    assert set(computer) == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_names_and_addresses_stand_in_the_san() -> None:
    certificate = authority.issue(
        ROOT, Profile.SERVER, ["nls.example", "*.nls.example", "2001:db8::1"], now=NOW
    ).certificate
    san = extension(certificate, x509.SubjectAlternativeName)
    assert isinstance(san, x509.SubjectAlternativeName)
    assert san.get_values_for_type(x509.DNSName) == ["nls.example", "*.nls.example"]
    assert san.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("2001:db8::1")]


def test_a_long_name_leaves_the_subject_empty_and_the_san_critical() -> None:
    name = ".".join(["label-of-some-length"] * 5)
    certificate = authority.issue(ROOT, Profile.SERVER, [name], now=NOW).certificate
    assert not list(certificate.subject)
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_validity_is_clipped_to_the_authoritys() -> None:
    root = authority.create_root("Short", NOW, days=10)
    certificate = authority.issue(root, Profile.SERVER, ["a.example"], now=NOW).certificate
    assert certificate.not_valid_after_utc == root.certificate.not_valid_after_utc
    assert certificate.not_valid_before_utc >= root.certificate.not_valid_before_utc
    with pytest.raises(TrustError, match="valid only until"):
        authority.issue(root, Profile.SERVER, ["a.example"], now=NOW + timedelta(days=11))


def test_crl_carries_number_reason_and_time() -> None:
    due = NOW + timedelta(days=7)
    entries = [
        Revoked(5, NOW - timedelta(days=1), x509.ReasonFlags.key_compromise),
        Revoked(6, NOW),
    ]
    crl = authority.build_crl(ROOT, entries, number=42, now=NOW, next_update=due)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 42
    assert crl.next_update_utc == due
    five, six = (crl.get_revoked_certificate_by_serial_number(serial) for serial in (5, 6))
    assert five is not None
    assert six is not None
    assert five.revocation_date_utc == NOW - timedelta(days=1)
    reason = five.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    assert len(six.extensions) == 0  # RFC 5280, 5.3.1


@pytest.mark.parametrize("name", ["", "a b", "a..b", "x" * 64, "*.*.example", "a\n.example"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        authority.issue(ROOT, Profile.SERVER, [name], now=NOW)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        authority.issue(ROOT, Profile.SERVER, [], now=NOW)
    with pytest.raises(ConfigError, match="days"):
        authority.issue(ROOT, Profile.SERVER, ["a.example"], now=NOW, days=0)
    with pytest.raises(ConfigError, match="http://"):
        authority.issue(ROOT, Profile.SERVER, ["a.example"], now=NOW, crl_url="https://x/")
    with pytest.raises(ConfigError, match="1 to 64"):
        authority.create_root("x" * 65, NOW)
    with pytest.raises(ConfigError, match="future"):
        authority.build_crl(ROOT, [], number=1, now=NOW, next_update=NOW)


def test_only_a_real_authority_opens() -> None:
    assert authority.open_authority(ROOT.key, ROOT.certificate) == ROOT
    leaf = issued(Profile.SERVER, "a.example")
    with pytest.raises(TrustError, match="not a CA"):
        authority.open_authority(leaf.key, leaf.certificate)
    with pytest.raises(TrustError, match="does not belong"):
        authority.open_authority(leaf.key, ROOT.certificate)
