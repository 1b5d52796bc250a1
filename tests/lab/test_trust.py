"""The lab's certification authority."""

from pathlib import Path

from cryptography import x509

from throughway.lab.trust import CRL_URL, LabAuthority
from throughway.pki.authority import Profile


def test_reopened_authority_issues_for_the_same_root(tmp_path: Path) -> None:
    made = LabAuthority.create(tmp_path / "pki")
    opened = LabAuthority.open(tmp_path / "pki")
    assert opened.certificate == made.certificate
    issued = opened.issue(Profile.COMPUTER, "client1.corp.example.com")
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.certificate))
    assert certificate.serial_number == issued.serial


def test_certificates_say_where_the_crl_is(tmp_path: Path) -> None:
    issued = LabAuthority.create(tmp_path).issue(Profile.GATEWAY, "da.example.com")
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    names = points[0].full_name
    assert names
    assert [name.value for name in names] == [CRL_URL]


def test_every_crl_is_newer_and_lists_what_it_must(tmp_path: Path) -> None:
    authority = LabAuthority.create(tmp_path)
    first = x509.load_der_x509_crl(authority.build_crl())
    second = x509.load_der_x509_crl(LabAuthority.open(tmp_path).build_crl(4711))
    numbers = [
        crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        for crl in (first, second)
    ]
    assert numbers == [1, 2]
    assert first.get_revoked_certificate_by_serial_number(4711) is None
    assert second.get_revoked_certificate_by_serial_number(4711) is not None


def test_the_root_key_is_private(tmp_path: Path) -> None:
    LabAuthority.create(tmp_path)
    assert (tmp_path / "root.key").stat().st_mode & 0o077 == 0
