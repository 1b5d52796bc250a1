"""Findings in order: causes first, what follows from them below."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from throughway.catalogue import find
from throughway.catalogue.on_windows.advice import advice
from throughway.model.evidence import Source
from throughway.model.findings import Advice, Confidence, Finding, Problem, Severity

_WEIGHT = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_SURENESS = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")
_HARMLESS = re.compile(r"[\w.:/\\@%*+=,{}\- ]+")
"""What a stranger's value may hold to stand in a command that will be pasted."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A root cause, and what else follows from it."""

    finding: Finding
    consequences: tuple[Finding, ...] = ()


def found(
    code: str,
    summary: str,
    reason: str,
    *,
    step: str,
    confidence: Confidence = Confidence.CERTAIN,
    values: Iterable[tuple[str, str]] = (),
) -> Finding:
    """Return a finding of the catalogue's problem of that code; ``step`` is where it was seen."""
    return Finding(
        problem=find(code),
        summary=summary,
        confidence=confidence,
        reason=reason,
        evidence=(Source(step),),
        values=tuple(values),
    )


def fold(findings: Sequence[Finding]) -> tuple[Judged, ...]:
    """Merge what says the same; put each consequence below the cause that was found, too."""
    merged: dict[tuple[str, str], Finding] = {}
    for finding in sorted(findings, key=_order):
        merged.setdefault((finding.problem.code, finding.summary), finding)
    every = tuple(merged.values())
    causes = {id(each): _cause(each, every) for each in every}
    roots = [each for each in every if causes[id(each)] is None]
    return tuple(
        Judged(root, tuple(e for e in every if e is not root and _root(e, causes) is root))
        for root in roots
    )


def _root(finding: Finding, causes: dict[int, Finding | None]) -> Finding:
    while (cause := causes[id(finding)]) is not None:
        finding = cause
    return finding


def _cause(finding: Finding, every: Iterable[Finding]) -> Finding | None:
    ancestors = _ancestors(finding.problem)
    for other in every:
        vague = other.confidence is Confidence.POSSIBLE
        if other.problem.code in ancestors and not (
            vague and finding.confidence is not Confidence.POSSIBLE
        ):
            return other
    return None


def _ancestors(problem: Problem) -> set[str]:
    """Return the codes of everything from which a problem may follow."""
    known: set[str] = set()
    waiting = list(problem.depends_on)
    while waiting:
        root = waiting.pop()
        if root.code not in known:
            known.add(root.code)
            waiting += root.depends_on
    return known


def _order(finding: Finding) -> tuple[int, int]:
    return _WEIGHT.index(finding.problem.severity), _SURENESS.index(finding.confidence)


def advice_for(finding: Finding, *, windows: bool) -> Advice:
    """Return what to do, in the words of the system that the server runs, with the values."""
    problem = finding.problem
    said = advice(problem) if windows else problem
    return Advice(
        cause=said.cause,
        resolution=said.resolution,
        fix=tuple(_filled(command, finding) for command in said.fix),
        verify=tuple(_filled(command, finding) for command in said.verify),
    )


def _filled(text: str, finding: Finding) -> str:
    values = {key: value for key, value in finding.values if _HARMLESS.fullmatch(value)}
    return _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), text)
