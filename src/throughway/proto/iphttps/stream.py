"""The cut between the machines and the fast path: which packets go through in bulk.

A link reads as much of the stream as there is, and :func:`sort_packets` decides once for each
stretch of packets with the same two addresses. What may pass as it is comes back as runs of
contiguous bytes, which the driver writes to the TUN device without a Python object a packet; the
rest is handed to the machine, one packet at a time.
"""

from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from throughway.model.errors import RemoteProtocolError
from throughway.proto.router import Link
from throughway.wire.ipv6 import DESTINATION_OFFSET, HEADER_LENGTH, SOURCE_OFFSET, VERSION

Walk = Callable[[bytes | bytearray, int, int], int]
"""As :func:`same_addresses`."""


class Batch(NamedTuple):
    """A buffer, sorted."""

    runs: list[tuple[int, int]]
    """Begin and end of packets that may pass as they are."""
    slow: list[bytes]
    """Packets for the machine, in their order."""
    consumed: int
    """The offset behind the last whole packet; there the next one begins."""
    error: RemoteProtocolError | None = None
    """The stream is out of step here; there is no way back into it."""


def same_addresses(buffer: bytes | bytearray, start: int, end: int, /) -> int:
    """Return where the packets end that have the addresses of the one at ``start``.

    It is ``start`` when there is no whole packet.
    """
    at = start
    addresses = buffer[start + SOURCE_OFFSET : start + HEADER_LENGTH]
    while end - at >= HEADER_LENGTH and buffer[at] >> 4 == VERSION:
        size = HEADER_LENGTH + (buffer[at + 4] << 8 | buffer[at + 5])
        header, after = buffer[at : at + HEADER_LENGTH], at + size
        if after > end or header[SOURCE_OFFSET:] != addresses:
            break
        at = after
        # In bulk the next ones have the very same header.
        while end - at >= size and buffer.startswith(header, at):
            at += size
    return at


def sort_packets(
    buffer: bytes | bytearray,
    end: int,
    *,
    start: int = 0,
    owned: Container[bytes] | None = None,
    link: Link | None = None,
    client_to_client: bool = False,
    walk: Walk = same_addresses,
) -> Batch:
    """Cut the packets in ``buffer[start:end]`` and sort them.

    Without ``owned`` (on a client) every packet passes. With it (on the server) a packet passes
    when its source is owned by the session and its destination is neither multicast nor
    link-local nor another client's (unless ``client_to_client``).

    The contract, held against a version that looks at one packet at a time: the packets of all
    runs and of ``slow`` are the packets of ``buffer[start:consumed]``, each once, in order within
    runs and within ``slow``; no packet in a run breaks the rule above, none in ``slow`` keeps it.
    """
    runs: list[tuple[int, int]] = []
    slow: list[bytes] = []
    offset = start
    while (after := walk(buffer, offset, end)) > offset:
        if owned is None or (
            bytes(buffer[offset + SOURCE_OFFSET : offset + DESTINATION_OFFSET]) in owned
            and may_leave(
                bytes(buffer[offset + DESTINATION_OFFSET : offset + HEADER_LENGTH]),
                link,
                client_to_client=client_to_client,
            )
        ):
            begin = runs.pop()[0] if runs and runs[-1][1] == offset else offset
            runs.append((begin, after))
        else:
            slow += cut_packets(buffer, offset, after)
        offset = after
    if offset < end and buffer[offset] >> 4 != VERSION:
        return Batch(runs, slow, offset, _out_of_step(buffer[offset]))
    return Batch(runs, slow, offset)


def cut_packets(buffer: bytes | bytearray | memoryview, start: int, end: int) -> Iterator[bytes]:
    """Return the packets of ``buffer[start:end]``, which has only whole ones, each by itself."""
    while start < end:
        after = start + HEADER_LENGTH + (buffer[start + 4] << 8 | buffer[start + 5])
        yield bytes(buffer[start:after])
        start = after


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
