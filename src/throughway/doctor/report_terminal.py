"""The report for people: with rich on a terminal, as plain lines in a pipe."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from throughway.doctor.engine import Diagnosed
from throughway.doctor.examination import Examination
from throughway.doctor.report import as_data, host_name, place, quote, verdict, words
from throughway.doctor.way import State, way
from throughway.model.findings import Severity

MAXIMUM_WIDTH = 110
"""Characters of a line of text; longer ones are hard to read."""
MAXIMUM_QUESTION_LINES = 8
"""Lines of what could not be judged: it is there to be looked up, the diagnosis to be read."""
_STEP = 2
_STYLES = {
    "critical": "bold red",
    "warning": "bold yellow",
    "info": "bold blue",
    "well": "bold green",
    "bold": "bold",
    "command": "cyan",
    "evidence": "italic",
    "dim": "dim",
}
_VERBATIM = frozenset({"command", "evidence"})
"""Styles of lines that are copied: they are never cut at a width."""
_MARKS = {
    State.BROKEN: "✗",
    State.DOUBTFUL: "!",
    State.FOLLOWS: "↳",
    State.WELL: "✓",
    State.UNKNOWN: "?",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report for people: its style, its indentation, its text."""

    text: str
    style: str = ""
    indent: int = 0


def as_lines(examination: Examination) -> Iterator[Line]:
    """Yield the report for people, unwrapped."""
    yield Line(verdict(examination), _verdict_style(examination))
    yield from _way_lines(examination)
    several = len(examination.hosts) > 1
    for item in examination.diagnosis.findings:
        yield Line("")
        yield from _finding_lines(item, several)
    yield from _rest_lines(examination)


def show(examination: Examination, stream: IO[str]) -> None:
    """Print the report to a terminal, as wide as that is."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    width = min(console.width, MAXIMUM_WIDTH)
    for line in as_lines(examination):
        text = Text(line.text, style=_STYLES.get(line.style, ""))
        if line.style in _VERBATIM:
            blanks = Text(" " * (line.indent * _STEP))
            console.print(blanks + text, soft_wrap=True)
        else:
            console.print(Padding(text, (0, 0, 0, line.indent * _STEP)), width=width)


def plain(examination: Examination) -> Iterator[str]:
    """Yield the report for a pipe: no colours, nothing cut."""
    for line in as_lines(examination):
        yield f"{' ' * (line.indent * _STEP)}{line.text}"


def _verdict_style(examination: Examination) -> str:
    severities = [item.finding.problem.severity for item in examination.diagnosis.findings]
    for severity in (Severity.CRITICAL, Severity.WARNING):
        if severity in severities:
            return severity.value
    return "well" if examination.could_tell else "warning"


def _way_lines(examination: Examination) -> Iterator[Line]:
    if not examination.could_tell:
        return
    for number, host in enumerate(examination.hosts):
        links = way(examination, number)
        if all(link.state is State.UNKNOWN for link in links):
            continue
        chain = " — ".join(f"{_MARKS[link.state]} {link.title}" for link in links)
        name = f"[{host_name(host)}] " if len(examination.hosts) > 1 and host_name(host) else ""
        yield Line(f"{name}{chain}", "dim")


def _finding_lines(item: Diagnosed, several: bool) -> Iterator[Line]:
    finding, said = item.finding, words(item)
    where = f" [{host_name(item.host)}]" if several and host_name(item.host) else ""
    yield Line(f"{finding.problem.title}{where}", finding.problem.severity.value)
    yield Line(f"{finding.problem.code} · {finding.problem.severity}", "dim", 1)
    yield Line(quote(finding.summary), "", 1)
    yield Line(f"Confidence: {finding.confidence}, because {finding.reason}.", "", 1)
    for source in finding.evidence:
        yield Line(f"{place(source)}: {quote(source.text)}", "evidence", 1)
    yield Line(f"Cause: {said.cause}", "", 1)
    yield Line(f"What to do: {said.resolution}", "", 1)
    yield from (Line(command, "command", 2) for command in said.fix)
    if said.verify:
        yield Line("What proves it mended:", "", 1)
        yield from (Line(command, "command", 2) for command in said.verify)
    if item.consequences:
        titles = dict.fromkeys(f.finding.problem.title for f in item.consequences)
        yield Line("From it follows: " + "; ".join(titles) + ".", "", 1)


def _question_lines(questions: list[dict[str, Any]]) -> Iterator[Line]:
    """Yield what could not be read, then questions with what answers them, as many as fit."""
    room = MAXIMUM_QUESTION_LINES
    left = len(questions)
    for question in sorted(questions, key=lambda question: bool(question["collect"])):
        commands = question["collect"][: MAXIMUM_QUESTION_LINES - 2]
        if 1 + len(commands) + (left > 1) > room:
            break
        yield Line(quote(question["question"]), "", 1)
        yield from (Line(command, "command", 2) for command in commands)
        room -= 1 + len(commands)
        left -= 1
    if left:
        yield Line(f"… and {left} more: --markdown, --html and --json say all of them.", "dim", 1)


def _rest_lines(examination: Examination) -> Iterator[Line]:
    data = as_data(examination)
    if data["unanswered"]:
        yield Line("")
        yield Line("Could not judge:", "bold")
        yield from _question_lines(data["unanswered"])
    if data["unrecognised"]:
        yield Line("")
        yield Line("Not recognised: " + ", ".join(data["unrecognised"]), "dim")
