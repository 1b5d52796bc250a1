"""Findings in order: causes first, what follows from them below."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from throughway.catalogue import find
from throughway.catalogue.on_windows.advice import advice
from throughway.model.evidence import Source
from throughway.model.findings import Advice, Confidence, Finding, Problem, Severity
from throughway.model.probing import ProbeSeen

_WEIGHT = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_SURENESS = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")
_HARMLESS = re.compile(r"[\w.:/\\@%*+=,{}\[\]\-]+")
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


def target_values(seen: ProbeSeen) -> tuple[tuple[str, str], ...]:
    """Return what stands for the placeholders of commands about a probed server."""
    target, went_to = seen.target, seen.went_to
    values = ("HOST", target.host), ("PORT", str(target.port)), ("URL", target.url)
    if not went_to:
        return values
    return (*values, ("ADDRESS", f"[{went_to}]" if ":" in went_to else went_to))


def fold(findings: Sequence[Finding]) -> tuple[Judged, ...]:
    """Merge what says the same; put each consequence below the cause that was found, too."""
    merged: dict[tuple[str, tuple[tuple[str, str], ...]], Finding] = {}
    for finding in sorted(findings, key=_order):
        key = finding.problem.code, finding.values
        merged[key] = _both(merged[key], finding) if key in merged else finding
    every = tuple(merged.values())
    causes = {id(each): _cause(each, every) for each in every}
    roots = [each for each in every if causes[id(each)] is None]
    return tuple(
        Judged(root, tuple(e for e in every if e is not root and _root(e, causes) is root))
        for root in roots
    )


def _both(surer: Finding, other: Finding) -> Finding:
    """Return one finding of a problem that was seen twice: what is to be done is the same."""
    if other.summary in surer.summary:
        return surer
    return replace(
        surer,
        summary=f"{surer.summary} {other.summary}",
        evidence=tuple(dict.fromkeys((*surer.evidence, *other.evidence))),
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
    if "ADDRESS" in values:  # the name's own addresses were not asked
        text = text.replace("-connect HOST:", "-connect ADDRESS:")
    return _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), text)
