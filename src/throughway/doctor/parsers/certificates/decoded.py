"""What a certificate or a revocation list says, once its bytes are decoded."""

import re
import warnings
from collections.abc import Iterator
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs7

from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import Certificate, RevocationList, Store

MAXIMUM_REVOKED = 50_000
"""Serial numbers kept of one list."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{3,40})-----(?:[^-]){16,40000000}?-----END \1-----")
_BAD = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_Decoded = x509.Certificate | x509.CertificateRevocationList


def read(evidence: Evidence, data: bytes) -> Iterator[Fact]:
    """Yield a fact for each certificate and list; a :exc:`ParseError` when there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            facts = [_fact(evidence, item) for item in _decode(data)]
        except _BAD as error:
            raise ParseError(f"no certificate or revocation list: {error}") from error
    if not facts:
        raise ParseError("neither a certificate nor a revocation list")
    yield from facts


def _decode(data: bytes) -> Iterator[_Decoded]:
    if not data.lstrip().startswith(b"\x30") and b"-----BEGIN" in data:
        for match in _BLOCK.finditer(data):
            if match[1].endswith(b"CRL"):
                yield x509.load_pem_x509_crl(match[0])
            elif match[1].endswith(b"CERTIFICATE"):
                yield x509.load_pem_x509_certificate(match[0])
            elif match[1] == b"PKCS7":
                yield from pkcs7.load_pem_pkcs7_certificates(match[0])
        return
    errors = []
    for load in (x509.load_der_x509_certificate, x509.load_der_x509_crl):
        try:
            yield load(data)
        except _BAD as error:
            errors.append(str(error))
        else:
            return
    yield from pkcs7.load_der_pkcs7_certificates(data)


def _fact(evidence: Evidence, item: _Decoded) -> Fact:
    if isinstance(item, x509.CertificateRevocationList):
        return _list(evidence, item)
    names = _extension(item, x509.SubjectAlternativeName)
    usages = _extension(item, x509.ExtendedKeyUsage)
    basic = _extension(item, x509.BasicConstraints)
    points = _extension(item, x509.CRLDistributionPoints)
    return Certificate(
        source=evidence.at(evidence.first_line, _name(item.subject)),
        store=Store.FILE,
        subject=_name(item.subject),
        issuer=_name(item.issuer),
        serial=f"{item.serial_number:x}",
        thumbprint=item.fingerprint(hashes.SHA1()).hex(),
        not_before=item.not_valid_before_utc,
        not_after=item.not_valid_after_utc,
        names=_alternatives(names),
        usages=tuple(usage.dotted_string for usage in usages) if usages else (),
        self_signed=item.subject == item.issuer,
        authority=basic.ca if basic else False,
        crl_urls=tuple(_urls(points)) if points else (),
    )


def _list(evidence: Evidence, item: x509.CertificateRevocationList) -> RevocationList:
    revoked = []
    for entry in item:
        revoked.append(f"{entry.serial_number:x}")
        if len(revoked) >= MAXIMUM_REVOKED:
            break
    return RevocationList(
        source=evidence.at(evidence.first_line, _name(item.issuer)),
        issuer=_name(item.issuer),
        this_update=item.last_update_utc,
        next_update=item.next_update_utc,
        delta=_extension(item, x509.DeltaCRLIndicator) is not None,
        revoked=tuple(revoked),
    )


def _name(name: x509.Name) -> str:
    """Write a name as certutil does: the most particular part first."""
    return ", ".join(part.rfc4514_string() for part in reversed(name.rdns))


def _extension(item: _Decoded, kind: type[_Extension]) -> _Extension | None:
    try:
        return item.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _alternatives(names: x509.SubjectAlternativeName | None) -> tuple[str, ...]:
    if names is None:
        return ()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*(n.lower() for n in names.get_values_for_type(x509.DNSName)), *addresses)


def _urls(points: x509.CRLDistributionPoints) -> Iterator[str]:
    for point in points:
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier):
                yield name.value
