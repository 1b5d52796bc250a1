"""Facts about certificates and revocation lists."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from throughway.model.facts.base import Fact


class Store(StrEnum):
    """Where a certificate was found."""

    MACHINE = "machine"
    USER = "user"
    ROOT = "root"
    INTERMEDIATE = "intermediate"
    FILE = "file"
    CAPTURE = "capture"
    SERVER = "server configuration"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(Fact):
    """One certificate: ``certutil -store``, Get-ChildItem Cert:, Get-RemoteAccess, a file."""

    QUESTION = "Which certificates does the machine have?"
    COLLECT = (
        "certutil -v -store My",
        "certutil -store Root",
        "certutil -store CA",
    )

    store: Store
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    thumbprint: str = ""
    """SHA-1 in lower case hexadecimal without blanks."""
    not_before: datetime | None = None
    """Naive: local time of the machine, when the evidence has no time zone."""
    not_after: datetime | None = None
    names: tuple[str, ...] | None = None
    """DNS names (and addresses) of the subject alternative name."""
    usages: tuple[str, ...] | None = None
    """Object identifiers of the extended key usage; () is any."""
    private_key: bool | None = None
    archived: bool = False
    self_signed: bool | None = None
    authority: bool | None = None
    template: str = ""
    crl_urls: tuple[str, ...] | None = None
    purpose: str = ""
    """What a configuration uses it for: ssl, ipsec-root, nls, kerberos; "" unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCertificates(Fact):
    """A store was listed whole and holds no certificate."""

    QUESTION = Certificate.QUESTION
    COLLECT = Certificate.COLLECT

    store: Store


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateVerification(Fact):
    """``certutil -verify [-urlfetch]`` of one certificate, whole."""

    QUESTION = "Does Windows accept the certificate?"
    COLLECT = ("certutil -verify -urlfetch CERTIFICATE",)

    subject: str = ""
    issuer: str = ""
    errors: tuple[str, ...] = ()
    """CERT_TRUST_… and CRYPT_E_… constants, in the order they stand there."""
    error_codes: tuple[int, ...] = ()
    revocation_checked: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CRLRetrieval(Fact):
    """One distribution point as certutil (or a capture) found it."""

    QUESTION = "Can the revocation lists be fetched?"
    COLLECT = ("certutil -verify -urlfetch CERTIFICATE",)

    url: str
    retrieved: bool | None = None
    error_code: int | None = None
    delta: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedURL(Fact):
    """One entry of ``certutil -urlcache``."""

    QUESTION = "Which revocation lists are in the cache?"
    COLLECT = ("certutil -urlcache CRL",)

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList(Fact):
    """A CRL: a file, or certutil's dump of one."""

    QUESTION = "Are the revocation lists current?"
    COLLECT = ("certutil -dump CRL_FILE",)

    issuer: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    delta: bool | None = None
    revoked: tuple[str, ...] = ()
    """Serial numbers, lower case hexadecimal."""
