"""What a certificate proves, to whom and until when; `now` is given.

For status, configuration checks and `client join`: who gets in is decided by charon and
OpenSSL, which also know name constraints and policies. Nothing here raises on what a
certificate says: every judgement is a value.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from throughway.model.audit import CertificateSeen
from throughway.pki.pem import UNREADABLE, certificate_fingerprint

WARN_BEFORE = timedelta(days=60)
"""Time enough for an administrator who looks once a month."""

URGENT_BEFORE = timedelta(days=30)

RENEW_AFTER = 2 / 3
"""Of a certificate's life; then there is a third of it left for whatever stands in the way."""
RENEWAL_SPREAD = 0.05
"""Of its life: computers that joined together do not come together."""

SHOWN_NAMES = 5
"""Names of a certificate that are told to people."""

MAX_CHAIN = 8
"""Certificates: longer chains are attacks or accidents."""

Extension = TypeVar("Extension", bound=x509.ExtensionType)


class Usage(StrEnum):
    """What a certificate may be used for (RFC 5280, 4.2.1.12)."""

    SERVER = "server"
    CLIENT = "client"


USAGE_OIDS = {
    Usage.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Usage.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}


class Validity(StrEnum):
    """Where now lies in a certificate's life."""

    VALID = "valid"
    EXPIRES_SOON = "expires-soon"
    EXPIRES_VERY_SOON = "expires-very-soon"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"


class RevocationState(StrEnum):
    """What a CRL says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    STALE = "stale"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFact:
    """Whether a certificate leads to a trust anchor, and if not, why."""

    trusted: bool
    path: tuple[str, ...] = ()
    """Subjects, the certificate's own first."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFact:
    """What is known of a certificate's revocation."""

    state: RevocationState
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFact:
    """What a certificate says of itself, and how long it still holds."""

    subject: str
    issuer: str
    serial: str
    """Hexadecimal, as openssl prints it."""
    names: tuple[str, ...]
    usages: tuple[Usage, ...]
    not_before: datetime
    not_after: datetime
    validity: Validity
    days_left: int
    """Whole days until it expires; negative afterwards."""
    crl_urls: tuple[str, ...]
    fingerprint: str
    """SHA-256."""


def describe(certificate: x509.Certificate, now: datetime) -> CertificateFact:
    """Return everything that a status shows of a certificate."""
    return CertificateFact(
        subject=name_of(certificate.subject),
        issuer=name_of(certificate.issuer),
        serial=serial_of(certificate),
        names=names(certificate),
        usages=tuple(usage for usage in Usage if allows(certificate, usage)),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        validity=validity(certificate, now),
        days_left=(certificate.not_valid_after_utc - now).days,
        crl_urls=crl_urls(certificate),
        fingerprint=certificate_fingerprint(certificate),
    )


def words_of(chain: Sequence[bytes], now: datetime) -> str:
    """Describe a chain (DER) that a server has shown, to people: whose, for what, by whom."""
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain]
    except UNREADABLE as error:
        return f"it shows what is no certificate: {error}"
    if not certificates:
        return ""
    leaf = describe(certificates[0], now)
    last = describe(certificates[-1], now)
    names_of = ", ".join(leaf.names[:SHOWN_NAMES]) or "no names"
    words = f"it shows the certificate of {leaf.subject}, serial {leaf.serial}, for {names_of}"
    usages = ", ".join(leaf.usages) or "neither servers nor clients"
    words += f" (usage: {usages}), issued by {leaf.issuer}"
    for each in (describe(certificate, now) for certificate in certificates):
        if each.validity in {Validity.EXPIRED, Validity.NOT_YET_VALID}:
            begin, end = each.not_before, each.not_after
            words += f"; that of {each.subject} is valid from {begin:%Y-%m-%d %H:%M} to "
            words += f"{end:%Y-%m-%d %H:%M} UTC"
    if len(certificates) > 1:
        words += f"; the chain ends with {last.subject}, issued by {last.issuer}"
    return words


def validity(certificate: x509.Certificate, now: datetime) -> Validity:
    """Return where now lies in the certificate's life."""
    if now < certificate.not_valid_before_utc:
        return Validity.NOT_YET_VALID
    left = certificate.not_valid_after_utc - now
    if left <= timedelta(0):
        return Validity.EXPIRED
    if left <= URGENT_BEFORE:
        return Validity.EXPIRES_VERY_SOON
    return Validity.EXPIRES_SOON if left <= WARN_BEFORE else Validity.VALID


def in_force(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether the certificate is in its time of validity."""
    return validity(certificate, now) not in {Validity.EXPIRED, Validity.NOT_YET_VALID}


def renewal_time(certificate: x509.Certificate) -> datetime:
    """Return when two thirds of its life are over, and a little more that its serial decides."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    spread = certificate.serial_number % 1000 / 1000 * RENEWAL_SPREAD
    return begins + (ends - begins) * (RENEW_AFTER + spread)


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return DNS names and addresses of the SAN; the common name does not count (RFC 9525)."""
    san = _extension(certificate, x509.SubjectAlternativeName)
    if san is None:
        return ()
    dns = san.get_values_for_type(x509.DNSName)
    return (*dns, *(str(address) for address in san.get_values_for_type(x509.IPAddress)))


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether the certificate is for this DNS name or address (RFC 9525, 6.3)."""
    try:
        wanted = str(ipaddress.ip_address(host))
    except ValueError:
        return any(_name_matches(name.lower(), host.lower()) for name in names(certificate))
    return wanted in names(certificate)


def allows(certificate: x509.Certificate, usage: Usage) -> bool:
    """Whether the extended key usage permits this; without the extension it does."""
    extension = _extension(certificate, x509.ExtendedKeyUsage)
    if extension is None:
        return True
    return bool({USAGE_OIDS[usage], ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(extension))


def crl_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return where the certificate says that its CRL is."""
    points = _extension(certificate, x509.CRLDistributionPoints)
    return tuple(
        name.value
        for point in points or ()
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def ocsp_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the responders that the certificate names (RFC 6960)."""
    return _access_urls(certificate, AuthorityInformationAccessOID.OCSP)


def issuer_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return where the certificate says that its issuer's certificate is (RFC 5280, 4.2.2.1)."""
    return _access_urls(certificate, AuthorityInformationAccessOID.CA_ISSUERS)


def _access_urls(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    access = _extension(certificate, x509.AuthorityInformationAccess)
    if access is None:
        return ()
    return tuple(
        description.access_location.value
        for description in access
        if description.access_method == method
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def chain(
    certificate: x509.Certificate,
    anchors: Iterable[x509.Certificate],
    now: datetime,
    intermediates: Sequence[x509.Certificate] = (),
) -> ChainFact:
    """Follow issuers from the certificate to an anchor; every link must hold now."""
    roots = tuple(anchors)
    path = [certificate]
    while len(path) <= MAX_CHAIN:
        if not in_force(path[-1], now):
            return _broken(path, f"{name_of(path[-1].subject)} is {validity(path[-1], now)}")
        if path[-1] in roots:
            return ChainFact(trusted=True, path=_subjects(path))
        issuer = find_issuer(path[-1], (*roots, *intermediates), below=len(path) - 1)
        if issuer is None:
            return _broken(path, f"its issuer {name_of(path[-1].issuer)} is not trusted here")
        path.append(issuer)
    return _broken(path, f"the chain is longer than {MAX_CHAIN} certificates")


def may_issue(certificate: x509.Certificate, below: int = 0) -> bool:
    """Whether it is an authority's, which may have so many authorities below it."""
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage and not usage.key_cert_sign):
        return False
    return constraints.path_length is None or below <= constraints.path_length


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number in whole bytes, hexadecimal, as openssl prints it."""
    return hex_of(certificate.serial_number)


def seen(certificate: x509.Certificate) -> CertificateSeen:
    """Return what the audit tells of a certificate."""
    return CertificateSeen(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=serial_of(certificate),
        thumbprint=certificate.fingerprint(SHA256()).hex(),
    )


def hex_of(serial: int) -> str:
    """Return a serial number in that form."""
    digits = f"{serial:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


def name_of(name: x509.Name) -> str:
    """Return the common name, or the whole name where there is none."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "(no subject)"


def _broken(path: Sequence[x509.Certificate], why: str) -> ChainFact:
    return ChainFact(trusted=False, path=_subjects(path), why=why)


def _subjects(path: Sequence[x509.Certificate]) -> tuple[str, ...]:
    return tuple(name_of(certificate.subject) for certificate in path)


def find_issuer(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate], below: int
) -> x509.Certificate | None:
    """Find who issued it: a CA that may have so many CAs below it and whose key signed."""
    for candidate in candidates:
        if candidate.subject == certificate.issuer and may_issue(candidate, below):
            try:
                certificate.verify_directly_issued_by(candidate)
            except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
                continue
            return candidate
    return None


def _name_matches(pattern: str, host: str) -> bool:
    """A wildcard stands for exactly one whole label, the first."""
    if pattern.startswith("*."):
        label, _, rest = host.partition(".")
        return bool(label) and rest == pattern[2:]
    return pattern == host


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return None  # an extension that cannot be read says nothing
