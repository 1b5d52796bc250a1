"""throughway beside every other tunnel of user space, on one wire.

    make bench          (python -m bench.tunnel --rounds 3)

Each candidate has namespaces of its own, with the same wire, congestion control and load. All
candidates have their turn in each round, each round begins with another one: whatever else the
machine does falls on all of them. Writes bench/results/tunnel.json. Needs root.
"""

import argparse
import json
import os
import platform
import re
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import figures
from bench.figures import FULL, GROUPS, UNITS, Up, Values
from bench.load import Load, build
from bench.peers.ipsec import IPsec
from bench.peers.ocserv import OCServ
from bench.peers.openvpn import OpenVPN
from bench.peers.peer import Peer, Unmeasured
from bench.peers.plain_tls import PlainTLS
from bench.peers.softether import SoftEther
from bench.peers.throughway import Throughway
from bench.peers.wireguard import WireGuardGo
from bench.world import CONGESTION_CONTROL, BenchError, world

RESULTS = Path(__file__).parent / "results" / "tunnel.json"
SECONDS = 2.5
"""Of a TCP stream; with these a round takes four and a half minutes."""
BUSY = 0.5
"""Load average above which the machine has something else to do."""
MEMORY = "memory-idle"
"""Has a world of its own, with many sessions in it."""

PEERS: tuple[Peer, ...] = (
    PlainTLS(),
    Throughway("native", pure=False),
    Throughway("pure", pure=True),
    OpenVPN(),
    OCServ(),
    SoftEther(),
    WireGuardGo(),
    Throughway("native-1x2", pure=False, clients=2),
    Throughway("native-2", pure=False, clients=2, workers=2),
    Throughway("pure-1x2", pure=True, clients=2),
    Throughway("pure-2", pure=True, clients=2, workers=2),
    IPsec("esp"),
    IPsec("esp-1500", mtu=1500),
    IPsec("path", pump="native"),
    IPsec("path-pure", pump="pure"),
)


@dataclass
class Figure:
    """One measure of one candidate, over the rounds."""

    candidate: str
    measure: str
    values: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    """95th percentiles, of round trips."""
    carried: list[float] = field(default_factory=list)
    """Mbit/s on the wire meanwhile, of round trips under load."""
    why: str = ""
    """Why there is no value, or one less."""
    failed: bool = False

    def add(self, values: tuple[float, ...]) -> None:
        """Take the value of one round; not that of a wire which was not full when it had to be."""
        if values[2:] and values[2] < FULL:
            self.why = f"a round did not fill the wire: {values[2]:.0f} Mbit/s"
            return
        self.values.append(values[0])
        self.tails.extend(values[1:2])
        self.carried.extend(values[2:3])

    def fail(self, why: str) -> None:
        """Note that a round has no value."""
        self.why, self.failed = why, True

    def record(self) -> dict[str, Any]:
        """Return what is written of it."""
        told: dict[str, Any] = {
            "candidate": self.candidate,
            "measure": self.measure,
            "unit": UNITS[self.measure],
            "values": [significant(value) for value in self.values],
        }
        if self.tails:
            told["p95"] = [significant(value) for value in self.tails]
        if self.carried:
            told["carried"] = [significant(value) for value in self.carried]
        return told | ({"why": self.why} if self.why else {})


def significant(value: float) -> float:
    """Return a number as exact as it was measured: four digits."""
    return float(f"{value:.4g}")


class Bench:
    """All candidates over all rounds."""

    def __init__(
        self, peers: Sequence[Peer], measures: Iterable[str], seconds: float, load: Load
    ) -> None:
        self._peers = peers
        self._asked = frozenset(measures)
        self._seconds = seconds
        self._load = load
        self.figures = {
            (peer.name, measure): Figure(peer.name, measure)
            for peer in peers
            for measure in figures.wanted(peer, self._asked)
        }

    def run(self, rounds: int) -> None:
        """Measure everything, and say so."""
        for number in range(rounds):
            for peer in rotated(self._peers, number):
                print(f"round {number + 1} of {rounds}: {peer.name}", flush=True)
                self._candidate(peer)

    def _candidate(self, peer: Peer) -> None:
        names = frozenset(figures.wanted(peer, self._asked))
        if names - {MEMORY}:
            self._take(peer, names - {MEMORY}, partial(self._all, peer, names))
        if MEMORY in names:
            self._take(peer, {MEMORY}, partial(self._memory, peer))

    def _all(self, peer: Peer, names: Set[str]) -> Values:
        """Bring the tunnel up, and take what is taken of one that is up."""
        with world(peer.clients) as made, peer.up(made) as ends:
            up = Up(peer, made, ends, self._load, self._seconds)
            figures.check_wire(up)
            for group, take in GROUPS.items():
                if names & set(group):
                    self._take(peer, names & set(group), partial(take, up))
        return {}

    def _memory(self, peer: Peer) -> Values:
        with world() as made:
            return figures.idle_memory(peer, made)

    def _take(self, peer: Peer, names: Set[str], take: Callable[[], Values]) -> None:
        """Take some figures; what cannot be had is noted, and the others go on."""
        try:
            for name, values in take().items():
                if name in names:
                    self.figures[peer.name, name].add(values)
                    print(f"  {name:<16} {shown(values[0], UNITS[name])}", flush=True)
        except Unmeasured as error:
            for name in names:
                self.figures[peer.name, name].why = str(error)
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            print(f"  {', '.join(sorted(names))}: {error}", flush=True)
            for name in names:
                self.figures[peer.name, name].fail(str(error).strip().splitlines()[-1])


def rotated(peers: Sequence[Peer], number: int) -> Sequence[Peer]:
    """Return the candidates, beginning with another one in each round."""
    first = number % len(peers)
    return (*peers[first:], *peers[:first])


def shown(value: float, unit: str) -> str:
    """Return a value for a person."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def table(found: Iterable[Figure]) -> str:
    """Return the medians, a line for each candidate and measure."""
    lines = [
        f"{one.candidate:<14}{one.measure:<17}"
        + (shown(median(one.values), UNITS[one.measure]) if one.values else f"- ({one.why})")
        for one in found
    ]
    return "\n".join(lines)


def environment(peers: Sequence[Peer], rounds: int, seconds: float) -> dict[str, Any]:
    """Return when, where and with what it is measured; BenchError when something is missing."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    own = {"python": platform.python_version(), "openssl": ssl.OPENSSL_VERSION.split()[1]}
    return {
        "schema": 1,
        "taken": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "seconds": seconds,
        "machine": {
            "cores": os.cpu_count(),
            "cpu": processor[1] if processor else platform.machine(),
            "memory": f"{round(int(memory[1]) / 1024**2) if memory else 0} GiB",
            "system": platform.freedesktop_os_release()["PRETTY_NAME"],
            "kernel": platform.release(),
        },
        "congestion_control": CONGESTION_CONTROL,
        "load": round(os.getloadavg()[0], 2),
        "versions": own | dict(peer.version() for peer in peers),
        "settings": {peer.name: peer.settings for peer in peers},
    }


def arguments() -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(prog="bench.tunnel", description="Measure tunnels.")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a TCP stream")
    parser.add_argument("--only", action="append", choices=names, metavar="CANDIDATE")
    parser.add_argument("--measures", nargs="+", choices=UNITS, metavar="MEASURE")
    parser.add_argument("--json", type=Path, help="where a run that is not whole is written")
    asked = parser.parse_args()
    if asked.rounds < 1 or asked.seconds <= 0:
        parser.error("rounds and seconds must be more than nothing")
    return asked


def main() -> int:
    """Measure, print and write; return the exit code."""
    asked = arguments()
    if os.geteuid():
        print("The tunnel benchmark makes network namespaces: it must be run as root.")
        return 2
    whole = not (asked.only or asked.measures)
    file = asked.json or (RESULTS if whole else None)
    peers = [peer for peer in PEERS if not asked.only or peer.name in asked.only]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        record = environment(peers, asked.rounds, asked.seconds)
        if record["load"] > BUSY:
            print(f"The machine has other work (load {record['load']}): figures will be too low.")
        with tempfile.TemporaryDirectory(prefix="throughway-bench-") as folder:
            bench = Bench(
                peers, asked.measures or tuple(UNITS), asked.seconds, Load(build(Path(folder)))
            )
            bench.run(asked.rounds)
    except BenchError as error:
        print(error)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted: everything is taken down, nothing is written.")
        return 130
    found = bench.figures.values()
    print(table(found))
    if file:
        record["measurements"] = [one.record() for one in found]
        file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return int(any(one.failed for one in found))


if __name__ == "__main__":
    sys.exit(main())
