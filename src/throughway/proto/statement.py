"""Judging a statement of health: which of the policy's checks fail, and what mends each.

Pure, and the same on both ends: the client shows what it is about to be told, the gateway decides.
Unknown is not good: who wants to come in says what is asked.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from throughway.model.errors import WireError
from throughway.model.statement import (
    MAX_RESULTS,
    CheckKind,
    CheckResult,
    CheckState,
    Failing,
    HealthMode,
    HealthPolicy,
    PolicyCheck,
    StatementOfHealth,
    SubjectKind,
)

MAX_WORDS = 300
"""Characters of a value or of words in a statement."""
MAX_NAME = 64
_POINT = re.compile(r"04[0-9a-f]{128}")

FIXES = {
    CheckKind.FIREWALL: "ufw enable",
    CheckKind.UPDATES: "apt-get update && apt-get upgrade",
    CheckKind.SECURITY_UPDATES: "apt-get update && apt-get upgrade",
    CheckKind.DISK_ENCRYPTION: "reinstall with an encrypted disk (LUKS)",
    CheckKind.ANTIVIRUS: "systemctl enable --now clamav-daemon clamav-freshclam",
    CheckKind.AGENT: "apt-get install --only-upgrade throughway",
}

Judge = Callable[[HealthPolicy, CheckResult], str]
"""Says in words why a result is not good enough, "" where it is."""


def enforced(policy: HealthPolicy, now: float) -> bool:
    """Say whether health decides now about the intranet tunnel."""
    if policy.mode is HealthMode.DEFERRED:
        return datetime.fromtimestamp(now, UTC).date().isoformat() >= policy.deferred_until
    return policy.mode is HealthMode.FULL


def judge(policy: HealthPolicy, statement: StatementOfHealth) -> tuple[Failing, ...]:
    """Return the required checks that fail, in the policy's order."""
    results = {result.name: result for result in statement.results}
    own = {check.name: check for check in policy.checks}
    return tuple(
        Failing(name=name, words=why, fix=_fix(name, own))
        for name in policy.required
        if (why := _why(policy, name, results.get(name)))
    )


def check_form(statement: StatementOfHealth) -> StatementOfHealth:
    """Return a statement whose names and words are of ordinary size; WireError on others."""
    if len(statement.results) > MAX_RESULTS or len(statement.agent) > MAX_NAME:
        raise WireError("the statement is too large")
    if statement.key and not _POINT.fullmatch(statement.key):
        raise WireError("the statement's key is none of P-256")
    for result in statement.results:
        if len(result.name) > MAX_NAME or len(result.value) + len(result.words) > MAX_WORDS:
            raise WireError("the statement is too large")
        if not (result.name + result.value + result.words + statement.agent).isprintable():
            raise WireError("the statement is not text")
    return statement


def _fix(name: str, own: dict[str, PolicyCheck]) -> str:
    if name in own:
        return own[name].fix or _own_fix(own[name])
    return FIXES.get(CheckKind(name), "") if name in set(CheckKind) else ""


def _own_fix(check: PolicyCheck) -> str:
    match check.kind:
        case SubjectKind.SERVICE:
            return f"systemctl enable --now {check.subject}"
        case SubjectKind.PACKAGE:
            return f"apt-get install {check.subject}"
        case SubjectKind.SYSCTL:
            return f"sysctl -w {check.subject}={check.value}"
    return ""


def _why(policy: HealthPolicy, name: str, result: CheckResult | None) -> str:
    if result is None:
        return "the computer does not say"
    if result.state is CheckState.UNKNOWN:
        return f"it could not be told: {result.words or 'no reason is given'}"
    if result.state is CheckState.BAD:
        return result.words or "is not as it must be"
    if name == CheckKind.ANTIVIRUS and result.state is CheckState.ABSENT:
        return ""
    if result.state is CheckState.ABSENT:
        return result.words or "is not there"
    judge_value = _JUDGES.get(name)
    return judge_value(policy, result) if judge_value is not None else ""


def _updates(policy: HealthPolicy, result: CheckResult) -> str:
    return _age(result.value, policy.update_days, "the last update was")


def _security(policy: HealthPolicy, result: CheckResult) -> str:
    count = _number(result.value)
    if count is None:
        return "it could not be told: no number is given"
    return f"{count:.0f} security updates are not installed" if count > 0 else ""


def _antivirus(policy: HealthPolicy, result: CheckResult) -> str:
    return _age(result.value, policy.signature_days, "the signatures were made")


def _agent(policy: HealthPolicy, result: CheckResult) -> str:
    if not policy.agent or version_of(result.value) >= version_of(policy.agent):
        return ""
    return f"throughway {result.value} is older than {policy.agent}"


_JUDGES: dict[str, Judge] = {
    CheckKind.UPDATES: _updates,
    CheckKind.SECURITY_UPDATES: _security,
    CheckKind.ANTIVIRUS: _antivirus,
    CheckKind.AGENT: _agent,
}


def _age(value: str, most: int, what: str) -> str:
    days = _number(value)
    if days is None:
        return "it could not be told: no number of days is given"
    return f"{what} {days:.0f} days ago, at most {most} are allowed" if days > most else ""


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value) else None


def version_of(text: str) -> tuple[int, ...]:
    """Return what of a version can be compared: 1.10.2 comes after 1.9."""
    return tuple(int(part[:9]) for part in re.findall(r"[0-9]+", text.partition("+")[0]))
