"""``docs/performance-soak.md``: what an hour of healthy running showed."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.soak_judge import (
    DESCRIPTORS,
    EXPLAINED,
    GROWTH,
    KEPT,
    NOTICED,
    Alarm,
    Result,
    Scale,
    Stay,
    Weight,
)

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "soak.json"
PAGE = ROOT / "docs" / "performance-soak.md"
WHO = {"client1": "the one that roams", "client2": "the one that stays", "edge1": "the gateway"}
LISTED = 20


def save(result: Result) -> None:
    """Keep the result, and the page."""
    RESULTS.write_text(json.dumps(asdict(result), indent=1) + "\n")
    PAGE.write_text(text(result))


def load() -> Result:
    """Return what was measured last."""
    values = json.loads(RESULTS.read_text())
    values["load"] = tuple(values["load"])
    values["stays"] = [Stay(**stay) for stay in values["stays"]]
    values["alarms"] = [Alarm(**alarm) for alarm in values["alarms"]]
    values["scales"] = [_scale(scale) for scale in values["scales"]]
    values["attempts"] = {
        who: {what: tuple(pair) for what, pair in kinds.items()}
        for who, kinds in values["attempts"].items()
    }
    return Result(**values)


def _scale(values: dict[str, dict[str, dict[str, dict[str, float]]]]) -> Scale:
    weights = {
        host: {name: Weight(**weight) for name, weight in group.items()}  # type: ignore[arg-type]
        for host, group in values["weights"].items()
    }
    return Scale(**(values | {"weights": weights}))  # type: ignore[arg-type]


def text(result: Result) -> str:
    """Return the page."""
    return "\n".join(
        [
            *_head(result),
            *_alarms(result.alarms),
            *_true(result),
            *_work(result),
            *_moves(result.stays),
            *_weights(result),
            *_notes(result),
            "",
        ]
    )


def _head(result: Result) -> Iterator[str]:
    said = "well" if result.well() else "**not well**"
    moves = max(0, len(result.stays) - 1)
    yield from (
        "# Healthy running, with roaming",
        "",
        "Generated from `bench/results/soak.json` by `make soak`; not edited by hand.",
        "",
        f"{result.minutes:.0f} minutes, {moves} moves: {said}.",
        "",
        "| what | wanted | seen |",
        "|---|---|---|",
        f"| false alarms | none | {len(result.alarms)} |",
        f"| packets that left the tunnel | none | {len(result.leaks)} |",
        f"| what grew more than it may | nothing | {'; '.join(result.grown()) or 'nothing'} |",
        "",
    )


def _alarms(alarms: Sequence[Alarm]) -> Iterator[str]:
    kinds = Counter((alarm.who, alarm.where, alarm.name) for alarm in alarms)
    if not kinds:
        return
    yield from ("| false alarm of | in | what | times | for example |", "|---|---|---|---|---|")
    for (who, where, name), count in kinds.most_common(LISTED):
        one = next(a for a in alarms if (a.who, a.where, a.name) == (who, where, name))
        words = one.detail.replace("|", "/")
        yield f"| {who} | {where} | {name} | {count} | {words} ({one.last - one.first:.1f} s) |"
    yield ""


def _true(result: Result) -> Iterator[str]:
    yield "What was told and is true, for as long as it was so, and ten seconds more at most:"
    yield ""
    for one in EXPLAINED:
        codes = ", ".join(sorted(one.names))
        yield f"- {one.why} (`{codes}`): {result.true.get(one.why, 0)} times"
    yield ""


def _work(result: Result) -> Iterator[str]:
    yield from ("| user of | wanted | between moves | came |", "|---|---|---|---|")
    for who, kinds in result.attempts.items():
        for what, (tried, came) in kinds.items():
            yield f"| {WHO.get(who, who)} | {what} | {tried} | {came} |"
    yield ""


def _moves(stays: Sequence[Stay]) -> Iterator[str]:
    yield from ("| came to | times | page there after | worst |", "|---|---|---|---|")
    for place in sorted({stay.place for stay in stays[1:]}):
        took = [s.settled - s.cured for s in stays[1:] if s.place == place and s.settled]
        if took:
            yield f"| {place} | {len(took)} | {median(took):.1f} s | {max(took):.1f} s |"
    yield ""


def _weights(result: Result) -> Iterator[str]:
    if not result.scales:
        return
    first, last = result.compared()
    span = max(1.0, last.at - first.at)
    yield from (
        "| process | of | RSS first, MiB | last | descriptors | last | CPU |",
        "|---|---|---|---|---|---|---|",
    )
    for host, after in last.weights.items():
        for name, end in after.items():
            begin = first.weights[host].get(name, end)
            cpu = 100 * (end.cpu - begin.cpu) / span
            yield (
                f"| {name} | {WHO.get(host, host)} | {begin.rss:.1f} | {end.rss:.1f} "
                f"| {begin.descriptors} | {end.descriptors} | {cpu:.1f} % |"
            )
    yield from ("", "| logs and state of | first, KiB | last, KiB |", "|---|---|---|")
    for host, size in last.kept.items():
        yield f"| {WHO.get(host, host)} | {first.kept[host] / 1024:.0f} | {size / 1024:.0f} |"
    yield ""


def _notes(result: Result) -> Iterator[str]:
    doubts = Counter(result.doubts).most_common(5)
    words = "; ".join(f"{what} ({count} s)" for what, count in doubts) or "none"
    yield f"""\
- Taken {result.taken}, on {result.cores} cores whose load was {result.load[0]:g} before and
  {result.load[1]:g} after: others used the machine, too, where that is above 1.
- A false alarm is any problem, component, check or stage that is not well in `client status` or
  `gateway status` (all three ends are asked each second), any line of a log at warning or above,
  any refusal in an audit, and anything that a user wanted between two moves and did not get;
  unless what was done to the computer explains it: see above, and {NOTICED:g} s for its end to be
  noticed.
- A process may grow by {GROWTH:g} MiB and {DESCRIPTORS} descriptors, what a host keeps by
  {KEPT:g} MiB an hour. *First* is after all places have been seen once, *last* the end; the
  roaming computer is at home both times.
- Leaks are looked for by captures in all six networks outside, for the whole time: packets for the
  intranet's addresses, and questions for its names. The location server's name is asked outside by
  design.
- Places, portals (somebody signs in after a while), networks that are gone and pulled cables come
  in an order of chance (seed {result.seed}). The user of the computer that roams asks for a page
  and an echo each second and for a file of 5 MB each minute, the other one for a page each half
  minute.
- Checks that came to no result meanwhile: {words}.
- Again: `make soak`, or `python -m bench.soak --minutes 5`.\
"""
