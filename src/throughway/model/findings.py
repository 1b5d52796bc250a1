"""Problems, which the catalogue holds once, and findings: problems met in evidence."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from throughway.model.evidence import Source


class Severity(StrEnum):
    """How much it matters to the person who is affected."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Component(StrEnum):
    """The part of the way that a problem belongs to; the rows of Operations Status."""

    HOST = "host"
    INTERNET = "internet"
    IPHTTPS = "iphttps"
    TEREDO = "teredo"
    SIXTOFOUR = "6to4"
    ISATAP = "isatap"
    LOCATION = "location"
    NAMES = "names"
    POLICY = "policy"
    FIREWALL = "firewall"
    IPSEC = "ipsec"
    DOMAIN = "domain"
    AUTHORISER = "authoriser"
    CERTIFICATES = "certificates"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A catalogue entry: everything about a problem which does not depend on the case."""

    code: str
    """Kebab-case; never changed once released."""
    title: str
    severity: Severity
    component: Component
    cause: str
    resolution: str
    fix: tuple[str, ...] = ()
    """Exact commands that mend it, in order."""
    verify: tuple[str, ...] = ()
    """Exact commands that prove it mended."""
    depends_on: tuple["Problem", ...] = field(default=(), repr=False)
    """When one of these is found too, this one is only its consequence."""
    visible_after: float = 0.0
    """Seconds a live condition must last before it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a problem means and what mends it where Windows runs, in place of our own software."""

    cause: str
    resolution: str
    fix: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()


class Layer(IntEnum):
    """How far up the way a finding stands; what is below is asked, and shown, first."""

    LOCAL = 1
    NETWORK = 2
    NAMES = 3
    TCP = 4
    TLS = 5
    HTTP = 6
    LINK = 7
    IPSEC_CERTIFICATES = 8
    IKE = 9
    INSIDE_NAMES = 10
    DOMAIN = 11


class Confidence(StrEnum):
    """How sure a finding is; each comes with its reason."""

    CERTAIN = "certain"
    """The evidence says this very thing."""
    LIKELY = "likely"
    """The evidence says something that this causes far more often than anything else."""
    POSSIBLE = "possible"
    """The evidence allows it, and other causes as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem which was found, with what is particular to this case."""

    problem: Problem
    summary: str
    """One sentence with the names and values of this case."""
    confidence: Confidence = Confidence.CERTAIN
    reason: str
    """Why this confidence, in words."""
    evidence: tuple[Source, ...]
    values: tuple[tuple[str, str], ...] = ()
    """Placeholders of the problem's commands (HOST, PORT, …) and what they are here."""
