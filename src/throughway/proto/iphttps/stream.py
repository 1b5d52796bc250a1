"""The cut between the machines and the fast path: which packets go through in bulk.

A link reads as much of the stream as there is, and :func:`sort_packets` walks the packet headers
in that buffer once. What may pass as it is comes back as runs of contiguous bytes, which the
driver writes to the TUN device without a Python object a packet; the rest is handed to the
machine, one packet at a time.
"""

from collections.abc import Container
from typing import NamedTuple

from throughway.model.errors import RemoteProtocolError
from throughway.proto.router import Link
from throughway.wire.ipv6 import DESTINATION_OFFSET, HEADER_LENGTH, SOURCE_OFFSET, VERSION


class Batch(NamedTuple):
    """A buffer, sorted.

    Every run is a list of offsets ``[o0, o1, … on]``: the packets between neighbouring offsets
    may pass as they are, and so may the bytes from ``o0`` to ``on`` as a whole.
    """

    runs: list[list[int]]
    slow: list[bytes]
    """Packets for the machine, in their order."""
    consumed: int
    """The offset behind the last whole packet; there the next one begins."""
    error: RemoteProtocolError | None = None
    """The stream is out of step here; there is no way back into it."""


def sort_packets(
    buffer: bytes | bytearray,
    end: int,
    *,
    start: int = 0,
    owned: Container[bytes] | None = None,
    link: Link | None = None,
    client_to_client: bool = False,
) -> Batch:
    """Cut the packets in ``buffer[start:end]`` and sort them.

    Without ``owned`` (on a client) every packet passes. With it (on the server) a packet passes
    when its source is owned by the session and its destination is neither multicast nor
    link-local nor another client's (unless ``client_to_client``).

    The contract, held against a version that looks at one packet at a time: the packets of all
    runs and of ``slow`` are the packets of ``buffer[start:consumed]``, each once, in order within
    runs and within ``slow``; no packet in a run breaks the rule above, none in ``slow`` keeps it.
    """
    runs: list[list[int]] = []
    slow: list[bytes] = []
    run: list[int] = []
    offset = start
    passes = owned is None
    previous: bytes | bytearray = b""
    while end - offset >= HEADER_LENGTH:
        if buffer[offset] >> 4 != VERSION:
            return Batch(runs, slow, offset, _out_of_step(buffer[offset]))
        after = offset + HEADER_LENGTH + (buffer[offset + 4] << 8 | buffer[offset + 5])
        if after > end:
            return Batch(runs, slow, offset)
        if owned is not None:
            addresses = buffer[offset + SOURCE_OFFSET : offset + HEADER_LENGTH]
            if addresses != previous:  # bulk traffic repeats the same two
                previous = addresses
                passes = bytes(addresses[:16]) in owned and may_leave(
                    bytes(addresses[16:]), link, client_to_client=client_to_client
                )
        if not passes:
            slow.append(bytes(buffer[offset:after]))
        elif run and run[-1] == offset:
            run.append(after)
        else:
            run = [offset, after]
            runs.append(run)
        offset = after
    if offset < end and buffer[offset] >> 4 != VERSION:
        return Batch(runs, slow, offset, _out_of_step(buffer[offset]))
    return Batch(runs, slow, offset)


def may_leave(destination: bytes, link: Link | None, *, client_to_client: bool = False) -> bool:
    """Whether a client's packet to this address is the kernel's to route."""
    if destination[0] == 0xFF or (destination[0] == 0xFE and destination[1] & 0xC0 == 0x80):
        return False
    if link is None or client_to_client or destination[:8] != link.prefix[:8]:
        return True
    return destination == link.address


def destination_of(packet: bytes) -> bytes:
    """Return the destination address of a packet."""
    return packet[DESTINATION_OFFSET:HEADER_LENGTH]


def _out_of_step(first: int) -> RemoteProtocolError:
    return RemoteProtocolError(f"stream out of step: IP version is {first >> 4}, expected 6")
