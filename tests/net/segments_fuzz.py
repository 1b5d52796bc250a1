"""Whatever bytes against the module, in buffers of exactly their size; prints how many rounds.

python -m tests.net.segments_fuzz LIBRARY SECONDS [SEED]
"""

import contextlib
import ctypes
import importlib.machinery
import importlib.util
import random
import socket
import sys
import time

from tests.net.segments_world import (
    ACK,
    ALIKE,
    OTHER,
    PSH,
    reference_segment,
    written_by,
)
from throughway.net import segments
from throughway.net.offload import Pump, pure
from throughway.net.segments import VNET


def load(library: str) -> Pump:
    """Load a build of the module from where it lies."""
    loader = importlib.machinery.ExtensionFileLoader("_segments", library)
    spec = importlib.util.spec_from_loader("_segments", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return Pump(
        name="native",
        why=library,
        segment=module.segment,
        fill=module.fill,
        coalesce=module.coalesce,
        walk=module.walk,
    )


def exact(data: bytes) -> memoryview:
    """Return the bytes in an allocation that has not one byte more."""
    return memoryview((ctypes.c_ubyte * len(data)).from_buffer_copy(data)).cast("B")


def traffic(chance: random.Random) -> bytes:
    packets, sequence = [], chance.choice([0, 2**32 - 3000])
    size, maker = chance.choice([1, 8, 100, 1220]), chance.choice([ALIKE, OTHER])
    options = bytes(4 * chance.choice([0, 3, 10]))
    for _ in range(chance.randrange(1, 80)):
        own = chance.choice([size] * 20 + [0, 1])
        flags = chance.choice([ACK] * 20 + [ACK | PSH, 0])
        if chance.random() < 0.7:
            packets.append(maker.segment(bytes(own), sequence, flags=flags, options=options))
        else:
            packets.append(maker.datagram(bytes(own)))
        sequence += own
    return b"".join(packets)


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with some of them changed, and the end cut off."""
    copy = bytearray(data)
    for _ in range(chance.choice([0, 0, 1, 3, 30])):
        if copy:
            copy[chance.randrange(min(len(copy), 200))] = chance.randrange(256)
    if chance.random() < 0.3:
        del copy[chance.randrange(len(copy) + 1) :]
    return bytes(copy)


def one_round(native: Pump, chance: random.Random) -> None:
    """Give both implementations the same bytes; they must agree."""
    other = pure("to compare")
    data = spoiled(traffic(chance), chance)
    buffer, udp = exact(data), chance.random() < 0.8
    end = native.walk(buffer, 0, len(data))  # type: ignore[arg-type]
    assert end == other.walk(data, 0, len(data))
    written = written_by(other.coalesce, data, udp=udp)
    of_native = written_by(
        lambda fd, _, __, ___, u: native.coalesce(fd, buffer, 0, len(data), u),  # type: ignore[arg-type]
        data,
        udp=udp,
    )
    assert of_native == written
    kind, offset = chance.choice([(4, 16), (5, 6), (0, 16), (0, 6)])
    step = chance.choice([1, 10, 100, 1208, 0, 65535])
    header = VNET.pack(1, kind, 60, step, 40, offset)
    payload = bytes(chance.choice([0, 1, 500, 5000]))
    whole = ALIKE.segment(payload, 2**32 - 5) if offset == 16 else ALIKE.datagram(payload)
    read = spoiled(header + whole, chance)
    room = chance.choice([0, 100, 6000, 400_000])
    fill_alike(native, [read, data[:60_000], read], room, chance.choice([0, 1, 100, 3000, 10**6]))
    targets = exact(bytes(room)), memoryview(bytearray(room))
    ends = (
        native.segment(exact(read), len(read), targets[0], 0),
        segments.segment(memoryview(read), len(read), targets[1], 0),
    )
    assert ends[0] == ends[1]
    assert targets[0] == targets[1]


def fill_alike(native: Pump, reads: list[bytes], room: int, limit: int) -> None:
    """Let both read the same from a device."""
    reads = [read for read in reads if read]  # there are no empty ones
    outcomes = []
    for pump in (native, pure("to compare")):
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with ours, kernel:
            for read in reads:
                kernel.send(read)
            target = exact(bytes(room))
            end, refused = pump.fill(ours.fileno(), exact(bytes(65_545)), target, limit)
            left = 0
            with contextlib.suppress(BlockingIOError):
                while ours.recv(1):
                    left += 1
            outcomes.append((bytes(target[:end]), refused, left))
    assert outcomes[0] == outcomes[1]
    expected, taken, refused = b"", 0, 0
    for number, read in enumerate(reads):
        if taken >= limit or len(expected) >= limit:
            assert outcomes[0][2] == len(reads) - number
            break
        packets = reference_segment(read, room - len(expected))
        expected, taken, refused = expected + packets, taken + len(read), refused + (not packets)
    assert outcomes[0][:2] == (expected, refused)


def main() -> None:
    """Fuzz until the time is over."""
    native, seconds = load(sys.argv[1]), float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(2**32)
    sys.stderr.write(f"seed {seed}\n")
    chance, until, rounds = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        one_round(native, chance)
        rounds += 1
    sys.stdout.write(f"{rounds}\n")


if __name__ == "__main__":
    main()
