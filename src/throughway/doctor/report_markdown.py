"""The report as Markdown: for a ticket or a wiki."""

import re
from collections.abc import Iterable, Iterator

from throughway.doctor.engine import Diagnosed
from throughway.doctor.examination import Examination
from throughway.doctor.report import as_data, host_name, place, quote, verdict, words
from throughway.doctor.way import State, way

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&!])")
_BACKTICKS = re.compile(r"`+")


def as_markdown(examination: Examination) -> str:
    """Return the whole report."""
    return "\n".join(_lines(examination)).rstrip() + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it stands."""
    return _SPECIAL.sub(r"\\\1", quote(text))


def fenced(lines: Iterable[str]) -> Iterator[str]:
    """Yield a block of code; whatever is in it cannot end it."""
    shown = [quote(line) for line in lines]
    longest = max((len(run) for line in shown for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence
    yield from shown
    yield fence


def _lines(examination: Examination) -> Iterator[str]:
    yield "# DirectAccess: diagnosis"
    yield ""
    yield f"**{escaped(verdict(examination))}**"
    yield from _way_lines(examination)
    for number, item in enumerate(examination.diagnosis.findings, start=1):
        yield ""
        yield from _finding_lines(number, item, len(examination.hosts) > 1)
    yield from _rest_lines(examination)


def _way_lines(examination: Examination) -> Iterator[str]:
    for number, host in enumerate(examination.hosts if examination.could_tell else ()):
        links = way(examination, number)
        name = f" ({escaped(host_name(host))})" if host_name(host) else ""
        yield ""
        yield f"The way{name}: " + " → ".join(
            f"**{link.title}: {link.state}**"
            if link.state in {State.BROKEN, State.DOUBTFUL}
            else f"{link.title}: {link.state}"
            for link in links
        )


def _finding_lines(number: int, item: Diagnosed, several: bool) -> Iterator[str]:
    finding, said = item.finding, words(item)
    where = f" ({escaped(host_name(item.host))})" if several and host_name(item.host) else ""
    yield f"## {number}. {escaped(finding.problem.title)}{where}"
    yield ""
    yield escaped(finding.summary)
    yield ""
    yield f"- Code: `{finding.problem.code}`, {finding.problem.severity}"
    yield f"- Confidence: {finding.confidence}, because {escaped(finding.reason)}."
    yield f"- Cause: {escaped(said.cause)}"
    yield f"- What to do: {escaped(said.resolution)}"
    if item.consequences:
        titles = dict.fromkeys(f.finding.problem.title for f in item.consequences)
        yield f"- From it follows: {escaped('; '.join(titles))}."
    yield from _block("Evidence", [f"{place(s)}: {s.text}" for s in finding.evidence])
    yield from _block("Commands", said.fix)
    yield from _block("What proves it mended", said.verify)


def _block(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield ""
        yield f"{title}:"
        yield ""
        yield from fenced(lines)


def _rest_lines(examination: Examination) -> Iterator[str]:
    data = as_data(examination)
    if data["unanswered"]:
        yield ""
        yield "## Could not judge"
        for question in data["unanswered"]:
            yield ""
            yield escaped(question["question"])
            yield from _block("Run", question["collect"])
    if data["unrecognised"]:
        yield ""
        yield "## Not recognised"
        yield ""
        yield from (f"- {escaped(file)}" for file in data["unrecognised"])
