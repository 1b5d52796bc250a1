"""What the server does with packets that do not pass in bulk, [MS-IPHTTPS] 3.2.5.2.

The rules of the specification for both authentication modes, and ours beyond it: a source must
be owned, Router Advertisements and Redirects come from the gateway only, clients do not reach
each other, multicast listener reports go nowhere since no router here forwards multicast.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from throughway.model.config import AuthenticationMode
from throughway.model.errors import WireError
from throughway.proto.iphttps.neighbours import Claim, Neighbours
from throughway.proto.iphttps.session import Drop, Session
from throughway.proto.iphttps.stream import may_leave
from throughway.proto.router import Router
from throughway.wire import icmpv6
from throughway.wire.icmpv6 import (
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterSolicitation,
    build_icmpv6,
    parse_icmpv6,
)
from throughway.wire.ipv6 import (
    ALL_NODES,
    HOP_BY_HOP,
    UNSPECIFIED,
    IPv6Packet,
    is_link_local,
    is_multicast,
    is_solicited_node,
    parse_packet,
)

_DISCOVERY = frozenset(
    (
        icmpv6.ROUTER_SOLICITATION,
        icmpv6.NEIGHBOR_SOLICITATION,
        icmpv6.NEIGHBOR_ADVERTISEMENT,
    )
)
_OF_ROUTERS = frozenset((icmpv6.ROUTER_ADVERTISEMENT, icmpv6.REDIRECT))
_CLAIM_DROPS = {
    Claim.OUTSIDE: Drop.SPOOFED,
    Claim.CONTESTED: Drop.CONTESTED,
    Claim.TOO_MANY: Drop.TOO_MANY_ADDRESSES,
}


@dataclass(frozen=True, slots=True)
class PacketForClient:
    """A packet goes into the stream of a session."""

    session: Session
    packet: bytes


@dataclass(frozen=True, slots=True)
class PacketForHost:
    """A packet goes to the TUN device."""

    packet: bytes


Delivery = PacketForClient | PacketForHost

COPY_BURST, COPY_RATE = 4096, 2048
"""Copies of multicast packets for other clients, at once and each second, in all: every client
that arrives asks all others for its address, and ten thousand would ask ten thousand."""


@dataclass(slots=True)
class CopyBudget:
    """How many copies of multicast packets may still be made (a token bucket)."""

    tokens: float = COPY_BURST
    filled_at: float = 0.0

    def take(self, copies: int, now: float) -> bool:
        """Take the copies of one packet out of the budget; False when it is used up.

        More than there ever are at once leave a debt.
        """
        gained = max(0.0, now - self.filled_at) * COPY_RATE
        self.tokens, self.filled_at = min(float(COPY_BURST), self.tokens + gained), now
        if self.tokens < min(copies, COPY_BURST):
            return False
        self.tokens -= copies
        return True


class SlowPath:
    """Judges one packet at a time; what is to be done goes to ``deliver``."""

    def __init__(
        self, router: Router, neighbours: Neighbours, deliver: Callable[[Delivery], None]
    ) -> None:
        self.authentication = AuthenticationMode.NONE
        self.client_to_client = False
        self._router = router
        self._link = router.link
        self._neighbours = neighbours
        self._deliver = deliver
        self._copies = CopyBudget()

    def receive(
        self, session: Session, data: bytes, sessions: Collection[Session], now: float
    ) -> None:
        """Do what is to be done with a packet; a drop is counted in the session."""
        packet = parse_packet(data)
        kind = _icmpv6_type(packet)
        if kind in icmpv6.MLD_TYPES:
            return
        if kind in _OF_ROUTERS:
            session.drop(Drop.ADVERTISEMENT)
        elif kind in _DISCOVERY:
            self._receive_discovery(session, packet, data, sessions, now)
        elif is_link_local(packet.source):
            session.drop(Drop.LINK_LOCAL)
        elif self._claim(packet.source, session, now):
            self._forward(session, packet.destination, data, sessions, now)

    def _claim(self, source: bytes, session: Session, now: float) -> bool:
        """Whether the session may send from the address; its first use is enough."""
        claim = self._neighbours.claim(source, session, now)
        if claim is Claim.OWNED:
            return True
        session.drop(_CLAIM_DROPS[claim])
        if claim is Claim.CONTESTED:
            question = self._neighbours.contest(source, session, now)
            if question is not None:
                self._deliver(PacketForClient(*question))
        return False

    def _forward(
        self,
        session: Session,
        destination: bytes,
        data: bytes,
        sessions: Collection[Session],
        now: float,
    ) -> None:
        if is_multicast(destination):
            self._spread(session, data, sessions, now)
        elif destination == self._link.link_local or may_leave(
            destination, self._link, client_to_client=self.client_to_client
        ):
            self._deliver(PacketForHost(data))
        elif is_link_local(destination):
            session.drop(Drop.LINK_LOCAL)
        else:
            session.drop(Drop.CLIENT_TO_CLIENT)

    def _spread(
        self, session: Session, data: bytes, sessions: Collection[Session], now: float
    ) -> None:
        """Give a multicast packet to all other clients, where the mode allows it."""
        if self.authentication is AuthenticationMode.NONE:
            session.drop(Drop.MULTICAST)
            return
        if not self._copies.take(len(sessions), now):
            session.drop(Drop.TOO_OFTEN)
            return
        for other in sessions:
            if other is not session:
                self._deliver(PacketForClient(other, data))

    def _receive_discovery(
        self,
        session: Session,
        packet: IPv6Packet,
        data: bytes,
        sessions: Collection[Session],
        now: float,
    ) -> None:
        try:
            message = parse_icmpv6(packet)
        except WireError:
            session.drop(Drop.MALFORMED)
            return
        match message:
            case RouterSolicitation():
                self._receive_router_solicitation(session, packet, data, sessions, now)
            case NeighborSolicitation(target=target) if packet.source == UNSPECIFIED:
                self._receive_duplicate_detection(session, packet, target, data, sessions, now)
            case NeighborSolicitation(target=target):
                self._receive_neighbor_solicitation(session, packet, target, data, sessions, now)
            case NeighborAdvertisement(target=target):
                self._receive_neighbor_advertisement(session, packet, target, data, sessions, now)

    def _receive_router_solicitation(
        self,
        session: Session,
        packet: IPv6Packet,
        data: bytes,
        sessions: Collection[Session],
        now: float,
    ) -> None:
        """Answer as the router. The answer stays in the stream, so the source does not matter."""
        answer = self._router.answer(session.solicitations, now)
        if answer is None:
            session.drop(Drop.TOO_OFTEN)
            return
        self._deliver(PacketForClient(session, answer))
        multicast = is_multicast(packet.destination)
        if multicast and self.authentication is AuthenticationMode.CERTIFICATES:
            self._spread(session, data, sessions, now)

    def _receive_duplicate_detection(
        self,
        session: Session,
        packet: IPv6Packet,
        target: bytes,
        data: bytes,
        sessions: Collection[Session],
        now: float,
    ) -> None:
        """Answer for the owner of an address, or let the asking session have it."""
        if not is_solicited_node(packet.destination):
            session.drop(Drop.MALFORMED)
            return
        owner = self._neighbours.sessions.get(target)
        if self._is_own(target):
            self._advertise(session, target, ALL_NODES, solicited=False)
        elif owner is not None and owner is not session:
            self._advertise(session, target, ALL_NODES, solicited=False)
            if self.authentication is AuthenticationMode.CERTIFICATES:
                self._deliver(PacketForClient(owner, data))
        elif self._link.holds(target) and not self._claim(target, session, now):
            return
        elif owner is None and self.authentication is AuthenticationMode.CERTIFICATES:
            self._spread(session, data, sessions, now)

    def _receive_neighbor_solicitation(
        self,
        session: Session,
        packet: IPv6Packet,
        target: bytes,
        data: bytes,
        sessions: Collection[Session],
        now: float,
    ) -> None:
        """Answer for the router; a question about others is a packet like any other."""
        if not is_link_local(packet.source) and not self._claim(packet.source, session, now):
            return
        if self._is_own(target):
            self._advertise(session, target, packet.source, solicited=True)
        elif is_multicast(packet.destination):
            self._spread(session, data, sessions, now)
        else:
            self._refuse_unicast(session, packet)

    def _receive_neighbor_advertisement(
        self,
        session: Session,
        packet: IPv6Packet,
        target: bytes,
        data: bytes,
        sessions: Collection[Session],
        now: float,
    ) -> None:
        """Let nobody speak for another session's address; a unicast one is an answer to us."""
        owner = self._neighbours.sessions.get(target)
        if self._is_own(target) or (owner is not None and owner is not session):
            session.drop(Drop.SPOOFED)
        elif not is_multicast(packet.destination):
            if not self._is_own(packet.destination):
                self._refuse_unicast(session, packet)
        elif owner is None or self.authentication is AuthenticationMode.NONE:
            self._spread(session, data, sessions, now)
        # Else the one client that has the target in the Neighbor Cache is the sender itself.

    def _refuse_unicast(self, session: Session, packet: IPv6Packet) -> None:
        local = is_link_local(packet.destination) or is_link_local(packet.source)
        session.drop(Drop.LINK_LOCAL if local else Drop.CLIENT_TO_CLIENT)

    def _is_own(self, address: bytes) -> bool:
        return address in (self._link.address, self._link.link_local)

    def _advertise(
        self, session: Session, target: bytes, destination: bytes, *, solicited: bool
    ) -> None:
        """Send an advertisement as the target itself would; without the link-layer option."""
        message = NeighborAdvertisement(
            target=target, router=self._is_own(target), solicited=solicited, override=True
        )
        packet = build_icmpv6(message, source=target, destination=destination)
        self._deliver(PacketForClient(session, packet))


def _icmpv6_type(packet: IPv6Packet) -> int | None:
    """Return the ICMPv6 type, also behind Hop-by-Hop Options, as MLD reports have them."""
    kind, body = packet.next_header, packet.payload
    if kind == HOP_BY_HOP and len(body) >= 8:
        kind, body = body[0], body[(body[1] + 1) * 8 :]
    return body[0] if kind == icmpv6.NEXT_HEADER and body else None
