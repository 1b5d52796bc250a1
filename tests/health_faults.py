"""Faults of health as data: what a computer states, and what each mode makes of it."""

from dataclasses import dataclass

from throughway.model.audit import AuditEvent
from throughway.model.statement import (
    CheckKind,
    CheckResult,
    CheckState,
    HealthMode,
    HealthPolicy,
    StatementOfHealth,
)

POLICY = HealthPolicy(
    mode=HealthMode.FULL,
    required=(CheckKind.FIREWALL, CheckKind.UPDATES, CheckKind.ANTIVIRUS, CheckKind.AGENT),
    agent="0.1",
)


def result(name: str, state: CheckState = CheckState.GOOD, value: str = "") -> CheckResult:
    return CheckResult(name=name, state=state, value=value)


def statement(*others: CheckResult) -> StatementOfHealth:
    """Return what a healthy computer states, but for some results."""
    results = {
        CheckKind.FIREWALL: result(CheckKind.FIREWALL),
        CheckKind.UPDATES: result(CheckKind.UPDATES, value="3"),
        CheckKind.ANTIVIRUS: result(CheckKind.ANTIVIRUS, value="1"),
        CheckKind.AGENT: result(CheckKind.AGENT, value="0.1.0"),
    }
    results |= {CheckKind(other.name): other for other in others}
    return StatementOfHealth(agent="0.1.0", results=tuple(results.values()))


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a computer, and the word that must be told of it."""

    result: CheckResult
    word: str


FAULTS = {
    "firewall off": Fault(result(CheckKind.FIREWALL, CheckState.BAD), "must be"),
    "firewall unknown": Fault(result(CheckKind.FIREWALL, CheckState.UNKNOWN), "could not be told"),
    "firewall absent": Fault(result(CheckKind.FIREWALL, CheckState.ABSENT), "not there"),
    "updates old": Fault(result(CheckKind.UPDATES, value="31"), "31 days ago"),
    "updates without a number": Fault(result(CheckKind.UPDATES, value="lately"), "no number"),
    "updates of less than nothing": Fault(result(CheckKind.UPDATES, value="-5"), "no number"),
    "signatures old": Fault(result(CheckKind.ANTIVIRUS, value="8"), "8 days ago"),
    "clamd stopped": Fault(result(CheckKind.ANTIVIRUS, CheckState.BAD), "must be"),
    "agent old": Fault(result(CheckKind.AGENT, value="0.0.9"), "older than"),
}
ADMITTED = {
    # What was stated last, and whether a user comes in, by mode.
    HealthMode.OFF: {"nothing": True, "bad": True, "good": True, "expired": True},
    HealthMode.REPORT: {"nothing": True, "bad": True, "good": True, "expired": True},
    HealthMode.DEFERRED: {"nothing": True, "bad": True, "good": True, "expired": True},
    HealthMode.FULL: {"nothing": False, "bad": False, "good": True, "expired": False},
}
REFUSED_AT_CLIENT = "ipsec-user-refused"
"""What IKE tells a client of it; the health authority tells it what fails."""


@dataclass(frozen=True)
class Certificate:
    """A health certificate that is shown where one is demanded; "": who shows it comes in."""

    gateway: str = ""
    event: AuditEvent = AuditEvent.MAIN_MODE_FAILED


MISSING, WRONG_CHAIN = "ipsec-health-certificate-missing", "ipsec-cert-wrong-chain"
CERTIFICATES = {
    "none": Certificate(MISSING, AuditEvent.EXTENDED_MODE_FAILED),
    "no policy": Certificate(MISSING, AuditEvent.EXTENDED_MODE_FAILED),
    "expired": Certificate("ipsec-cert-expired"),
    "another's": Certificate(WRONG_CHAIN),
    "another authority's": Certificate(WRONG_CHAIN),
    "good": Certificate(event=AuditEvent.USER_LOGON),
}
