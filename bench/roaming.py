"""What each move between networks costs: pings and a download run while a client is carried about.

    python -m bench.roaming --rounds 5

Brings up a lab of its own, and allows its client every transport. The client goes through the
places there and back; whatever it loses is what somebody at that computer would lose. Writes
``bench/results/roaming.json`` and prints the medians, for ``docs/operate/roaming.md``.
"""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL

from bench import travel
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, Status, summary
from throughway.model.errors import LabError

RESULTS = Path(__file__).parent / "results" / "roaming.json"
CLIENT, USER, SERVER = "client1", "alice", "app1"
ADDRESS, NAME, PAGE = "2001:db8:c0:1::10", "app1.corp.example.com", "/roaming"
FOLDER = f"/var/www/{NAME}"
SIZE = 400_000_000
"""Bytes of the file; more than is read in a stay."""
PLACES = ("home", "hotel", "office", "direct", "cgn", "corp", "native6")
JOURNEY = (*PLACES, *PLACES[-2::-1])
STAY = 6.0
"""Seconds in each place: whatever is better takes over within them."""
PATIENCE = 30.0
LOGS = {"pings": "/tmp/travel-pings", "download": "/tmp/travel-download"}


@dataclass(frozen=True, slots=True)
class Move:
    """One move, once."""

    origin: str
    place: str
    pings: float
    """Seconds without an answer, the longest around the move."""
    download: float
    """Seconds without a byte, the longest around the move."""
    connections: int
    """That the download had to make anew."""
    transport: str


@contextmanager
def traffic(lab: Lab) -> Iterator[None]:
    """Have pings and a download run on the client."""
    script = Path(travel.__file__).read_text()
    lab.run(CLIENT, ["touch", *LOGS.values()], check=True)
    started = [
        lab.popen(CLIENT, [sys.executable, "-c", script, *words], stdout=DEVNULL)
        for words in (
            ("ping", LOGS["pings"], ADDRESS),
            ("download", LOGS["download"], NAME, PAGE),
        )
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait()


def stamps(lab: Lab, what: str) -> list[tuple[float, int]]:
    """Return when something came, and by which connection."""
    lines = lab.read(CLIENT, LOGS[what]).rpartition("\n")[0].splitlines()
    return [(float(at), int(number)) for at, number in map(str.split, lines)]


def longest_gap(times: Sequence[float], begun: float, ended: float) -> float:
    """Return the longest time without anything from a moment on, to another."""
    before = [at for at in times if at <= begun][-1:] or [begun]
    during = [at for at in times if begun < at <= ended]
    return max(later - sooner for sooner, later in itertools.pairwise([*before, *during, ended]))


def carrier(status: Status) -> str:
    """Return what carries, and whether the tunnels do."""
    return "none: inside" if status.get("location") == "inside" else str(status.get("transport"))


def wait_traffic(lab: Lab, after: float) -> None:
    """Wait until both have come since a moment."""
    deadline = time.monotonic() + PATIENCE
    while not all(stamps(lab, what)[-1:] > [(after, 0)] for what in LOGS):
        if time.monotonic() > deadline:
            where = summary(Observer(lab, CLIENT).status())
            raise LabError(f"no traffic for {PATIENCE:g} s: {where}")
        time.sleep(0.1)


def moved(lab: Lab, origin: str, place: str) -> Move:
    """Carry the client, stay, and look back."""
    begun = time.time()
    lab.move(CLIENT, place)
    wait_traffic(lab, time.time() + 0.2)
    time.sleep(max(0.0, begun + STAY - time.time()))
    wait_traffic(lab, time.time())
    pings, download = stamps(lab, "pings"), stamps(lab, "download")
    ended = min(pings[-1][0], download[-1][0])
    numbers = {number for at, number in download if begun - 1 < at}
    return Move(
        origin,
        place,
        longest_gap([at for at, _ in pings], begun, ended),
        longest_gap([at for at, _ in download], begun, ended),
        len(numbers) - 1,
        carrier(Observer(lab, CLIENT).status()),
    )


def measure(rounds: int) -> list[Move]:
    """Return every move of every round."""
    moves: list[Move] = []
    with Lab(f"roaming-{os.getpid()}") as lab:
        lab.up()
        lab.allow_transports(CLIENT)
        lab.run(SERVER, ["truncate", "-s", str(SIZE), f"{FOLDER}{PAGE}"], check=True)
        lab.start_client(CLIENT)
        client = Observer(lab, CLIENT)
        client.wait_tunnel("infrastructure")
        client.log_on(USER)
        client.wait_page()
        with traffic(lab):
            wait_traffic(lab, time.time())
            for number in range(1, rounds + 1):
                for origin, place in itertools.pairwise(JOURNEY):
                    moves.append(moved(lab, origin, place))
                    print(f"round {number}: {line([moves[-1]])}", flush=True)
    return moves


def line(moves: Sequence[Move]) -> str:
    """Write a move, by the medians and the worst of its times, as the page has it."""
    first = moves[0]
    pings, downloads = [m.pings for m in moves], [m.download for m in moves]
    carriers = ", ".join(sorted({m.transport for m in moves}))
    made = median(m.connections for m in moves)
    return (
        f"| `{first.origin}` | `{first.place}` | {median(pings):.2f} s | {max(pings):.2f} s "
        f"| {median(downloads):.2f} s | {max(downloads):.2f} s | {made:g} | {carriers} |"
    )


def load() -> list[Move]:
    """Return what was measured last."""
    return [Move(**move) for move in json.loads(RESULTS.read_text())]


def table(moves: Sequence[Move]) -> list[str]:
    """Return a line for each move."""
    kinds = itertools.pairwise(JOURNEY)
    return [line([m for m in moves if (m.origin, m.place) == kind]) for kind in kinds]


def main() -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    moves = measure(parser.parse_args().rounds)
    RESULTS.write_text(json.dumps([asdict(move) for move in moves], indent=1) + "\n")
    print("\n".join(table(moves)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
