"""Findings as data, and lines for people: with rich on a terminal, plain in a pipe."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from throughway.probe.analysis.folding import Judged, advice_for

MAXIMUM_WIDTH = 110
"""Characters of a line of text; longer ones are hard to read."""
_STEP = 2
_STYLES = {
    "critical": "bold red",
    "warning": "bold yellow",
    "info": "bold blue",
    "well": "bold green",
    "bold": "bold",
    "command": "cyan",
    "dim": "dim",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report: its text, its style, its indentation."""

    text: str
    style: str = ""
    indent: int = 0


def finding_data(judged: Judged, *, windows: bool) -> dict[str, Any]:
    """Return one finding as data."""
    finding = judged.finding
    said = advice_for(finding, windows=windows)
    return {
        "code": finding.problem.code,
        "title": finding.problem.title,
        "severity": finding.problem.severity,
        "component": finding.problem.component,
        "summary": finding.summary,
        "confidence": finding.confidence,
        "reason": finding.reason,
        "step": finding.evidence[0].file,
        "cause": said.cause,
        "resolution": said.resolution,
        "fix": said.fix,
        "verify": said.verify,
        "consequences": tuple(each.problem.code for each in judged.consequences),
    }


def finding_lines(judged: Judged, *, windows: bool) -> Iterator[Line]:
    """Yield one finding with what mends it."""
    finding, said = judged.finding, advice_for(judged.finding, windows=windows)
    yield Line(finding.problem.title, finding.problem.severity.value)
    yield Line(f"{finding.problem.code} · {finding.problem.severity}", "dim", 1)
    yield Line(finding.summary, "", 1)
    yield Line(f"Confidence: {finding.confidence}, because {finding.reason}.", "", 1)
    yield Line(f"Cause: {said.cause}", "", 1)
    yield Line(f"What to do: {said.resolution}", "", 1)
    yield from (Line(command, "command", 2) for command in said.fix)
    if said.verify:
        yield Line("What proves it mended:", "", 1)
        yield from (Line(command, "command", 2) for command in said.verify)
    if judged.consequences:
        titles = dict.fromkeys(each.problem.title for each in judged.consequences)
        yield Line("From it follows: " + "; ".join(titles) + ".", "", 1)


def plain(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the lines for a pipe: no colours, nothing cut, nothing that moves a cursor."""
    for line in lines:
        yield f"{' ' * (line.indent * _STEP)}{_printable(line.text)}".rstrip()


def show(lines: Iterable[Line], stream: IO[str]) -> None:
    """Print to a terminal, as wide as that is."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    width = min(console.width, MAXIMUM_WIDTH)
    for line in lines:
        text = Text(_printable(line.text), style=_STYLES.get(line.style, ""))
        if line.style == "command":
            console.print(Text(" " * (line.indent * _STEP)) + text, soft_wrap=True)
        else:
            console.print(Padding(text, (0, 0, 0, line.indent * _STEP)), width=width)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
