"""What is known of a certificate's revocation, and why not more (RFC 5280, RFC 6960)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Revocation(StrEnum):
    """How hard revocation is checked."""

    NONE = "none"
    """Nobody is asked."""
    WEAK = "weak"
    """Only what is known to be revoked is refused."""
    STRONG = "strong"
    """So is what cannot be known."""

    @classmethod
    def _missing_(cls, value: object) -> "Revocation | None":
        """Take strongSwan's words as well, which older configurations have."""
        return {"strict": cls.STRONG, "relaxed": cls.WEAK}.get(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPolicy:
    """How hard a client checks whom."""

    iphttps: Revocation = Revocation.WEAK
    """The IP-HTTPS server."""
    ipsec: Revocation = Revocation.WEAK
    """The gateway's end of the tunnels."""
    location: Revocation = Revocation.NONE
    """Location servers."""
    lists: tuple[str, ...] = ()
    """Where the tunnels' certificate has its lists: fetched before the first tunnel is tried."""


CHECKED_WEAKLY = RevocationPolicy()
"""What holds where nobody says anything."""


class Standing(StrEnum):
    """What lists and responders prove of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Why it is not good; of several for one certificate the first one here is told."""

    REVOKED = "revoked"
    WRONG_SIGNER = "crl-wrong-signer"
    """The list is another authority's, or its signature is."""
    EXPIRED = "crl-expired"
    DELTA_MISSING = "delta-crl-missing"
    """The base list says that there is a delta list, and none can be had that fits."""
    UNUSABLE = "crl-unusable"
    """No CRL, or one that cannot say it: indirect, out of scope, with what we do not know."""
    UNREACHABLE = "crl-unreachable"
    OCSP_UNTRUSTED = "ocsp-untrusted"
    """Not signed by the issuer or by a responder of its."""
    OCSP_UNKNOWN = "ocsp-unknown"
    """The responder does not know the certificate."""
    OCSP_UNUSABLE = "ocsp-unusable"
    """An error, no OCSP response, one about another certificate, or an old one."""
    OCSP_UNREACHABLE = "ocsp-unreachable"
    NO_POINT = "no-distribution-point"
    """The certificate names no place that we could ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one list, one answer, or all of them together say of one certificate."""

    standing: Standing
    fault: Fault | None = None
    """Why it is not good; None when it is."""
    why: str = ""
    """In words, with what was answered."""
    subject: str = ""
    """Whose certificate it is about."""
    serial: str = ""
    url: str = ""
    """Where that was said; "" when nobody was asked."""
    this_update: datetime | None = None
    next_update: datetime | None = None
    """When the first of all that it stands on is out of date; None when nothing says so."""

    def __str__(self) -> str:
        where = f" ({self.url})" if self.url else ""
        number = f", serial {self.serial}" if self.serial else ""
        return f"the certificate of {self.subject}{number}: {self.why or self.standing}{where}"
