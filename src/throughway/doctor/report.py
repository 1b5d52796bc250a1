"""A diagnosis as data (schema 1), and the words that every form of the report shares."""

import re
from collections.abc import Iterator
from typing import Any

from throughway.catalogue.host import BUG
from throughway.catalogue.on_windows.advice import advice
from throughway.doctor.engine import Diagnosed, Unanswered
from throughway.doctor.examination import Examination
from throughway.model.evidence import Platform, Source
from throughway.model.facts.base import Host
from throughway.model.findings import Advice, Severity

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys do not raise it."""
WELL = 0
FINDINGS = 1
COULD_NOT_TELL = 3
MAXIMUM_QUOTE = 400
"""Characters of a line that are quoted to people; the whole line is in the data."""
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")
_HARMLESS = re.compile(r"(?!.*://.* )[\w.:/\\@%*+=,{}\- ]+")
"""What a value from somebody's evidence may hold to stand in a command that will be pasted."""


def verdict(examination: Examination) -> str:
    """Return the whole in one sentence."""
    findings = [i.finding for i in examination.diagnosis.findings]
    wrong = [f for f in findings if f.problem.severity is not Severity.INFO]
    ours = [f for f in wrong if f.problem is BUG]
    wrong = [f for f in wrong if f.problem is not BUG]
    facts = examination.reading.facts
    if not examination.could_tell:
        return "Could not tell: nothing in this is evidence of a kind that is known."
    if ours and not wrong:
        return "Could not tell: this program failed, as is said below."
    if not wrong:
        seen = f"{facts} fact{'s' if facts != 1 else ''}"
        remarks = f"; {len(findings)} to know" if findings else ""
        return f"Nothing wrong in what was shown ({seen}{remarks})."
    if len(wrong) == 1:
        return f"{wrong[0].problem.title}."
    return f"{len(wrong)} problems; first: {wrong[0].problem.title}."


def exit_code(examination: Examination) -> int:
    """Return 0 when nothing is wrong, 1 with findings, 3 when there was nothing to judge.

    Our own mistakes are no findings about the machine: with them alone, nobody could tell.
    """
    problems = [item.finding.problem for item in examination.diagnosis.findings]
    if any(p.severity is not Severity.INFO and p is not BUG for p in problems):
        return FINDINGS
    return WELL if examination.could_tell and BUG not in problems else COULD_NOT_TELL


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
    """Put the values of the case into a command; a value that a shell would act on stays out."""
    values = {key: value for key, value in item.finding.values if _HARMLESS.fullmatch(value)}
    return _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), text) if values else text


def host_name(host: Host) -> str:
    """Return what to call a host: its name, or its role."""
    return host.name or (host.role or "")


def place(source: Source) -> str:
    """Return where a quoted line stands."""
    return f"{source.file}:{source.line}" if source.line else source.file


def quote(text: str) -> str:
    """Return evidence as it can be shown: one line, not endless, nothing that moves a cursor."""
    text = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)
    return text if len(text) <= MAXIMUM_QUOTE else text[:MAXIMUM_QUOTE] + "…"


def words(item: Diagnosed) -> Advice:
    """Return the advice with the case's values in its commands."""
    problem = item.finding.problem
    said = advice(problem) if item.host.platform is Platform.WINDOWS else problem
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
