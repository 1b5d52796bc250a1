"""The figures of the tunnel benchmark, and how each is taken from a tunnel that is up."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import MARK, Load, Stream, expect, ping
from bench.peers.peer import Ends, Peer
from bench.world import GATEWAY, WIRE, BenchError, Space, World, next_line

UNITS = {
    **{f"tcp-{n}-{way}": "Mbit/s" for n in (1, 4) for way in ("up", "down")},
    **{f"udp-{size}-{way}": "packets/s" for size in (1200, 200) for way in ("up", "down")},
    **dict.fromkeys(("rtt-idle", "rtt-loaded-up", "rtt-loaded-down"), "ms"),
    **dict.fromkeys(("cpu-up", "cpu-down"), "s/GB"),
    "handshakes": "1/s",
    "memory-idle": "KiB",
    **dict.fromkeys(("two-clients-up", "two-clients-down"), "Mbit/s"),
}
TWO_CLIENTS = ("two-clients-up", "two-clients-down")

BOTTLENECK = ("rate", "200mbit", "burst", "64kb", "latency", "20ms")
"""Of tc-tbf(8), at both ends of the wire, while the round trip under load is taken."""
FULL = 190.0
"""Mbit/s on that wire which are a load: who carries less has no queue, and a round trip that says
nothing of one."""
FILL = 0.5
"""Seconds in which the stream beside the pings finds its rate."""
CHECK_SECONDS = 0.3
CHECK_BYTES = 100_000
"""Of that load which must be seen at least."""
UDP_PROBE = 0.08
"""Seconds of one step of the search for the rate of UDP, as a share of those of TCP."""
HANDSHAKERS = 2
"""Clients that shake hands one time after the other, at once."""
_TICKS = os.sysconf("SC_CLK_TCK")

Values = dict[str, tuple[float, ...]]
"""Of each measure: its value, and what else is to be kept of it."""


@dataclass(frozen=True, slots=True)
class Up:
    """A tunnel that is up, and how long to measure it."""

    peer: Peer
    world: World
    ends: Ends
    load: Load
    seconds: float

    def streams(self, way: str) -> list[Stream]:
        """Return the way of each client, "up" or "down"."""
        return self.ends.up(self.world) if way == "up" else self.ends.down(self.world)


def check_wire(up: Up) -> None:
    """Make sure that the load goes over the wire, and not in the clear."""
    space = up.world.client
    command = (sys.executable, "-m", "bench.wire", WIRE, MARK.decode())
    with space.load(*command) as watch:
        expect(watch, "ready")
        up.peer.tcp(up.load, up.streams("up")[:1], CHECK_SECONDS, warm_up=0.1)
        assert watch.stdin is not None
        watch.stdin.close()
        seen = json.loads(next_line(watch))
        watch.stdin = None
    if seen["bytes"] < CHECK_BYTES:
        raise BenchError("nothing of the load is seen on the wire")
    if seen["clear"]:
        raise BenchError("the load is on the wire in the clear")


def tcp(up: Up, way: str, parallel: int = 1) -> Values:
    """Return throughput, and with one stream the CPU time of both ends of the tunnel."""
    meters: list[dict[int, float]] = []

    def note(_mark: str) -> None:
        meters.append(_cpu_seconds(up.world))

    streams, wire = up.streams(way), _wire_bytes(up.world, way)
    rate = up.peer.tcp(up.load, streams, up.seconds, parallel=parallel, marks=note)
    carried, crossed = rate * 1e6 / 8 * up.seconds, _wire_bytes(up.world, way) - wire
    if crossed < carried:
        raise BenchError(f"{carried:.0f} bytes came out, {crossed} crossed the wire")
    if len(streams) > 1:
        return {f"two-clients-{way}": (rate,)}
    found: Values = {f"tcp-{parallel}-{way}": (rate,)}
    if parallel == 1:
        found[f"cpu-{way}"] = (_used(*meters) / (carried / 1e9),)
    return found


def udp(up: Up, way: str, size: int) -> Values:
    """Return the packets a second."""
    probe = max(0.2, up.seconds * UDP_PROBE)
    return {f"udp-{size}-{way}": (up.load.udp(up.streams(way)[0], size, probe),)}


def rtt_idle(up: Up) -> Values:
    """Return the round trip of a tunnel that has nothing else to do."""
    return {"rtt-idle": ping(up.streams("up")[0], up.seconds / 2)}


def rtt_loaded(up: Up, way: str) -> Values:
    """Return the round trip beside a TCP stream, over a wire that is the bottleneck.

    And how full the wire was, in Mbit/s: who does not fill it has no queue to wait in.
    """
    with bottleneck(up.world), up.load.busy(up.streams(way)[0]):
        time.sleep(FILL)
        crossed, began = _wire_bytes(up.world, way), time.monotonic()
        middle, tail = ping(up.streams("up")[0], up.seconds)
        lasted = time.monotonic() - began
        crossed = _wire_bytes(up.world, way) - crossed
        return {f"rtt-loaded-{way}": (middle, tail, crossed * 8 / 1e6 / lasted)}


def handshakes(up: Up) -> Values:
    """Return how many full TLS handshakes the gateway makes, with clients that share its cores."""
    target = f"{GATEWAY}:{up.peer.tls_port(up.world)}"
    # It counts whole seconds.
    seconds = max(1, round(up.seconds / 2))
    command = ("openssl", "s_time", "-new", "-connect", target, "-time", str(seconds))
    with contextlib.ExitStack() as stack:
        begin = time.monotonic()
        clients = [stack.enter_context(up.world.client.load(*command)) for _ in range(HANDSHAKERS)]
        said = [client.communicate(timeout=seconds + 20)[0].decode() for client in clients]
        lasted = time.monotonic() - begin
    counts = [re.search(r"(\d+) connections in \d+ real seconds", one) for one in said]
    if not all(count and int(count[1]) for count in counts):
        raise BenchError(f"no handshakes: {' '.join(said)}")
    return {"handshakes": (sum(int(count[1]) for count in counts if count) / lasted,)}


GROUPS: dict[tuple[str, ...], Callable[[Up], Values]] = {
    ("tcp-1-up", "cpu-up"): lambda up: tcp(up, "up"),
    ("tcp-1-down", "cpu-down"): lambda up: tcp(up, "down"),
    ("tcp-4-up",): lambda up: tcp(up, "up", 4),
    ("tcp-4-down",): lambda up: tcp(up, "down", 4),
    ("udp-1200-up",): lambda up: udp(up, "up", 1200),
    ("udp-1200-down",): lambda up: udp(up, "down", 1200),
    ("udp-200-up",): lambda up: udp(up, "up", 200),
    ("udp-200-down",): lambda up: udp(up, "down", 200),
    ("rtt-idle",): rtt_idle,
    ("rtt-loaded-up",): lambda up: rtt_loaded(up, "up"),
    ("rtt-loaded-down",): lambda up: rtt_loaded(up, "down"),
    ("two-clients-up",): lambda up: tcp(up, "up"),
    ("two-clients-down",): lambda up: tcp(up, "down"),
    ("handshakes",): handshakes,
}
"""What is taken together, in the order in which it is taken. memory-idle has a world of its own."""


@contextlib.contextmanager
def bottleneck(world: World) -> Iterator[None]:
    """Make the wire slow, both ways."""
    ends: list[tuple[Space, str]] = [(world.client, WIRE), (world.gateway, f"{WIRE}1")]
    for space, wire in ends:
        space.run("tc", "qdisc", "add", "dev", wire, "root", "tbf", *BOTTLENECK)
    try:
        yield
    finally:
        for space, wire in ends:
            space.run("tc", "qdisc", "del", "dev", wire, "root")


def idle_memory(peer: Peer, world: World) -> Values:
    """Return the KiB of a session that says nothing, on the gateway."""
    return {"memory-idle": (peer.idle_memory(world),)}


def wanted(peer: Peer, asked: frozenset[str]) -> list[str]:
    """Return which of the measures asked for are this candidate's."""
    own = peer.measures or tuple(name for name in UNITS if name not in TWO_CLIENTS)
    return [name for name in own if name in asked]


def _used(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the CPU time between two looks."""
    if before.keys() - after.keys():
        raise BenchError("a process of the tunnel ended while its CPU time was taken")
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def _cpu_seconds(world: World) -> dict[int, float]:
    """Return the CPU time so far of each process of the tunnel, at both ends."""
    found = {}
    for pid in (pid for space in world.spaces for pid in space.processes()):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid] = (int(fields[11]) + int(fields[12])) / _TICKS
    return found


def _wire_bytes(world: World, way: str) -> int:
    """Return the bytes so far on all clients' wires."""
    total = 0
    for space in world.clients:
        lines = space.run("cat", "/proc/net/dev").splitlines()
        fields = next(line for line in lines if line.strip().startswith(f"{WIRE}:")).split()
        total += int(fields[9 if way == "up" else 1])
    return total
