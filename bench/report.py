"""How fast it connects: JSON for programs, a table for the terminal, a part of the docs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.imports import Cost

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "connect.json"

TARGET_SECONDS = 3.0
"""Of each time, by its median."""
TARGET_MEMORY = 80.0
"""MiB of resident memory, of all of the client's processes together."""

IDLE = 10.0
"""Seconds after connecting at which a client counts as idle."""

ROUND_TRIP = 0.05
"""Seconds between home and gateway in the distant rounds: a gateway in another country."""
AWAY = f"{ROUND_TRIP * 1000:g} ms away"

FIGURES = {
    "connect": "daemon started → page",
    "link-loss": "cable plugged in again → page",
    "gateway-restart": "restarted gateway answers → page",
    "carry-home": "carried out of the office, home → page",
}

Phases = dict[str, float]
"""Seconds at which the client's log said what."""
Memory = dict[str, dict[str, float]]
"""MiB of each process: ``rss`` and ``pss``."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    cores: int
    processor: str
    memory_gib: int
    kernel: str
    system: str
    python: str
    strongswan: str
    throughway: str


@dataclass(frozen=True, slots=True)
class Round:
    """Every figure once."""

    seconds: dict[str, float]
    phases: dict[str, Phases]
    memory: Memory

    def sum(self, kind: str) -> float:
        """Return the MiB of all processes together."""
        return sum(process[kind] for process in self.memory.values())


@dataclass(frozen=True, slots=True)
class Results:
    """One run of the benchmark."""

    taken: str
    command: str
    machine: Machine
    esp: str
    step: float
    curl: tuple[float, ...]
    """Seconds that curl took for the page, by our clock and by its own."""
    rounds: list[Round]
    distant: list[Round]
    """With a round trip of :data:`ROUND_TRIP` between home and gateway."""
    imports: list[Cost]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure over all rounds."""

    name: str
    values: tuple[float, ...]
    unit: str
    digits: int
    target: float | None

    @property
    def met(self) -> bool:
        """Whether the median keeps the target."""
        return self.target is None or median(self.values) <= self.target

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        numbers = (median(self.values), min(self.values), max(self.values))
        verdict = "" if self.target is None else "met" if self.met else "MISSED"
        target = "" if self.target is None else f"≤ {self.target:g} {self.unit}"
        return (self.name, *(f"{n:.{self.digits}f} {self.unit}" for n in numbers), target, verdict)


HEAD = ("figure", "median", "min", "max", "target", "verdict")


def rows(results: Results) -> list[Row]:
    """Return every figure, those with targets first."""
    found = _times(results.rounds, "") + _times(results.distant, f"{AWAY}: ")
    for kind, target in (("rss", TARGET_MEMORY), ("pss", None)):
        sums = tuple(r.sum(kind) for r in results.rounds)
        text = f"memory of the idle client, all processes, {kind.upper()}"
        found.append(Row(text, sums, "MiB", 1, target))
    return found


def _times(rounds: list[Round], prefix: str) -> list[Row]:
    return [
        Row(f"{prefix}{text}", tuple(r.seconds[key] for r in rounds), "s", 2, TARGET_SECONDS)
        for key, text in FIGURES.items()
        if rounds
    ]


def met(results: Results) -> bool:
    """Whether every target was met."""
    return all(row.met for row in rows(results))


def line(one: Round) -> str:
    """Return a round in a line."""
    times = ", ".join(f"{key} {seconds:.2f} s" for key, seconds in one.seconds.items())
    return f"{times}, memory {one.sum('rss'):.1f} MiB" if one.memory else times


def table(results: Results) -> str:
    """Return the table for a terminal."""
    lines = [HEAD, *(row.cells for row in rows(results))]
    widths = [max(len(cells[i]) for cells in lines) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in lines
    )


def save(results: Results) -> None:
    """Write the results."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rounded(asdict(results)), indent=1, ensure_ascii=False) + "\n")


def load() -> Results:
    """Return the results that were saved last."""
    told = json.loads(RESULTS.read_text())
    told["machine"] = Machine(**told["machine"])
    told["rounds"] = [Round(**one) for one in told["rounds"]]
    told["distant"] = [Round(**one) for one in told["distant"]]
    told["imports"] = [Cost(**one) for one in told["imports"]]
    return Results(**told | {"curl": tuple(told["curl"])})


def part(results: Results) -> str:
    """Return the part of ``docs/performance.md``."""
    machine = results.machine
    verdict = "All targets are met." if met(results) else "**Not all targets are met.**"
    return f"""\
## How fast it connects, and what it weighs

{verdict} Median, least and most of {len(results.rounds)} rounds, each of which takes every
figure, and of {len(results.distant)} more with the gateway {AWAY}:

{_markdown(HEAD, (row.cells for row in rows(results)))}

- Taken {results.taken} with throughway {machine.throughway}, Python {machine.python}, strongSwan
  {machine.strongswan}.
- Machine: {machine.cores} cores ({machine.processor}), {machine.memory_gib} GiB,
  {machine.system}, Linux {machine.kernel}. Client, home router, gateway, domain
  controller and web server share it.
- ESP: {results.esp}
- Again, as root: `{results.command}`

### What is measured

The page is `http://app1.corp.example.com/` of the [lab](operate/lab.md), by name, through both
tunnels. A program on the client asks for it every {results.step * 1000:.0f} ms, in attempts that
overlap, from the act on; the first whole answer counts. (One curl for each attempt would blur
that: with entering the host it takes {results.curl[0] * 1000:.0f} ms when the page is there, of
which the fetch is {results.curl[1] * 1000:.0f} ms.)

- **{FIGURES["connect"]}**: `throughway client run` is started at home. The user has logged on
  before and the ticket is kept, as when the daemon is restarted or updated. After a restart of
  the computer all up to the infrastructure tunnel comes as fast; the intranet tunnel follows when
  somebody logs on.
- **{FIGURES["link-loss"]}**: the cable was out until the client had noticed.
- **{FIGURES["gateway-restart"]}**: the gateway was down until the client had noticed. The time
  begins when the new daemon's control socket answers; 0.00 s means that the page was there by then.
- **{FIGURES["carry-home"]}**: from the moment the cable is pulled in the office: another network,
  address and DNS server, outside instead of inside. Includes the lab's own time for the move.
- **{AWAY}**: the home router holds back every byte of the TLS connection so that a round trip
  takes that long, TCP's handshake included. Else nothing in the lab is further away than a
  fraction of a millisecond. DNS of the home is not held back.
- **memory**: daemon and charon, {IDLE:g} s after connecting, from `/proc/PID/smaps_rollup`.
  RSS counts shared libraries in every process; PSS counts each page once.

### Where the time goes

Medians of when the client's log says so, in seconds after the act:

{_markdown(("", *FIGURES), _phase_rows(results.rounds))}

The same with the gateway {AWAY}:

{_markdown(("", *FIGURES), _phase_rows(results.distant))}

So from another network to the page it takes about {_round_trips(results):.0f} round trips: TCP,
TLS, the POST, router discovery, two rounds of authentication for each of two tunnels, the page.

### Where the memory goes

{_markdown(("process", "RSS", "PSS"), _memory_rows(results))}

What an import adds to a fresh Python process that has `asyncio` and `ssl` already, which is why
the daemon does some things by modules of its own ([decisions](decisions/README.md)):

{_markdown(("for", "module", "resident memory", "time"), _import_rows(results))}
"""


def _phase_rows(rounds: list[Round]) -> Iterator[tuple[str, ...]]:
    for name in rounds[0].phases["connect"] if rounds else ():
        cells = []
        for key in FIGURES:
            seen = [r.phases[key][name] for r in rounds if name in r.phases[key]]
            cells.append(f"{median(seen):.2f}" if seen else "-")
        yield (name, *cells)
    if rounds:
        yield ("page", *(f"{median(r.seconds[key] for r in rounds):.2f}" for key in FIGURES))


def _round_trips(results: Results) -> float:
    near, far = (
        median(r.seconds["carry-home"] for r in rounds)
        for rounds in (results.rounds, results.distant or results.rounds)
    )
    return (far - near) / ROUND_TRIP


def _memory_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for name in results.rounds[0].memory:
        both = (
            median(r.memory[name][kind] for r in results.rounds if name in r.memory)
            for kind in ("rss", "pss")
        )
        yield (name, *(f"{value:.1f} MiB" for value in both))


def _import_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for cost in results.imports:
        yield (
            cost.purpose,
            cost.what,
            f"{cost.mebibytes:.1f} MiB",
            f"{cost.milliseconds:.0f} ms",
        )


def _markdown(head: Sequence[str], body: Iterator[tuple[str, ...]]) -> str:
    lines = [tuple(head), tuple("---" for _ in head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Cut floats to what was measured: a tenth of a millisecond, a tenth of a KiB."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value
