"""What both daemons tell Prometheus: states, problems, checks, dates and outcomes.

No label names a client, a user or an address: their number is bounded by what our own code knows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from throughway.health import log
from throughway.model.audit import AuditEvent, Outcome
from throughway.model.status import CheckStatus, ComponentState, ComponentStatus, Condition
from throughway.wire.exposition import Family, Kind


@dataclass(frozen=True, slots=True)
class Kept:
    """What a daemon knows beside its snapshot."""

    deadlines: Mapping[str, float] = field(default_factory=dict)
    """When what ends: certificates by their use, and the policy; seconds since 1970."""
    outcomes: Mapping[tuple[AuditEvent, Outcome], int] = field(default_factory=dict)
    """What the audit was told, since the start."""


def of_health(
    prefix: str,
    components: tuple[ComponentStatus, ...],
    problems: tuple[Condition, ...],
    checks: tuple[CheckStatus, ...],
) -> Iterator[Family]:
    """Yield the states of components and checks, and the problems that hold."""
    states = Family(
        f"{prefix}component_state", "1 for the state that a component is in, 0 for the others."
    )
    for component in components:
        for state in ComponentState:
            value = int(component.state is state)
            states.add(value, component=component.component, state=state)
    yield states
    held = Family(f"{prefix}problem", "Problems that hold now, by code.")
    for code, severity in sorted({(p.code, p.severity) for p in problems}):
        held.add(sum(p.code == code for p in problems), code=code, severity=severity)
    yield held
    yield from _checks(prefix, checks)


def _checks(prefix: str, checks: tuple[CheckStatus, ...]) -> Iterator[Family]:
    states = Family(
        f"{prefix}check_state", "1 for the state that a check has found, 0 for the others."
    )
    took = Family(f"{prefix}check_seconds", "What the last look took.")
    looked = Family(f"{prefix}check_looked_timestamp_seconds", "When the last look was.")
    for check in checks:
        for state in ComponentState:
            states.add(int(check.state is state), check=check.name, state=state)
        if check.looked_at:
            took.add(check.took, check=check.name)
            looked.add(check.looked_at, check=check.name)
    yield from (states, took, looked)


def of_kept(prefix: str, kept: Kept) -> Iterator[Family]:
    """Yield dates, outcomes of authentications, and what the log has left out."""
    ends = Family(f"{prefix}expiry_timestamp_seconds", "When a certificate, or the policy, ends.")
    for what, at in sorted(kept.deadlines.items()):
        ends.add(at, what=what)
    yield ends
    outcomes = Family(
        f"{prefix}authentications_total", "Handshakes and logons, by the audit.", Kind.COUNTER
    )
    for (event, outcome), count in sorted(kept.outcomes.items()):
        outcomes.add(count, event=event, outcome=outcome)
    yield outcomes
    left_out = Family(
        f"{prefix}log_left_out_total", "Lines that a flood kept out of the log.", Kind.COUNTER
    )
    yield left_out.add(log.left_out())
