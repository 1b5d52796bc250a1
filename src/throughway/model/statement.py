"""Health of computers: what is wanted of them, and what they state ([MS-SOH], in our own form)."""

from dataclasses import dataclass
from enum import StrEnum

MAX_STATEMENT = 16 * 1024
"""Bytes of a statement; one of ours has two thousand."""
SYSTEM_HEALTH = "1.3.6.1.4.1.311.47.1.1"
"""System Health Authentication: what Windows' health certificates are known by."""
MAX_RESULTS = 64
MAX_CHECKS = 32
"""Of the policy, beside the built-in ones."""


class HealthMode(StrEnum):
    """What follows from a computer's health."""

    OFF = "off"
    REPORT = "report"
    """It is recorded, and everybody comes in."""
    DEFERRED = "deferred"
    """As :attr:`REPORT` until a date, then as :attr:`FULL`."""
    FULL = "full"
    """Only a healthy computer gets the intranet tunnel."""


class CheckKind(StrEnum):
    """The built-in checks."""

    FIREWALL = "firewall"
    UPDATES = "updates"
    """When the system was last brought up to date."""
    SECURITY_UPDATES = "security-updates"
    """How many are known and not installed."""
    DISK_ENCRYPTION = "disk-encryption"
    ANTIVIRUS = "antivirus"
    AGENT = "agent"
    """The version of throughway."""


class SubjectKind(StrEnum):
    """What a check of the policy looks at; it is data, never a program."""

    FILE = "file"
    """The file is there; with a value: and has this SHA-256."""
    SERVICE = "service"
    """The systemd unit is active."""
    PACKAGE = "package"
    """The Debian package is installed; with a value: in this version or a later one."""
    SYSCTL = "sysctl"
    """The kernel's setting has this value."""


class CheckState(StrEnum):
    """What a check found."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """It could not be told; nobody guesses."""
    ABSENT = "absent"
    """There is nothing to check: no antivirus is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCheck:
    """A check that a deployment adds."""

    name: str
    kind: SubjectKind
    subject: str
    """Path, unit, package or setting."""
    value: str = ""
    fix: str = ""
    """The command that mends it, for the user to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """What a computer must be to count as healthy."""

    mode: HealthMode = HealthMode.OFF
    required: tuple[str, ...] = (CheckKind.FIREWALL, CheckKind.UPDATES)
    """Names of checks, built-in or of :attr:`checks`."""
    hours: int = 4
    """For which a computer that was found healthy is believed."""
    deferred_until: str = ""
    """The date (UTC) from which on :attr:`HealthMode.DEFERRED` is full."""
    update_days: int = 30
    """Since the last update."""
    signature_days: int = 7
    """Age of the antivirus' signatures."""
    agent: str = ""
    """The oldest version of throughway that will do; "": any."""
    checks: tuple[PolicyCheck, ...] = ()


NOTHING_WANTED = HealthPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found."""

    name: str
    state: CheckState
    value: str = ""
    """The bare value, such as days or a version."""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementOfHealth:
    """What a computer says of itself."""

    agent: str
    results: tuple[CheckResult, ...]
    key: str = ""
    """The point of a key on P-256 (SEC 1, 2.3.3, uncompressed; hexadecimal) for which a health
    certificate is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A check that a computer fails, and what mends it."""

    name: str
    words: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.words}" + (f" (to mend it: {self.fix})" if self.fix else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The gateway's answer to a statement."""

    healthy: bool
    enforced: bool
    """Whether an unhealthy computer is kept out of the intranet now."""
    until: float = 0.0
    """Until when the computer is believed, in seconds since 1970; 0: it is not."""
    failing: tuple[Failing, ...] = ()
    refused: str = ""
    """Why the statement was not judged at all."""
    certificate: str = ""
    """The health certificate (PEM), where one is demanded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthStatus:
    """A client's health, as it is shown."""

    mode: str
    checks: tuple[CheckResult, ...] = ()
    healthy: bool | None = None
    """What the gateway said; None: it was not asked yet."""
    until: float = 0.0
    failing: tuple[Failing, ...] = ()
    last_error: str = ""
    deferred_until: str = ""
    """The date (UTC) from which on it decides, "" where it does not or does already."""
    certified_until: float = 0.0
    """When the health certificate ends, 0: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerHealth:
    """A computer's health, as the gateway has it."""

    computer: str
    healthy: bool
    at: float
    until: float
    failing: tuple[Failing, ...] = ()
