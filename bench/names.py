"""How many names a second the client's stub passes on, beside dnsmasq.

    python -m bench.names --rounds 5     (part of make bench)

The stub and dnsmasq have one core each in turn; the other one is shared by what asks (dnsperf,
100 queries under way) and by what knows the answers (another dnsmasq). *Passed on*: every name is
another one, so nothing comes from a cache. *Cached*: the same hundred names again and again.
Writes ``bench/results/names.json`` and ``docs/performance-names.md``; exit 1 when the target is
missed.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from throughway.model.policy import NRPTRule
from throughway.net.resolver import Resolver
from throughway.net.stub import StubListener
from throughway.proto.nrpt import Situation, Table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "names.json"
PAGE = ROOT / "docs" / "performance-names.md"
TARGET = 20_000
"""Queries a second passed on, on one core."""
SOURCE, STUB, PEER = "127.0.90.2", "127.0.90.1", "127.0.90.3"
SOURCE_PORT, PORT = 5301, 5300
ASKED = 100
"""Queries under way."""
NAMES = 300_000
"""More than are asked in a run: none comes twice."""
FEW = 100
SERVED, OTHERS = {0}, {1}
"""Cores."""
RULES = (
    NRPTRule(namespace=".corp.example.com", servers=("2001:db8:c0:1::1",)),
    NRPTRule(namespace="nls.corp.example.com"),
    NRPTRule(namespace=".0.c.0.0.8.b.d.0.1.0.0.2.ip6.arpa", servers=("2001:db8:c0:1::1",)),
)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One candidate, once."""

    candidate: str
    """``throughway`` or ``dnsmasq``."""
    measure: str
    """``passed on`` or ``cached``."""
    per_second: float
    per_cpu_second: float
    """Queries by the CPU time that they took: what a core does that nobody else disturbs."""
    p50: float
    p99: float
    """Milliseconds."""
    lost: int


async def serve() -> None:
    """Run the stub as the client's daemon does, until killed."""
    resolver = Resolver(port=SOURCE_PORT)
    situation = Situation(table=Table(RULES), effective=True, local_servers=(SOURCE,))
    resolver.set_situation(situation)
    await StubListener(resolver, STUB, PORT).start()
    print("serves", flush=True)
    await asyncio.Event().wait()


def dnsmasq(address: str, port: int, *options: str) -> list[str]:
    """Return dnsmasq's command; it says "started" on standard error."""
    return [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv"),
        *("--no-hosts", "--bind-interfaces", "--pid-file", "--user=root", "--log-facility=-"),
        *("--dns-forward-max=1000", f"--listen-address={address}", f"--port={port}", *options),
    ]


@contextmanager
def running(command: list[str], cores: set[int]) -> Iterator[int]:
    """Run a server on these cores; it has said that it serves."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if "started" not in said and "serves" not in said:
                raise SystemExit(f"{command[0]} does not start: {said}")
            yield process.pid
        finally:
            process.send_signal(signal.SIGKILL)


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(
    address: str, names: Path, seconds: float, pid: int
) -> tuple[float, float, float, float, int]:
    """Ask for so long; return the figures of a :class:`Run`."""
    command = ["dnsperf", "-s", address, "-p", str(PORT), "-d", str(names), "-v"]
    command += ["-l", f"{seconds:g}", "-q", str(ASKED)]
    before = cpu(pid)
    answer = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, OTHERS),
    )
    spent = cpu(pid) - before
    taken = sorted(
        float(line.rpartition(" ")[2])
        for line in answer.stdout.splitlines()
        if line.startswith("> NOERROR")
    )
    (lost,) = re.findall(r"Queries lost:\s+(\d+)", answer.stdout)
    (per_second,) = re.findall(r"Queries per second:\s+([\d.]+)", answer.stdout)
    p50, p99 = (1000 * taken[int(len(taken) * part)] for part in (0.5, 0.99))
    return float(per_second), len(taken) / max(spent, 1 / TICKS), p50, p99, int(lost)


def measure(rounds: int, seconds: float) -> list[Run]:
    """Take every figure once in each round, in turn."""
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder, "many"), Path(folder, "few")
        many.write_text("".join(f"h{number}.example.net A\n" for number in range(NAMES)))
        few.write_text("".join(f"h{number}.example.net A\n" for number in range(FEW)))
        stub = [sys.executable, "-m", "bench.names", "--serve"]
        ask = f"--server={SOURCE}#{SOURCE_PORT}"
        source = dnsmasq(SOURCE, SOURCE_PORT, "--address=/net/192.0.2.1", "--local-ttl=600")
        candidates = (
            ("throughway", "passed on", STUB, stub, many),
            ("dnsmasq", "passed on", PEER, dnsmasq(PEER, PORT, ask, "--cache-size=0"), many),
            ("throughway", "cached", STUB, stub, few),
            ("dnsmasq", "cached", PEER, dnsmasq(PEER, PORT, ask, "--cache-size=1000"), few),
        )
        with running(source, OTHERS):
            for number in range(rounds):
                for candidate, what, address, command, names in candidates:
                    with running(command, SERVED) as pid:
                        load(address, few, 0.5, pid)  # warm
                        figures = load(address, names, seconds, pid)
                    runs.append(Run(candidate, what, *figures))
                    print(f"{number + 1}/{rounds} {runs[-1]}", file=sys.stderr)
    return runs


def middle(runs: list[Run], candidate: str, what: str, figure: str) -> float:
    """Return the median of a figure."""
    of = [run for run in runs if (run.candidate, run.measure) == (candidate, what)]
    return float(median(getattr(run, figure) for run in of))


def report(results: "Results") -> str:
    """Return the page."""
    wall = middle(results.runs, "throughway", "passed on", "per_second")
    core = middle(results.runs, "throughway", "passed on", "per_cpu_second")
    verdict = "met" if core >= TARGET else "**MISSED**"
    return f"""\
# How fast the stub resolver is

Generated from `bench/results/names.json` by `python -m bench.names`; not edited by hand.

Target: at least {TARGET:,} queries a second passed on, on one core.
In a second of CPU time: {core:,.0f}, {verdict}.
By the clock, with the machine as busy as it was: {wall:,.0f}.

| what | who | queries a second | in a CPU second | median, ms | 99th percentile, ms | lost |
| --- | --- | --- | --- | --- | --- | --- |
{"".join(rows(results.runs))}
- Taken {results.taken}: medians of {results.rounds} rounds of {results.seconds:g} s, in turn.
  Load of the machine before it began: {results.load:.1f} on {results.cores} cores. Others used it
  too where that is above 1, and then the figures by the clock, latencies above all, say more of
  them than of us.
- Who is measured has one core; what asks (dnsperf, {ASKED} queries under way) and what knows the
  answers (dnsmasq) share the other one.
- *Passed on*: every name another one; random ports, random case, rules looked up, answers
  compared. *Cached*: the same {FEW} names again and again.
- Latencies are those of a queue of {ASKED}.
- Again: `make bench`, or `python -m bench.names`.
"""


def rows(runs: list[Run]) -> Iterator[str]:
    """Yield the lines of the table."""
    for what in ("passed on", "cached"):
        for who in ("throughway", "dnsmasq"):
            wall, core, p50, p99 = (
                middle(runs, who, what, figure)
                for figure in ("per_second", "per_cpu_second", "p50", "p99")
            )
            lost = sum(run.lost for run in runs if (run.candidate, run.measure) == (who, what))
            yield (
                f"| {what} | {who} | {wall:,.0f} | {core:,.0f} | {p50:.2f} | {p99:.2f} | {lost} |\n"
            )


@dataclass(frozen=True, slots=True)
class Results:
    """One run of the benchmark."""

    taken: str
    load: float
    """Of the machine, before it began."""
    cores: int
    rounds: int
    seconds: float
    runs: list[Run]


def read() -> Results:
    """Return what was measured last."""
    kept = json.loads(RESULTS.read_text())
    return Results(**(kept | {"runs": [Run(**run) for run in kept["runs"]]}))


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    taken, busy = datetime.now(UTC).strftime("%Y-%m-%d"), os.getloadavg()[0]
    runs = measure(options.rounds, options.seconds)
    cores = os.cpu_count() or 1
    results = Results(taken, busy, cores, options.rounds, options.seconds, runs)
    RESULTS.write_text(json.dumps(asdict(results), indent=1) + "\n")
    PAGE.write_text(report(results))
    print(report(results))
    return 0 if middle(runs, "throughway", "passed on", "per_cpu_second") >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
