"""How fast a tunnel carries: the part of ``docs/performance.md``, and its chart."""

import re
from collections.abc import Sequence
from statistics import median

from bench.chart import Panel, Row, chart
from bench.targets import BUILDS, ONE_STREAM, TARGETS, Verdict, judge
from bench.tunnel_results import CANDIDATES, MEASURES, PEERS, RESULTS, Results
from bench.tunnel_tables import TUNNELS, Table, figures, shares

CHART = RESULTS.with_suffix(".svg")
LIMITS = RESULTS.parents[2] / "docs" / "performance-limits.md"
"""Written by hand: what stands in the way where a target is missed."""
ANSWERS = ("What was profiled", "What was tried", "What the limit is")
"""What a section of that page must tell."""
PANELS = (
    ("One TCP stream (more is better)", "tcp-1"),
    ("Small packets: UDP of 200 bytes, loss at most 1 % (more is better)", "udp-200"),
    ("Round trip under load at 200 Mbit/s (less is better)", "rtt-loaded"),
)


def part(results: Results | None) -> str:
    """Return the part of ``docs/performance.md``."""
    if results is None:
        return f"""\
## How fast a tunnel carries

Not measured yet: there is no `bench/results/{RESULTS.name}`.
"""
    verdicts, machine = judge(results), results.machine
    medians = "\n\n".join(f"### {table.title}\n\n{table.markdown()}" for table in figures(results))
    return f"""\
## How fast a tunnel carries

{_summary(verdicts)}

![The medians below as bars](../bench/results/{CHART.name})

{targets(verdicts).markdown()}

- Taken {results.taken}: medians of {results.rounds} rounds of {results.seconds:g} s, the candidates
  in turn. {_noise(results)}
- Machine: {machine.cores} cores ({machine.cpu}), {machine.memory}, {machine.system}, Linux
  {machine.kernel}{_load(results)}. Both ends of the tunnel and both load generators share it.
- Congestion control: {results.congestion_control}, for everybody.
- Versions: {", ".join(f"{name} {version}" for name, version in results.versions.items())}.
- Again, as root: `{results.command}`

*Native* is with the C module, *pure* without it (`THROUGHWAY_PURE=1`). *Up* is from client to
gateway, *down* from gateway to client; a figure is compared with the same one of the other. The
*best peer* is the best of {_listed(PEERS)} in this run, for each figure by itself. Plain TLS is the
limit: the same pump over the same wire without a tunnel. Small packets are of 200 bytes, lost at
most by 1 %. *Two workers* have two clients, and carry the sum of both.

{medians}

### {shares(results).title}

{shares(results).markdown()}

### Settings

{_settings(results)}

{_missing(results)}"""


def _summary(verdicts: Sequence[Verdict]) -> str:
    judged = [v for v in verdicts if v.bound is not None]
    short = [v for v in judged if not v.met]
    if not short:
        return f"All {len(judged)} targets are met."
    where = f"[where a target is missed]({LIMITS.name})"
    return f"**{len(short)} of {len(judged)} targets are not met**: {where}."


def targets(verdicts: Sequence[Verdict]) -> Table:
    """Return targets and verdicts for the docs: a row a target, the builds side by side."""
    head = ("", "compared with", *(cell for build in BUILDS for cell in (build, "to reach", "")))
    rows = []
    for target in TARGETS:
        cells = [target.row, target.compared]
        for verdict in verdicts:
            if verdict.target == target:
                cells += [verdict.measured, verdict.to_reach, _linked(verdict)]
        rows.append(tuple(cells))
    return Table("Targets", head, tuple(rows))


def _linked(verdict: Verdict) -> str:
    if verdict.met:
        return verdict.word
    return f"[**{verdict.word}**]({LIMITS.name}#{anchor(verdict.target.row)})"


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _noise(results: Results) -> str:
    spreads = [
        (results.spread(one), one)
        for one in results.measurements
        if len(one.values) > 1 and median(one.values)
    ]
    if not spreads:
        return ""
    most, one = max(spreads, key=lambda pair: pair[0])
    usual = median(spread for spread, _ in spreads)
    return (
        f"From least to most a figure\n  usually differs by {usual:.0%}, at most by {most:.0%} "
        f"({MEASURES[one.measure].title}: {CANDIDATES[one.candidate]})."
    )


def _load(results: Results) -> str:
    return "" if results.load is None else f"; load before it began: {results.load}"


def _listed(names: Sequence[str]) -> str:
    titles = [CANDIDATES[name] for name in names]
    return f"{', '.join(titles[:-1])} and {titles[-1]}"


def _settings(results: Results) -> str:
    return "\n".join(
        f"- **{CANDIDATES.get(name, name)}**: {text}" for name, text in results.settings.items()
    )


def _missing(results: Results) -> str:
    reasons = dict[tuple[str, str], list[str]]()
    for one in results.measurements:
        if not one.values:
            reasons.setdefault((one.candidate, one.why), []).append(MEASURES[one.measure].title)
        elif len(one.values) < results.rounds:
            few = f"in {len(one.values)} of {results.rounds} rounds only"
            reasons.setdefault((one.candidate, few), []).append(MEASURES[one.measure].title)
    if not reasons:
        return ""
    lines = (
        f"- **{CANDIDATES[name]}**: {', '.join(titles)}: {why}"
        for (name, why), titles in reasons.items()
    )
    return "### Not measured\n\n" + "\n".join(lines) + "\n"


def unexplained(verdicts: Sequence[Verdict], page: str) -> list[str]:
    """Return the targets that are not met and of which the page of limits does not tell all."""
    told = limits(page)
    rows = dict.fromkeys(v.target.row for v in verdicts if not v.met)
    return [row for row in rows if not explains(told.get(row, ""))]


def limits(page: str) -> dict[str, str]:
    """Return the sections of the page of limits: heading and text."""
    parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def explains(section: str) -> bool:
    """Whether a section has every answer, and more than a word in each."""
    parts = re.split(r"^\*\*(.+?)\.\*\*", section, flags=re.MULTILINE)
    answers = dict(zip(parts[1::2], parts[2::2], strict=True))
    return all(len(answers.get(name, "").split()) >= 5 for name in ANSWERS)


def picture(results: Results) -> str:
    """Return the chart."""
    order = sorted(TUNNELS, key=lambda name: -(results.median(name, ONE_STREAM[0]) or 0.0))
    panels = []
    for title, stem in PANELS:
        ways = (f"{stem}-up", f"{stem}-down")
        rows = tuple(
            Row(CANDIDATES[n], tuple(results.median(n, key) for key in ways), strong=n in BUILDS)
            for n in order
            if any(results.find(n, key) for key in ways)
        )
        if rows:
            panels.append(Panel(title, MEASURES[ways[0]].unit, rows))
    subtitle = (
        f"{results.taken}: medians of {results.rounds} rounds on {results.machine.cores} cores, "
        f"Linux {results.machine.kernel}, {results.congestion_control} for everybody"
    )
    return chart("How fast a tunnel carries", subtitle, panels)
