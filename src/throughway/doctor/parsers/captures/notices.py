"""From errors, protected traffic and fragments of a capture to facts."""

from collections.abc import Iterator

from throughway.model.evidence import Source
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import ESPSeen, FragmentsSeen, ICMPErrorSeen, Refusal
from throughway.proto.flows.fragments import FragmentsReceived
from throughway.proto.flows.tracker import ErrorReceived, ESPReceived
from throughway.wire.ip import format_ip
from throughway.wire.transport import ICMPError

MAXIMUM_NOTICES = 20_000
"""Different ones; more say nothing new."""
_ANY = -1
_MEANINGS = {
    4: {
        (3, 0): Refusal.NO_ROUTE,
        (3, 1): Refusal.UNREACHABLE,
        (3, 2): Refusal.PROTOCOL,
        (3, 3): Refusal.PORT,
        (3, 4): Refusal.TOO_BIG,
        (3, 6): Refusal.NO_ROUTE,
        (3, 7): Refusal.UNREACHABLE,
        (3, 9): Refusal.PROHIBITED,
        (3, 10): Refusal.PROHIBITED,
        (3, 11): Refusal.NO_ROUTE,
        (3, 12): Refusal.UNREACHABLE,
        (3, 13): Refusal.PROHIBITED,
        (11, 0): Refusal.HOP_LIMIT,
        (11, 1): Refusal.FRAGMENTS,
    },
    6: {
        (1, 0): Refusal.NO_ROUTE,
        (1, 1): Refusal.PROHIBITED,
        (1, 3): Refusal.UNREACHABLE,
        (1, 4): Refusal.PORT,
        (1, 5): Refusal.PROHIBITED,
        (1, 6): Refusal.NO_ROUTE,
        (2, _ANY): Refusal.TOO_BIG,
        (3, 0): Refusal.HOP_LIMIT,
        (3, 1): Refusal.FRAGMENTS,
        (4, 1): Refusal.PROTOCOL,
    },
}
"""By version of IP, then by type and code (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443)."""
_NO_ERRORS = {4: frozenset({4, 5}), 6: frozenset[int]()}
"""Source Quench and Redirect: the packet arrived."""


class Notices:
    """Collects them, alike ones once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._facts: dict[Fact, None] = {}

    def add(self, event: ErrorReceived | ESPReceived | FragmentsReceived) -> None:
        """Take one."""
        if len(self._facts) >= MAXIMUM_NOTICES:
            return
        source = Source(self._file, None, f"packet {event.number}")
        if isinstance(event, ErrorReceived):
            fact: Fact | None = _error(event.reporter, event.error, source)
        elif isinstance(event, ESPReceived):
            ends = {"sender": format_ip(event.source), "receiver": format_ip(event.destination)}
            fact = ESPSeen(source=source, in_udp=event.in_udp, **ends)
        else:
            fact = FragmentsSeen(
                source=source,
                sender=format_ip(event.source),
                receiver=format_ip(event.destination),
                protocol=event.protocol,
                port=event.port,
                whole=event.whole,
                broken=event.broken,
            )
        if fact is not None:
            self._facts.setdefault(fact)

    def facts(self) -> Iterator[Fact]:
        """Yield them all."""
        yield from self._facts


def _error(reporter: bytes, error: ICMPError, source: Source) -> ICMPErrorSeen | None:
    packet = error.packet
    if error.type in _NO_ERRORS[packet.version]:
        return None
    meanings = _MEANINGS[packet.version]
    refusal = meanings.get((error.type, error.code)) or meanings.get((error.type, _ANY))
    mtu = None
    if refusal is Refusal.TOO_BIG:
        mtu = error.detail & 0xFFFF if packet.version == 4 else error.detail
    return ICMPErrorSeen(
        source=source,
        reporter=format_ip(reporter),
        sender=format_ip(packet.source),
        destination=format_ip(packet.destination),
        protocol=packet.protocol,
        port=error.ports[1] if error.ports else None,
        refusal=refusal or Refusal.OTHER,
        mtu=mtu,
    )
