"""What health a policy may want of computers: its form, checked alike on gateway and client."""

import re
from datetime import date

from throughway.model.statement import (
    MAX_CHECKS,
    CheckKind,
    HealthMode,
    HealthPolicy,
    PolicyCheck,
    SubjectKind,
)
from throughway.pki.fields import Fields, check_text

MAX_HOURS = 24 * 30
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_SUBJECTS = {
    SubjectKind.FILE: re.compile(r"/[^\0]{1,500}"),
    SubjectKind.SERVICE: re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@._:\\-]{0,200}"),
    SubjectKind.PACKAGE: re.compile(r"[a-z0-9][a-z0-9+.-]{1,100}"),
    SubjectKind.SYSCTL: re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+){1,8}"),
}


def check_own_name(value: str) -> str:
    """Return the name of a check that the policy adds."""
    if not _NAME.fullmatch(value) or value in set(CheckKind):
        raise ValueError(f"must be a name of its own (a-z, 0-9, -), is {value!r}")
    return value


def check_subject(kind: SubjectKind, subject: str, value: str) -> None:
    """Refuse what a check of this kind cannot look at."""
    if not _SUBJECTS[kind].fullmatch(subject) or ".." in subject:
        raise ValueError(f"{subject!r} is no subject of a check of kind {kind}")
    if kind is SubjectKind.FILE and value and not _DIGEST.fullmatch(value):
        raise ValueError("value of a file must be its SHA-256, 64 hexadecimal digits")
    if kind is SubjectKind.SYSCTL and not value:
        raise ValueError("value of a sysctl is missing")
    if kind is SubjectKind.SERVICE and value:
        raise ValueError("a service has no value")
    if kind is SubjectKind.PACKAGE and value and not re.fullmatch(r"[0-9][\w.+:~-]*", value):
        raise ValueError("value of a package must be a version")


def check_whole(policy: HealthPolicy) -> None:
    """Refuse what does not go together."""
    names = [check.name for check in policy.checks]
    if len(set(names)) != len(names):
        raise ValueError("checks must have names of their own")
    for name in policy.required:
        if name not in {*CheckKind, *names}:
            known = ", ".join((*CheckKind, *names))
            raise ValueError(f"required: {name} is no check; there are {known}")
    if policy.mode is HealthMode.DEFERRED and not policy.deferred_until:
        raise ValueError('mode "deferred" needs deferred_until, a date such as "2027-01-31"')
    if policy.deferred_until and not _is_date(policy.deferred_until):
        raise ValueError(f'deferred_until must be "YYYY-MM-DD", is {policy.deferred_until!r}')


def read_health(table: Fields) -> HealthPolicy:
    """Read the part of a policy bundle; older bundles have none."""
    default = HealthPolicy()
    checks = table.tables("checks", MAX_CHECKS) if table.has("checks") else []
    policy = HealthPolicy(
        mode=HealthMode(table.text("mode", _check_mode, default.mode) or default.mode),
        required=table.texts("required", check_text, default=default.required),
        hours=table.integer("hours", 1, default.hours),
        deferred_until=table.optional_text("deferred_until", check_text),
        update_days=table.integer("update_days", 1, default.update_days),
        signature_days=table.integer("signature_days", 1, default.signature_days),
        agent=table.optional_text("agent", check_text),
        checks=tuple(_read_check(check) for check in checks),
    )
    try:
        check_whole(policy)
    except ValueError as error:
        table.refuse("mode", str(error))
    table.gather(*checks)
    return policy


def _read_check(table: Fields) -> PolicyCheck:
    kind = table.text("kind", _check_kind) or SubjectKind.FILE
    check = PolicyCheck(
        name=table.text("name", check_own_name),
        kind=SubjectKind(kind),
        subject=table.text("subject"),
        value=table.optional_text("value", check_text),
        fix=table.optional_text("fix", check_text),
    )
    try:
        check_subject(check.kind, check.subject, check.value)
    except ValueError as error:
        table.refuse("subject", str(error))
    table.gather()
    return check


def _check_mode(value: str) -> str:
    return _one_of(value, tuple(HealthMode))


def _check_kind(value: str) -> str:
    return _one_of(value, tuple(SubjectKind))


def _one_of(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"must be one of {', '.join(known)}, is {value!r}")
    return value


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
