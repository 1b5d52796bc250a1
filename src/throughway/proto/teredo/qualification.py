"""The questions by which a Teredo client learns its mapping and its NAT (RFC 4380, section 5.2.1).

Used by :mod:`throughway.proto.teredo.client` and, for the other end's half, by
:mod:`throughway.proto.teredo.server`. Each solicitation bears a nonce of its own, so that an
answer proves which question it belongs to and that the server, or somebody on the way to it, sent
it. Three go to the first address at once, then the fourth:

    CONE       answered from the server's other address: passes a cone NAT alone
    PORT       answered from another port: passes a NAT that looks at addresses only
    PRIMARY    answered from where it was sent to: passes any NAT
    SECONDARY  goes to the other address; a symmetric NAT maps it to another port

The first two leave by a socket of their own. A NAT which turns their answers away may keep in mind
that the server's other address talks to that port, and Linux then maps SECONDARY to another port:
it would look symmetric. PORT is an agreement among throughway's clients and servers, which other
servers answer like PRIMARY.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from throughway.model.errors import WireError
from throughway.wire.icmpv6 import (
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
    parse_icmpv6,
)
from throughway.wire.ipv6 import ALL_ROUTERS, is_link_local, parse_packet
from throughway.wire.teredo import (
    CONE,
    PORT,
    SERVER_PREFIX_LENGTH,
    Authentication,
    Mapping,
    TeredoPacket,
    build_link_local,
    build_server_prefix,
    build_teredo,
    secondary_address,
)

INTERVALS = (1.0, 2.0, 4.0)
"""Seconds after each try of a solicitation. The specification has three tries of 4 seconds each;
the first ones are shorter, since a datagram that is lost should not cost four seconds."""
QUICK_INTERVALS = (0.3, 0.5)
"""The same when the network has changed and the mapping may be lost: be over with it soon. Where
the server is farther away than that, qualification follows, and its patience."""
NONCE_LENGTH = 8
OTHER_PORT = b"throughway-port"
"""The client identifier of a solicitation that shall be answered from another port."""

Random = Callable[[int], bytes]
"""Return so many bytes of chance that nobody can guess."""


class NAT(StrEnum):
    """What is between client and Internet, as Windows calls it."""

    UNKNOWN = "unknown"
    CONE = "cone"
    RESTRICTED = "restricted"
    PORT_RESTRICTED = "restricted (port)"
    SYMMETRIC = "symmetric (port)"


class Question(StrEnum):
    """The solicitations."""

    CONE = "cone"
    PORT = "port"
    PRIMARY = "primary"
    SECONDARY = "secondary"


TESTS = frozenset({Question.CONE, Question.PORT})
"""Those that only tell the NATs apart."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A datagram, to whom it goes, and whether it leaves by the socket for tests."""

    data: bytes
    destination: Mapping
    test: bool = False


@dataclass(slots=True)
class _Asked:
    """A solicitation on the way."""

    nonce: bytes
    tries: int
    next_at: float


@dataclass(slots=True)
class Solicitor:
    """Asks, repeats and recognises the answers."""

    server: bytes
    random: Random
    _asked: dict[Question, _Asked] = field(default_factory=dict)
    _intervals: tuple[float, ...] = INTERVALS
    _outgoing: list[Outgoing] = field(default_factory=list)

    @property
    def primary(self) -> Mapping:
        """Where the server is."""
        return Mapping(self.server, PORT)

    @property
    def secondary(self) -> Mapping:
        """Where it is as well."""
        return Mapping(secondary_address(self.server), PORT)

    def ask(
        self, *questions: Question, now: float, intervals: tuple[float, ...] = INTERVALS
    ) -> None:
        """Ask these, and none of those before."""
        self._asked.clear()
        self._intervals = intervals
        for question in questions:
            self._asked[question] = asked = _Asked(self.random(NONCE_LENGTH), 0, now)
            self._send(question, asked, now)

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._asked.clear()

    def datagrams_to_send(self) -> list[Outgoing]:
        """Return, and forget, what is to be sent."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return min((asked.next_at for asked in self._asked.values()), default=None)

    def handle_timer(self, now: float) -> bool:
        """Ask again; return False when that has been done often enough."""
        for question, asked in tuple(self._asked.items()):
            if asked.next_at > now:
                continue
            if asked.tries >= len(self._intervals):
                self._asked.clear()
                return False
            self._send(question, asked, now)
        return True

    def answered(
        self, packet: TeredoPacket, source: Mapping, *, test: bool = False
    ) -> tuple[Question, Mapping] | None:
        """Return which question the datagram answers and the mapping that it tells, or None."""
        said = packet.authentication
        if said is None or packet.origin is None or said.confirmation:
            return None
        for question, asked in self._asked.items():
            if (question in TESTS) is not test or asked.nonce != said.nonce:
                continue
            if self._may_come_from(question, source):
                return (question, packet.origin) if self._is_advertised(packet.packet) else None
        return None

    def _may_come_from(self, question: Question, source: Mapping) -> bool:
        match question:
            case Question.PRIMARY:
                return source == self.primary
            case Question.PORT:
                return source.address == self.server and source.port != PORT
            case Question.CONE | Question.SECONDARY:
                return source == self.secondary

    def _is_advertised(self, data: bytes) -> bool:
        """Whether it is an advertisement of the server's prefix."""
        try:
            packet = parse_packet(data)
            message = parse_icmpv6(packet)
        except WireError:
            return False
        prefix = build_server_prefix(self.server)
        return (
            isinstance(message, RouterAdvertisement)
            and is_link_local(packet.source)
            and any(
                option.prefix[:8] == prefix[:8] and option.length == SERVER_PREFIX_LENGTH
                for option in message.prefixes
            )
        )

    def _send(self, question: Question, asked: _Asked, now: float) -> None:
        asked.next_at = now + self._intervals[asked.tries]
        asked.tries += 1
        identifier = OTHER_PORT if question is Question.PORT else b""
        flags = CONE if question is Question.CONE else 0
        target = self.secondary if question is Question.SECONDARY else self.primary
        data = build_solicitation(asked.nonce, flags, identifier)
        self._outgoing.append(Outgoing(data, target, question in TESTS))


def build_solicitation(nonce: bytes, flags: int = 0, identifier: bytes = b"") -> bytes:
    """Write a solicitation; with the flag of a cone it asks for an answer from elsewhere."""
    # Nothing is known of ourselves yet: the specification leaves the rest of the address open.
    source = build_link_local(flags, Mapping(bytes(4), 0))
    return build_teredo(
        TeredoPacket(
            packet=build_icmpv6(RouterSolicitation(), source=source, destination=ALL_ROUTERS),
            authentication=Authentication(identifier, b"", nonce, 0),
        )
    )


def classify(heard: set[Question], first: Mapping, second: Mapping) -> NAT:
    """Say what the NAT is, by who was heard and the mappings to the server's two addresses."""
    if first != second:
        return NAT.SYMMETRIC
    if Question.CONE in heard:
        return NAT.CONE
    return NAT.RESTRICTED if Question.PORT in heard else NAT.PORT_RESTRICTED
