"""Packets in fragments: whether all of each arrived where the capture was made.

Driven by :class:`~throughway.proto.flows.tracker.Tracker`. Only packets whose first fragment was
seen count: a capture may begin in the middle of one. RFC 791, section 3.2; RFC 8200, section 4.5.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from throughway.wire.ip import UDP, IPHeader

MAXIMUM_PACKETS = 4096
"""Packets that are put together at a time; the one that was begun first is given up."""
MAXIMUM_PATHS = 10_000
"""Pairs of addresses that are told of."""
_TOLD_PORTS = (500, 4500, 3544)


class FragmentsReceived(NamedTuple):
    """How packets in fragments fared between two addresses."""

    number: int
    """Of the first such packet in the capture."""
    source: bytes
    destination: bytes
    protocol: int
    port: int | None
    whole: int
    broken: int


@dataclass(slots=True)
class _Packet:
    """One that is not yet complete."""

    number: int
    path: tuple[bytes, bytes, int]
    began: bool = False
    port: int | None = None
    total: int | None = None
    pieces: dict[int, int] = field(default_factory=dict)
    """Lengths by offset."""

    @property
    def complete(self) -> bool:
        return self.total is not None and sum(self.pieces.values()) >= self.total


@dataclass(slots=True)
class _Count:
    number: int
    port: int | None
    whole: int = 0
    broken: int = 0


class Fragments:
    """Counts the whole and the broken."""

    def __init__(self) -> None:
        self._packets: OrderedDict[bytes, _Packet] = OrderedDict()
        self._counts: dict[tuple[bytes, bytes, int, int | None], _Count] = {}

    def receive(self, data: bytes, offset: int, ip: IPHeader, number: int) -> None:
        """Take the fragment at ``offset``."""
        place = offset + 4 if ip.version == 4 else ip.start - 2
        key = ip.source + ip.destination + bytes((ip.protocol,)) + data[place : place + 2]
        packet = self._packets.get(key)
        if packet is not None and not ip.fragment_offset and packet.began:
            # The identification is used again, or the same was captured twice.
            return
        if packet is None:
            if len(self._packets) >= MAXIMUM_PACKETS:
                self._packets.popitem(last=False)
            path = (ip.source, ip.destination, ip.protocol)
            packet = self._packets[key] = _Packet(number, path)
        self._add(packet, data, ip)
        if packet.complete:
            del self._packets[key]
            self._count(packet, whole=True)

    def finish(self) -> Iterator[FragmentsReceived]:
        """Yield what was counted."""
        for packet in self._packets.values():
            if packet.began:
                self._count(packet, whole=False)
        for (source, destination, protocol, port), count in self._counts.items():
            yield FragmentsReceived(
                *(count.number, source, destination, protocol, port), count.whole, count.broken
            )

    def _add(self, packet: _Packet, data: bytes, ip: IPHeader) -> None:
        length = ip.end + ip.missing - ip.start
        packet.pieces[ip.fragment_offset] = length
        if not ip.more_fragments:
            packet.total = ip.fragment_offset + length
        if not ip.fragment_offset:
            packet.began = True
            if ip.protocol == UDP:
                ports = (
                    int.from_bytes(data[at : at + 2], "big") for at in (ip.start, ip.start + 2)
                )
                packet.port = next((port for port in ports if port in _TOLD_PORTS), None)

    def _count(self, packet: _Packet, *, whole: bool) -> None:
        key = (*packet.path, packet.port)
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= MAXIMUM_PATHS:
                return
            count = self._counts[key] = _Count(packet.number, packet.port)
        if whole:
            count.whole += 1
        else:
            count.broken += 1
