"""The load of the tunnel benchmark: TCP streams, UDP packets and pings through what is up.

The generators of load.c, compiled as the benchmark starts, are the same for every candidate
that carries packets. They run on the same cores as the tunnel, as they must everywhere.
"""

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from bench.world import BenchError, Space, next_line

SOURCE = Path(__file__).with_name("load.c")
MARK = b"never in the clear on the wire"
"""Stands in all that the generators send."""
PORT = 5001
MAX_LOSS = 0.01
"""Share of the packets that may be lost."""
HOPELESS = 0.15
"""Share of the packets lost at which a rate is not tried again."""
STEP_UP, STEP_DOWN = 1.4, 0.7
"""How far the search for the highest rate goes at once."""
STEPS = 3
"""Of that search, between two rates so far from each other: to 5 %."""
REACHED = 0.9
"""Share of the rate asked for at which the sender can do no more."""
LEAST = 100.0
"""Packets a second below which it gives up."""
WARM_UP = 0.7
"""Seconds of a TCP stream before its count begins."""
GAP = 0.03
"""Seconds without a packet after which none is under way any more."""
PING_INTERVAL = 0.01

Marks = Callable[[str], None]
"""Is told "begin" and "end" of what counts."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a load goes: from one address through the tunnel to another."""

    source: Space
    target: Space
    source_address: str
    target_address: str


def build(folder: Path) -> Path:
    """Compile the generators; BenchError with what the compiler says."""
    program = folder / "load"
    command = ["gcc", "-O2", "-o", str(program), str(SOURCE)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(f"gcc: {error.strerror}") from error
    if answer.returncode:
        raise BenchError(answer.stderr.strip())
    return program


class Load:
    """The compiled generators."""

    def __init__(self, program: Path) -> None:
        self._program = str(program)

    def tcp(
        self,
        streams: list[Stream],
        seconds: float,
        *,
        parallel: int = 1,
        warm_up: float = WARM_UP,
        marks: Marks = lambda mark: None,
    ) -> float:
        """Return the Mbit/s of all streams together, each of ``parallel`` connections."""
        with contextlib.ExitStack() as stack:
            receivers = []
            for port, one in enumerate(streams, PORT):
                words = ("tcp-receive", one.target_address, str(port), str(parallel))
                receiver = stack.enter_context(
                    one.target.load(self._program, *words, str(warm_up), str(seconds))
                )
                expect(receiver, "ready")
                receivers.append(receiver)
            for port, one in enumerate(streams, PORT):
                words = ("tcp-send", one.target_address, str(port), str(parallel))
                stack.enter_context(one.source.load(self._program, *words))
            for receiver in receivers:
                expect(receiver, "begin")
            marks("begin")
            ends = [expect(receiver, "end", seconds) for receiver in receivers]
            marks("end")
        return sum(int(size) * 8 / float(lasted) / 1e6 for size, lasted in ends)

    @contextlib.contextmanager
    def busy(self, stream: Stream) -> Iterator[None]:
        """One TCP stream as fast as it goes, meanwhile."""
        to = (stream.target_address, str(PORT))
        words = ("tcp-receive", *to, "1", str(WARM_UP), "3600")
        with stream.target.load(self._program, *words) as receiver:
            expect(receiver, "ready")
            with stream.source.load(self._program, "tcp-send", *to, "1"):
                expect(receiver, "begin")
                yield

    def udp(self, stream: Stream, size: int, seconds: float) -> float:
        """Return how many packets a second arrive when no more than MAX_LOSS are lost."""
        to = (stream.target_address, str(PORT))
        with (
            stream.target.load(self._program, "udp-receive", *to) as receiver,
            stream.source.load(self._program, "udp-send", *to, str(size)) as send,
        ):
            expect(receiver, "ready")

            def probe(rate: float) -> tuple[float, float]:
                sent, lasted = _ask(send, f"{rate:.0f} {seconds}", seconds).split()
                arrived = _arrived(receiver)
                return int(sent) / float(lasted), arrived / float(lasted)

            return highest_rate(probe)


def highest_rate(probe: Callable[[float], tuple[float, float]]) -> float:
    """Return the highest rate of arrival at which no more than MAX_LOSS are lost.

    ``probe(rate)`` sends at a rate, 0 for as fast as it goes, and returns at what rate packets
    were sent and did arrive. What is lost when the machine does something else for a moment is
    no verdict: a rate fails when it fails twice, or by far.
    """

    def kept(rate: float) -> float:
        """Return the rate of arrival, 0 when too many are lost."""
        for _ in range(2):
            sent, arrived = probe(rate)
            if sent and arrived >= sent * (1 - MAX_LOSS):
                return arrived
            if arrived < sent * (1 - HOPELESS):
                break
        return 0.0

    # A flood takes time from the tunnel: with the load cut back more may arrive than of it.
    _, rate = probe(0)
    failed = float("inf")
    while not (best := kept(rate)):
        failed, rate = rate, rate * STEP_DOWN
        if rate < LEAST:
            return 0.0
    steps = 0
    while steps < STEPS and best >= rate * REACHED:
        if close := failed <= rate / STEP_DOWN:
            steps += 1
        higher = (rate + failed) / 2 if close else rate * STEP_UP
        if arrived := kept(higher):
            best, rate = max(best, arrived), higher
        else:
            failed = higher
    return best


def _ask(process: "subprocess.Popen[bytes]", question: str, seconds: float = 0.0) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{question}\n".encode())
    return next_line(process, seconds + 10)


def _arrived(receiver: "subprocess.Popen[bytes]") -> int:
    """Return how many packets came, when no more do."""
    total, more = 0, -1
    while more:
        time.sleep(GAP)
        more = int(_ask(receiver, "?"))
        total += more
    return total


def expect(process: "subprocess.Popen[bytes]", word: str, seconds: float = 0.0) -> list[str]:
    """Return the other words of the next line of a process, which must begin with this one."""
    words = next_line(process, seconds + 20).split()
    if words[0] != word:
        raise BenchError(f"not {word!r}, but: {' '.join(words)}")
    return words[1:]


def ping(stream: Stream, seconds: float) -> tuple[float, float]:
    """Return the median round trip and the 95th percentile, in ms."""
    count = max(20, round(seconds / PING_INTERVAL))
    command = ("ping", "-n", "-i", str(PING_INTERVAL), "-c", str(count), "-W", "2")
    said = stream.source.run(*command, "-I", stream.source_address, stream.target_address)
    times = parse_ping(said)
    if len(times) < count / 2:
        raise BenchError(f"only {len(times)} of {count} pings were answered")
    return median(times), quantiles(times, n=20)[-1]


def parse_ping(said: str) -> list[float]:
    """Return the round trips in ping's output, in ms."""
    return [float(found) for found in re.findall(r"\btime=([\d.]+) ms", said)]


def reachable(stream: Stream) -> bool:
    """Whether a ping is answered."""
    command = ("ping", "-n", "-c1", "-W1", "-I", stream.source_address, stream.target_address)
    return bool(parse_ping(stream.source.run(*command, check=False)))
