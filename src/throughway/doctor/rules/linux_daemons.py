"""What our daemons say of themselves on Linux, and that they say nothing."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from throughway.catalogue import PROBLEMS
from throughway.catalogue.daemons import CLIENT_NOT_RUNNING, GATEWAY_NOT_RUNNING
from throughway.catalogue.internet import INTERNET_DOWN
from throughway.catalogue.iphttps_revocation import BY_FAULT
from throughway.doctor.rule import Rule
from throughway.health.tracker import roots_of
from throughway.model.evidence import Platform, Role
from throughway.model.facts.linux import (
    DaemonReport,
    DaemonState,
    ReportedProblem,
    SeenProblem,
)
from throughway.model.findings import Component, Confidence, Finding, Severity
from throughway.model.revocation import Fault

_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")
_NOT_RUNNING = {Role.CLIENT: CLIENT_NOT_RUNNING, Role.SERVER: GATEWAY_NOT_RUNNING}
_NAMES = {Role.CLIENT: "client", Role.SERVER: "gateway"}
_CLIENT = f"the {_NAMES[Role.CLIENT]}"
_UNKNOWN = {problem.code for fault, problem in BY_FAULT.items() if fault is not Fault.REVOKED}
"""Why it is not known whether a gateway's certificate was revoked."""
_ABOUT_WAYS = {
    code
    for code, problem in PROBLEMS.items()
    if problem.component is Component.INTERNET or INTERNET_DOWN.code in roots_of(problem)
}
"""Who says one of these has looked at the way out, of which a look knows the straight one only."""
_ALL_WAYS = "the client, which knows all ways out, does not"


def reported(report: DaemonReport, said: tuple[ReportedProblem, ...]) -> tuple[Finding, ...]:
    """A daemon, which sees more than any output, has named the problem."""
    name = f"the {_NAMES[report.daemon]}"
    told = tuple(found for each in said if each.by == name and (found := _found(each)))
    return tuple(map(_kept_out, told)) if report.daemon is Role.CLIENT else told


def _kept_out(found: Finding) -> Finding:
    """What is only to be known of one of many at the gateway keeps the one itself out."""
    problem = found.problem
    if problem.component is not Component.AUTHORISER or problem.severity is not Severity.INFO:
        return found
    return replace(found, problem=replace(problem, severity=Severity.CRITICAL))


def seen_from_here(
    said: tuple[SeenProblem, ...],
    told: tuple[ReportedProblem, ...],
    reports: tuple[DaemonReport, ...],
) -> tuple[Finding, ...]:
    """A look at the network around has shown the problem."""
    told_by_client = {each.code for each in told if each.by == _CLIENT}
    if not any(report.daemon is Role.CLIENT for report in reports):
        return tuple(found for each in said if (found := _found(each)))
    looks = (_beside(found, told_by_client) for each in said if (found := _found(each)))
    return tuple(look for look in looks if look is not None)


def _beside(found: Finding, told: set[str]) -> Finding | None:
    """Judge what a look has found by what the client says, which has asked as well."""
    code = found.problem.code
    if code in told:
        return found
    if code in _UNKNOWN:
        return _doubted(found, "the client bears it")
    if told and code == INTERNET_DOWN.code:
        return None if told & _ABOUT_WAYS else _doubted(found, _ALL_WAYS)
    explains = any(code in roots_of(PROBLEMS[each]) for each in told & PROBLEMS.keys())
    if explains and found.confidence is not Confidence.CERTAIN:
        return _doubted(found, "the client, which has seen more of it, does not")
    return found


def _doubted(found: Finding, why: str) -> Finding:
    return replace(found, confidence=Confidence.POSSIBLE, reason=f"{found.reason}; {why}")


def _found(said: ReportedProblem) -> Finding | None:
    problem = PROBLEMS.get(said.code)
    if problem is None:
        return None
    commands = zip((*problem.fix, *problem.verify), (*said.fix, *said.verify), strict=False)
    return Finding(
        problem=problem,
        summary=said.detail or problem.title,
        confidence=Confidence.CERTAIN if said.sure else Confidence.LIKELY,
        reason=f"{said.by} says so",
        evidence=(said.source, *said.also),
        values=tuple(dict(_values(commands)).items()),
    )


def _values(commands: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield what stands in a command for each word in capitals of the catalogue's."""
    for template, filled in commands:
        words = _PLACEHOLDER.findall(template)
        pattern = "(.+?)".join(map(re.escape, _PLACEHOLDER.split(template)))
        match = re.fullmatch(pattern, filled[:1000]) if len(words) <= 4 else None
        if match:
            yield from (
                (word, value)
                for word, value in zip(words, match.groups(), strict=True)
                if word != value
            )


def not_running(state: DaemonState, reports: tuple[DaemonReport, ...]) -> Finding | None:
    """It is configured, and nobody answers on its socket."""
    if not state.configured or state.answers is not False:
        return None
    if any(report.daemon is state.daemon for report in reports):
        return None
    name = _NAMES[state.daemon]
    return Finding(
        problem=_NOT_RUNNING[state.daemon],
        summary=f"The {name} is configured here and does not answer: {state.why or 'no answer'}.",
        reason="its control socket was asked",
        evidence=(state.source,),
    )


RULES = (
    Rule((), reported, platform=Platform.LINUX),
    Rule((), seen_from_here, platform=Platform.LINUX),
    Rule((CLIENT_NOT_RUNNING, GATEWAY_NOT_RUNNING), not_running, platform=Platform.LINUX),
)
"""The first two may find whatever is in the catalogue."""
