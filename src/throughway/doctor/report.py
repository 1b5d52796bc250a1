"""A diagnosis as data (schema 1) and as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from throughway.catalogue.on_windows.advice import advice
from throughway.doctor.engine import Diagnosed, Unanswered
from throughway.doctor.examination import Examination
from throughway.model.facts.base import Host
from throughway.model.findings import Advice, Severity

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys do not raise it."""
WELL = 0
FINDINGS = 1
COULD_NOT_TELL = 3
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")


def exit_code(examination: Examination) -> int:
    """Return 0 when nothing is wrong, 1 with findings, 3 when there was nothing to judge."""
    if any(d.finding.problem.severity is not Severity.INFO for d in examination.diagnosis.findings):
        return FINDINGS
    return WELL if examination.could_tell else COULD_NOT_TELL


def as_data(examination: Examination) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "schema": SCHEMA,
        "diagnosis": [_finding_data(item) for item in examination.diagnosis.findings],
        "unanswered": [
            *(_question_data(item) for item in examination.diagnosis.unanswered),
            *_unreadable_data(examination),
        ],
        "facts": examination.reading.facts,
        "unrecognised": examination.reading.unrecognised,
    }


def filled(text: str, item: Diagnosed) -> str:
    """Put the values of the case into a command."""
    values = dict(item.finding.values)
    return _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), text) if values else text


def host_name(host: Host) -> str:
    """Return what to call a host: its name, or its role."""
    return host.name or (host.role or "")


def words(item: Diagnosed) -> Advice:
    """Return the advice with the case's values in its commands."""
    said = advice(item.finding.problem)
    return Advice(
        cause=said.cause,
        resolution=said.resolution,
        fix=tuple(filled(command, item) for command in said.fix),
        verify=tuple(filled(command, item) for command in said.verify),
    )


def _finding_data(item: Diagnosed) -> dict[str, Any]:
    finding, said = item.finding, words(item)
    return {
        "code": finding.problem.code,
        "title": finding.problem.title,
        "component": finding.problem.component.value,
        "host": host_name(item.host),
        "severity": finding.problem.severity.value,
        "confidence": finding.confidence.value,
        "reason": finding.reason,
        "summary": finding.summary,
        "cause": said.cause,
        "resolution": said.resolution,
        "fix": list(said.fix),
        "verify": list(said.verify),
        "evidence": [
            {"source": source.file, "line": source.line, "text": source.text}
            for source in finding.evidence
        ],
        "consequences": list(
            dict.fromkeys(follower.finding.problem.code for follower in item.consequences)
        ),
    }


def _question_data(question: Unanswered) -> dict[str, Any]:
    return {
        "question": question.question,
        "host": host_name(question.host),
        "needs": list(question.needs),
        "collect": list(question.collect),
        "problems": list(question.problems),
    }


def _unreadable_data(examination: Examination) -> Iterator[dict[str, Any]]:
    for item in examination.reading.unreadable:
        yield {
            "question": f"What does {item.file} say? It is no whole output: {item.why}.",
            "host": "",
            "needs": [],
            "collect": [item.parser],
            "problems": [],
        }
    for file, why in examination.unreadable:
        yield {
            "question": f"What does {file} say? It could not be read: {why}.",
            "host": "",
            "needs": [],
            "collect": [],
            "problems": [],
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report for people: its style, its indentation, its text."""

    text: str
    style: str = ""
    indent: int = 0


def as_lines(examination: Examination) -> Iterator[Line]:
    """Yield the report for people, unwrapped."""
    several = len(examination.hosts) > 1
    for number, item in enumerate(examination.diagnosis.findings, start=1):
        if number > 1:
            yield Line("")
        yield from _finding_lines(item, several)
    if not examination.diagnosis.findings:
        yield Line(_verdict(examination), "bold")
    yield from _rest_lines(examination)


def _verdict(examination: Examination) -> str:
    if not examination.could_tell:
        return "Could not tell: nothing in this is evidence of a kind that is known."
    return f"Nothing wrong in what was shown ({examination.reading.facts} facts)."


def _finding_lines(item: Diagnosed, several: bool) -> Iterator[Line]:
    finding, said = item.finding, words(item)
    where = f" [{host_name(item.host)}]" if several and host_name(item.host) else ""
    yield Line(f"{finding.problem.title}{where}", finding.problem.severity.value)
    yield Line(f"{finding.problem.code} · {finding.problem.severity}", "dim", 1)
    yield Line(finding.summary, "", 1)
    yield Line(f"Confidence: {finding.confidence}, because {finding.reason}.", "", 1)
    for source in finding.evidence:
        line = f":{source.line}" if source.line else ""
        yield Line(f"{source.file}{line}: {source.text}", "evidence", 1)
    yield Line(f"Cause: {said.cause}", "", 1)
    yield Line(f"What to do: {said.resolution}", "", 1)
    yield from (Line(command, "command", 2) for command in said.fix)
    if said.verify:
        yield Line("What proves it mended:", "", 1)
        yield from (Line(command, "command", 2) for command in said.verify)
    if item.consequences:
        titles = dict.fromkeys(f.finding.problem.title for f in item.consequences)
        yield Line("From it follows: " + "; ".join(titles) + ".", "", 1)


def _rest_lines(examination: Examination) -> Iterator[Line]:
    data = as_data(examination)
    if data["unanswered"]:
        yield Line("")
        yield Line("Could not judge:", "bold")
        for question in data["unanswered"]:
            yield Line(question["question"], "", 1)
            yield from (Line(command, "command", 2) for command in question["collect"])
    if data["unrecognised"]:
        yield Line("")
        yield Line("Not recognised: " + ", ".join(data["unrecognised"]), "dim")
