"""Certificates as they are shown in TLS handshakes, and revocation lists as they are fetched."""

from itertools import islice

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from throughway.model.evidence import Source
from throughway.model.facts.certificates import Certificate, RevocationList, Store

MAXIMUM_REVOKED = 100_000
"""Entries of one list that are looked at."""


def read_certificate(der: bytes, source: Source) -> Certificate | None:
    """Return what a certificate says; None when it is none."""
    try:
        return _read(x509.load_der_x509_certificate(der), source)
    except (ValueError, TypeError):
        # What cryptography raises for broken certificates, at once or on first use of a field.
        return None


def read_list(der: bytes, source: Source) -> RevocationList | None:
    """Return what a revocation list says; None when it is none, or not whole."""
    try:
        revocation = x509.load_der_x509_crl(der)
        return RevocationList(
            source=source,
            issuer=revocation.issuer.rfc4514_string(),
            this_update=revocation.last_update_utc,
            next_update=revocation.next_update_utc,
            revoked=tuple(f"{e.serial_number:x}" for e in islice(revocation, MAXIMUM_REVOKED)),
        )
    except (ValueError, TypeError):
        return None


def _read(certificate: x509.Certificate, source: Source) -> Certificate:
    subject, issuer = certificate.subject, certificate.issuer
    return Certificate(
        source=source,
        store=Store.CAPTURE,
        subject=subject.rfc4514_string(),
        issuer=issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        thumbprint=certificate.fingerprint(hashes.SHA1()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=_names(certificate),
        usages=_usages(certificate),
        self_signed=subject == issuer,
        authority=_authority(certificate),
        crl_urls=_crl_urls(certificate),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(usage.dotted_string for usage in usages)


def _authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _crl_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()
    names = (name for point in points for name in point.full_name or ())
    return tuple(n.value for n in names if isinstance(n, x509.UniformResourceIdentifier))
