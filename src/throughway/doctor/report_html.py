"""The report as one page for whoever pays for the line: no scripts, nothing from elsewhere."""

from collections.abc import Iterable, Iterator
from html import escape

from throughway.doctor.engine import Diagnosed
from throughway.doctor.examination import Examination
from throughway.doctor.report import as_data, host_name, place, quote, verdict, words
from throughway.doctor.way import Link, State, way
from throughway.model.findings import Severity

_STYLE = """
:root { --ink: #1c2733; --soft: #5b6875; --line: #d5dce3; --page: #f4f6f8; --card: #fff;
  --broken: #b3261e; --doubtful: #8a5a00; --follows: #7a5c99; --well: #1b6e3c; --unknown: #6b7680;
  --alarm: #b3261e; color-scheme: light dark; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #a3aeb9;
  --line: #3a444e; --page: #14191e; --card: #1d242b; --alarm: #ff9a90; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 "Segoe UI", system-ui, -apple-system, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.1rem; font-weight: 600; color: var(--soft); margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 0 0 .25rem; } h3 { font-size: 1rem; margin: 1.1rem 0 .3rem; }
p { margin: .4rem 0; }
.verdict { font-size: 1.6rem; font-weight: 650; line-height: 1.3; margin: 0 0 1.5rem;
  padding-left: .8rem; border-left: .35rem solid var(--well); }
.verdict.critical { border-color: var(--broken); }
.verdict.warning { border-color: var(--doubtful); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: 1.2rem 1.4rem; margin: 0 0 1.2rem; }
.soft, .key { color: var(--soft); font-size: .9rem; }
.way { list-style: none; overflow: hidden; display: grid; row-gap: 1rem; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(5rem, 1fr)); margin: .8rem 0 .4rem; }
.way li { position: relative; text-align: center; font-size: .8rem; overflow-wrap: normal; }
.way li::before { content: ""; position: absolute; top: .95rem; left: -50%; width: 100%;
  border-top: .2rem solid var(--line); }
.way li:first-child::before { display: none; }
.way b { position: relative; z-index: 1; display: block; width: 2rem; height: 2rem;
  margin: 0 auto .3rem; border-radius: 50%; line-height: 2rem; font-size: 1rem; color: #fff;
  background: var(--unknown); }
.way .broken b { background: var(--broken); } .way .doubtful b { background: var(--doubtful); }
.way .follows b { background: var(--follows); } .way .well b { background: var(--well); }
.way .broken { font-weight: 700; color: var(--alarm); }
.way .broken::before { border-top-style: dashed; border-color: var(--alarm); }
.way span { display: block; color: var(--soft); font-weight: 400; }
pre { margin: .3rem 0; padding: .6rem .8rem; background: var(--page); border-radius: .35rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.5 Consolas, Menlo, monospace; }
table { width: 100%; border-collapse: collapse; font-size: .85rem; }
td { border-top: 1px solid var(--line); padding: .3rem .5rem .3rem 0; vertical-align: top; }
td:first-child { width: 12rem; color: var(--soft); }
@media (max-width: 40rem) { td { display: block; border: 0; padding: 0 0 .3rem; }
  td:first-child { width: auto; border-top: 1px solid var(--line); padding: .3rem 0 0; } }
td code { overflow-wrap: anywhere; white-space: pre-wrap; font-family: Consolas, Menlo, monospace; }
.tag { display: inline-block; padding: 0 .5rem; border-radius: 1rem; color: #fff; font-size: .8rem;
  background: var(--unknown); }
.tag.critical { background: var(--broken); } .tag.warning { background: var(--doubtful); }
details summary { cursor: pointer; }
@media print { body { background: #fff; } .card { break-inside: avoid; }
  .way b, .tag { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
""".strip()
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MARKS = {
    State.BROKEN: "✗",
    State.DOUBTFUL: "!",
    State.FOLLOWS: "↳",
    State.WELL: "✓",
    State.UNKNOWN: "?",
}
_SAYS = {
    State.BROKEN: "broken here",
    State.DOUBTFUL: "look at this",
    State.FOLLOWS: "follows",
    State.WELL: "nothing wrong seen",
    State.UNKNOWN: "not judged",
}


def as_html(examination: Examination) -> str:
    """Return the page."""
    body = "\n".join(_body(examination))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>DirectAccess: {_said(verdict(examination))}</title>\n"
        f"<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _said(text: str) -> str:
    return escape(quote(text), quote=True)


def _body(examination: Examination) -> Iterator[str]:
    yield "<h1>DirectAccess: diagnosis</h1>"
    yield f'<p class="verdict {_worst(examination)}">{_said(verdict(examination))}</p>'
    for number, _ in enumerate(examination.hosts if examination.could_tell else ()):
        yield from _chain(examination, number)
    for item in examination.diagnosis.findings:
        yield from _finding(item, len(examination.hosts) > 1)
    yield from _rest(examination)


def _worst(examination: Examination) -> str:
    severities = [item.finding.problem.severity for item in examination.diagnosis.findings]
    if Severity.CRITICAL in severities:
        return "critical"
    return "warning" if Severity.WARNING in severities or not examination.could_tell else ""


def _chain(examination: Examination, number: int) -> Iterator[str]:
    host = examination.hosts[number]
    title = f"The way of {_said(host_name(host))}" if host_name(host) else "The way"
    yield f'<section class="card"><h2>{title}</h2>\n<ol class="way">'
    yield from (_link(link) for link in way(examination, number))
    yield "</ol></section>"


def _link(link: Link) -> str:
    titles = "; ".join(dict.fromkeys(i.finding.problem.title for i in link.findings))
    return (
        f'<li class="{link.state}" title="{_said(titles)}"><b>{_MARKS[link.state]}</b>'
        f"{_said(link.title)}<span>{_SAYS[link.state]}</span></li>"
    )


def _finding(item: Diagnosed, several: bool) -> Iterator[str]:
    finding, said = item.finding, words(item)
    problem = finding.problem
    where = f" · {_said(host_name(item.host))}" if several and host_name(item.host) else ""
    yield f'<section class="card"><h2>{_said(problem.title)}</h2>'
    yield (
        f'<p class="soft"><span class="tag {problem.severity}">{problem.severity}</span> '
        f"{_said(problem.code)}{where}</p>"
    )
    yield f"<p><strong>{_said(finding.summary)}</strong></p>"
    yield (
        f'<p><span class="key">Confidence:</span> {finding.confidence}, because '
        f"{_said(finding.reason)}.</p>"
    )
    yield f'<p><span class="key">Cause:</span> {_said(said.cause)}</p>'
    yield f'<p><span class="key">What to do:</span> {_said(said.resolution)}</p>'
    yield from _commands("Commands", said.fix)
    yield from _commands("What proves it mended", said.verify)
    if finding.evidence:
        yield "<h3>On what this stands</h3>\n<table>"
        for source in finding.evidence:
            line = f"<code>{_said(source.text)}</code>"
            yield f"<tr><td>{_said(place(source))}</td><td>{line}</td></tr>"
        yield "</table>"
    if item.consequences:
        titles = "; ".join(dict.fromkeys(f.finding.problem.title for f in item.consequences))
        yield f'<p><span class="key">From it follows:</span> {_said(titles)}.</p>'
    yield "</section>"


def _commands(title: str, commands: Iterable[str]) -> Iterator[str]:
    lines = "\n".join(escape(command) for command in commands)
    if lines:
        yield f"<h3>{title}</h3>\n<pre>{lines}</pre>"


def _rest(examination: Examination) -> Iterator[str]:
    data = as_data(examination)
    if data["unanswered"]:
        yield '<section class="card"><h2>Could not judge</h2>'
        for question in data["unanswered"]:
            yield f"<details><summary>{_said(question['question'])}</summary>"
            yield from _commands("Run", question["collect"])
            yield "</details>"
        yield "</section>"
    if data["unrecognised"]:
        names = "".join(f"<li>{_said(file)}</li>" for file in data["unrecognised"])
        yield f'<section class="card"><h2>Not recognised</h2><ul>{names}</ul></section>'
    yield '<p class="soft">Written by throughway doctor from the evidence it was given.</p>'
