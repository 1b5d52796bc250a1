"""What a chain proves to whom, from the bytes that a server sent."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import AuthorityInformationAccessOID

from throughway.model.probing import CertificateSeen, ChainSeen
from throughway.pki.crl import delta_urls
from throughway.pki.judgement import Usage, allows, chain, covers, crl_urls, name_of, names
from throughway.pki.pem import certificate_fingerprint
from throughway.wire.tls_handshake import MAXIMUM_CERTIFICATES, CertificateRequest

MAXIMUM_NAMES = 100
"""Alternative names of one certificate that are said; some have thousands."""
MAXIMUM_NAME = 400
"""Characters of one name."""
MAXIMUM_URLS = 8
"""Places of one kind in one certificate."""
MAXIMUM_AUTHORITIES = 64
"""Accepted authorities that are said; Windows sends its whole store."""

Certificates = tuple[x509.Certificate, ...]


class Unreadable(ValueError):
    """What was sent is no certificate."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one address showed, read."""

    seen: ChainSeen
    certificates: Certificates


def read_certificates(chain_der: Iterable[bytes]) -> Certificates:
    """Read what a server sent; raises :exc:`Unreadable`."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for number, der in enumerate(chain_der):
            if number >= MAXIMUM_CERTIFICATES:
                break
            try:
                certificate = x509.load_der_x509_certificate(der)
                certificate.extensions  # noqa: B018 - reads them, which may fail
                _ = (certificate.subject, certificate.issuer, certificate.not_valid_after_utc)
                found.append(certificate)
            except (ValueError, TypeError, UnsupportedAlgorithm) as error:
                raise Unreadable(f"certificate {number + 1} cannot be read: {error}") from error
    return tuple(found)


def see_chain(
    address: str,
    chain_der: Sequence[bytes],
    host: str,
    anchors: Sequence[x509.Certificate],
    now: datetime,
    request: CertificateRequest | None = None,
) -> Shown:
    """Judge what an address sent for ``host``; "" for no name to compare with."""
    seen = ChainSeen(address=address)
    if request is not None:
        authorities = tuple(_authority(der) for der in request.authorities[:MAXIMUM_AUTHORITIES])
        seen = replace(seen, asks_certificate=True, accepted_authorities=authorities)
    try:
        certificates = read_certificates(chain_der)
    except Unreadable as error:
        return Shown(replace(seen, unreadable=str(error)), ())
    if not certificates:
        return Shown(replace(seen, unreadable="it shows no certificate"), ())
    leaf = certificates[0]
    fact = chain(leaf, anchors, _within(leaf, now), certificates[1:])
    seen = replace(
        seen,
        certificates=tuple(see_certificate(each, now) for each in certificates),
        covers_host=covers(leaf, host) if host else None,
        for_servers=allows(leaf, Usage.SERVER),
        trusted=fact.trusted,
        why=_short(fact.why),
    )
    return Shown(seen, certificates)


def with_issuers(
    shown: Shown,
    fetched: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> Shown:
    """Judge again with certificates that the server should have sent."""
    leaf = shown.certificates[0]
    fact = chain(leaf, anchors, _within(leaf, now), (*shown.certificates[1:], *fetched))
    if not fact.trusted:
        return shown
    missing = [name_of(each.subject) for each in fetched if name_of(each.subject) in fact.path]
    mended_by = _short(", ".join(dict.fromkeys(missing)))
    return Shown(replace(shown.seen, mended_by=mended_by), shown.certificates)


def see_certificate(certificate: x509.Certificate, now: datetime) -> CertificateSeen:
    """Say what a certificate says of itself."""
    return CertificateSeen(
        subject=_short(name_of(certificate.subject)),
        issuer=_short(name_of(certificate.issuer)),
        serial=f"{certificate.serial_number:x}",
        names=tuple(map(_short, names(certificate)[:MAXIMUM_NAMES])),
        key=_key(certificate),
        signature=_signature(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        days_left=(certificate.not_valid_after_utc - now).days,
        self_signed=certificate.subject == certificate.issuer,
        fingerprint=certificate_fingerprint(certificate),
        crl_urls=_urls(crl_urls(certificate)),
        delta_urls=_urls(delta_urls(certificate)),
        ocsp_urls=_urls(access_urls(certificate, AuthorityInformationAccessOID.OCSP)),
        issuer_urls=_urls(access_urls(certificate, AuthorityInformationAccessOID.CA_ISSUERS)),
    )


def access_urls(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    """Return the addresses of the authority's services (RFC 5280, 4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(
        each.access_location.value
        for each in access.value
        if each.access_method == method
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )


def issuer_of(
    certificate: x509.Certificate, candidates: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    """Return the one which signed it."""
    for candidate in candidates:
        if candidate.subject == certificate.issuer:
            try:
                certificate.verify_directly_issued_by(candidate)
            except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
                continue
            return candidate
    return None


def _within(leaf: x509.Certificate, now: datetime) -> datetime:
    """Return the moment of the leaf's life that is nearest: trust is judged apart from time."""
    last = leaf.not_valid_after_utc - timedelta(seconds=1)
    return max(min(now, last), leaf.not_valid_before_utc)


def _authority(der: bytes) -> str:
    """Return the name of an authority (a DER Name) as people write it."""
    try:
        return _short(x509.Name.from_bytes(der).rfc4514_string())
    except (ValueError, TypeError):
        return f"(unreadable name of {len(der)} bytes)"


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "unknown"
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case _:
            return "unknown"


def _signature(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return certificate.signature_algorithm_oid.dotted_string
    return algorithm.name if algorithm is not None else "built in"


def _urls(urls: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_short, urls[:MAXIMUM_URLS]))


def _short(text: str) -> str:
    """Return a stranger's text as it can be shown: one line, not endless."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return text if len(text) <= MAXIMUM_NAME else text[:MAXIMUM_NAME] + "…"
