"""Problems: what the catalogue holds once and everything else prints."""

from dataclasses import dataclass, field
from enum import StrEnum


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
