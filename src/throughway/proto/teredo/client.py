"""The Teredo client (RFC 4380, section 5.2, with RFC 5991 and the symmetric NATs of RFC 6081).

Driven by :mod:`throughway.net.teredo_client`. Qualified, it has an address and carries packets to
and from peers. One peer may be watched: the gateway's endpoint, which is asked by an echo through
the server as soon as there is an address, and again whenever nothing has come from it for a while;
so one knows that the whole way works, not only the server's.

A client behind a symmetric NAT qualifies too (RFC 6081, section 3.1): it reaches a relay that
sits at the server's own port, as the gateway's does. The watch tells whether it does.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from throughway.model.errors import LocalProtocolError, Stage, TransportError, WireError
from throughway.proto.teredo.peers import MAX_TRIES, UNREACHABLE_FOR, Peer, Peers, PeerState
from throughway.proto.teredo.qualification import (
    NAT,
    QUICK_INTERVALS,
    Outgoing,
    Question,
    Random,
    Solicitor,
    classify,
)
from throughway.wire.icmpv6 import Echo, build_icmpv6, parse_icmpv6
from throughway.wire.ipv6 import (
    DESTINATION_OFFSET,
    HEADER_LENGTH,
    SOURCE_OFFSET,
    is_link_local,
    is_multicast,
    parse_packet,
)
from throughway.wire.sixtofour import is_usable
from throughway.wire.teredo import (
    PORT,
    Kind,
    Mapping,
    TeredoAddress,
    TeredoPacket,
    build_bubble,
    build_teredo_address,
    is_teredo,
    parse_teredo,
    parse_teredo_address,
    random_flags,
)

REFRESH_INTERVAL = 30.0
"""Seconds in which NATs are expected to keep a mapping (5.2.5)."""
REFRESH_LEAST = 0.75
"""The least part of it; a refresh comes at random between that and the whole (5.2.5)."""
RETRY_FIRST = 10.0
"""Seconds before qualification is tried again; doubles."""
RETRY_MOST = 300.0
"""Seconds that it grows to."""
WATCH_INTERVAL = 10.0
"""Seconds of silence after which the watched endpoint is asked for a sign of life."""
MAX_PEERS = 256
"""Peers that are remembered: a client of DirectAccess has two; anybody can pretend to be one."""
NONCE_LENGTH = 16
"""Bytes of an echo's data that only one on the way to the peer can know (5.2.9)."""


class State(StrEnum):
    """Of RFC 4380, section 5.2, in the words of Windows."""

    OFFLINE = "offline"
    DORMANT = "dormant"
    PROBE_PRIMARY = "probe (primary server)"
    PROBE_SECONDARY = "probe (secondary server)"
    QUALIFIED = "qualified"


class Input(Enum):
    """What can happen to the client."""

    ENABLE = auto()
    DISABLE = auto()
    PROBE = auto()
    ANSWERED = auto()
    UNANSWERED = auto()


OWN = frozenset({Input.ENABLE, Input.DISABLE})
"""What only our own caller does, and what can therefore be refused."""

# Every transition there is. What the network or the clock does is allowed in every state.
TRANSITIONS: dict[tuple[State, Input], State] = (
    {(state, what): state for state in State for what in Input if what not in OWN}
    | {(state, Input.DISABLE): State.OFFLINE for state in State}
    | {
        (State.OFFLINE, Input.ENABLE): State.PROBE_PRIMARY,
        (State.DORMANT, Input.PROBE): State.PROBE_PRIMARY,
        (State.PROBE_SECONDARY, Input.PROBE): State.PROBE_PRIMARY,
        (State.QUALIFIED, Input.PROBE): State.PROBE_PRIMARY,
        (State.PROBE_PRIMARY, Input.ANSWERED): State.PROBE_SECONDARY,
        (State.PROBE_SECONDARY, Input.ANSWERED): State.QUALIFIED,
        (State.PROBE_PRIMARY, Input.UNANSWERED): State.DORMANT,
        (State.PROBE_SECONDARY, Input.UNANSWERED): State.DORMANT,
    }
)


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state is another one; ``error`` says why, where something failed."""

    state: State
    error: TransportError | None = None


@dataclass(frozen=True, slots=True)
class AddressAssigned:
    """This is the client's address from now on, in the place of any other."""

    address: bytes


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    """There is none any more."""


@dataclass(frozen=True, slots=True)
class PacketReceived:
    """A packet for this computer."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class EndpointProven:
    """The watched endpoint answered."""


@dataclass(frozen=True, slots=True)
class EndpointLost:
    """It does not, or no more."""

    error: TransportError


Event = (
    StateChanged | AddressAssigned | AddressRemoved | PacketReceived | EndpointProven | EndpointLost
)


@dataclass(slots=True)
class _Qualification:
    """What one round of solicitations has told so far."""

    heard: set[Question] = field(default_factory=set)
    first: Mapping | None = None


class Client:
    """One Teredo client."""

    def __init__(
        self,
        server: bytes,
        *,
        random: Random,
        watched: bytes | None = None,
        allowed: frozenset[bytes] | None = None,
    ) -> None:
        """``server``: its first IPv4 address. ``allowed``: the only peers; None is anybody."""
        self.state = State.OFFLINE
        self.nat = NAT.UNKNOWN
        self.address = b""
        """Of the client, b"" while it has none."""
        self.mapping: Mapping | None = None
        """Where the Internet sees the client."""
        self.proven = False
        """Whether the watched endpoint answers."""
        self.drops: Counter[str] = Counter()
        """Packets and datagrams that went no further, by reason."""
        self.peers = Peers(MAX_PEERS)
        self._random = random
        self._watched = watched
        self._allowed = allowed
        self._solicitor = Solicitor(server, random)
        self._round = _Qualification()
        self._flags = 0
        self._outgoing: deque[Outgoing] = deque()
        self._events: deque[Event] = deque()
        self._retry_at: float | None = None
        self._retry_after = RETRY_FIRST
        self._refresh_at: float | None = None
        self._watch_at: float | None = None

    # What our own side does

    def enable(self, now: float) -> None:
        """Begin to qualify."""
        self._advance(Input.ENABLE)
        self._solicit(now)

    def disable(self) -> None:
        """End; the address is given back."""
        self._advance(Input.DISABLE)
        self._drop_address()
        self._solicitor.forget()
        self._retry_at = self._refresh_at = None

    def network_changed(self, now: float) -> None:
        """Qualify anew, at once: the computer has other addresses or routes, or was asleep."""
        if self.state is State.OFFLINE:
            return
        self._retry_after = RETRY_FIRST
        if self.state is State.QUALIFIED:
            # Often nothing of ours has changed: everything stays unless the server says otherwise.
            self._refresh_at = None
            self._solicitor.ask(Question.PRIMARY, now=now, intervals=QUICK_INTERVALS)
        else:
            self._probe(now)

    def send_packet(self, packet: bytes, now: float) -> None:
        """Send a packet of this computer (5.2.4)."""
        if self.state is not State.QUALIFIED:
            self.drops["not qualified"] += 1
            return
        destination = packet[DESTINATION_OFFSET:HEADER_LENGTH]
        if packet[SOURCE_OFFSET:DESTINATION_OFFSET] != self.address:
            self.drops["not from our address"] += 1
        elif not self._may_talk_to(destination):
            self.drops["peer not allowed"] += 1
        else:
            self._send_to(self.peers.get(destination), packet, now)

    # What the network and the clock do

    def receive_datagram(
        self, data: bytes, address: Mapping, now: float, *, test: bool = False
    ) -> None:
        """Take a datagram (5.2.3); ``test``: it came to the socket for tests."""
        try:
            datagram = parse_teredo(data)
        except WireError:
            self.drops["malformed"] += 1
            return
        if datagram.kind is Kind.ADVERTISEMENT:
            self._receive_advertisement(datagram, address, now, test=test)
        elif test:
            self.drops["not for the socket for tests"] += 1
        elif self.state is not State.QUALIFIED:
            self.drops["not qualified"] += 1
        elif address == self._solicitor.primary and datagram.kind is Kind.BUBBLE:
            self._receive_indirect_bubble(datagram, now)
        else:
            self._receive_packet(datagram, address, now)

    def send_failed(self, reason: str, now: float) -> None:
        """Take note that a datagram to the server could not even leave."""
        if self.state in (State.PROBE_PRIMARY, State.PROBE_SECONDARY):
            self._rest(_unreachable(f"the server cannot be reached: {reason}"), now)

    def datagrams_to_send(self, now: float) -> list[Outgoing]:
        """Return, and forget, what is to be sent and to whom."""
        outgoing = [*self._solicitor.datagrams_to_send(), *self._outgoing]
        self._outgoing.clear()
        return outgoing

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        times = (
            *(self._retry_at, self._refresh_at, self._watch_at),
            *(self._solicitor.timer_at(), self.peers.timer_at()),
        )
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Let time pass."""
        if not self._solicitor.handle_timer(now):
            self._unanswered(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._probe(now)
        if self._refresh_at is not None and now >= self._refresh_at:
            self._refresh_at = None
            self._solicitor.ask(Question.PRIMARY, now=now)
        if self._watch_at is not None and now >= self._watch_at:
            self._watch(now)
        for peer in self.peers.due(now):
            self._ask_again(peer, now)

    # Qualification

    def _probe(self, now: float) -> None:
        """Begin a round; the address stays until it is known to be another one, or none."""
        self._advance(Input.PROBE)
        self._unproven()
        self._solicit(now)

    def _solicit(self, now: float) -> None:
        self._retry_at = self._refresh_at = self._watch_at = None
        self.peers.clear()
        self._round = _Qualification()
        self._solicitor.ask(Question.CONE, Question.PORT, Question.PRIMARY, now=now)

    def _receive_advertisement(
        self, datagram: TeredoPacket, source: Mapping, now: float, *, test: bool
    ) -> None:
        answer = self._solicitor.answered(datagram, source, test=test)
        if answer is None or not is_usable(answer[1].address):
            self.drops["answer to no question"] += 1
            return
        question, mapping = answer
        self._round.heard.add(question)
        if question is Question.SECONDARY and self.state is State.PROBE_SECONDARY:
            self._qualify(mapping, now)
        elif question is Question.PRIMARY and self.state is State.PROBE_PRIMARY:
            self._round.first = mapping
            self._advance(Input.ANSWERED)
            self._solicitor.ask(Question.SECONDARY, now=now)
        elif question is Question.PRIMARY and self.state is State.QUALIFIED:
            self._refreshed(mapping, now)

    def _qualify(self, second: Mapping, now: float) -> None:
        first = self._round.first or second
        self.nat = classify(self._round.heard, first, second)
        self._solicitor.forget()
        self._retry_after = RETRY_FIRST
        self._set_mapping(first)
        self._refresh_later(now)
        self._advance(Input.ANSWERED)
        self._watch(now)

    def _refreshed(self, mapping: Mapping, now: float) -> None:
        self._solicitor.forget()
        self._refresh_later(now)
        if mapping != self.mapping:
            # The NAT was restarted, or is another one: what was learned of it holds no more.
            self._probe(now)

    def _refresh_later(self, now: float) -> None:
        chance = int.from_bytes(self._random(2), "big") / 0xFFFF
        part = REFRESH_LEAST + (1 - REFRESH_LEAST) * chance
        self._refresh_at = now + REFRESH_INTERVAL * part

    def _set_mapping(self, mapping: Mapping) -> None:
        """Form the address (RFC 5991, section 5.1); the same mapping gives the same one."""
        if mapping == self.mapping and self.address:
            return
        self.mapping = mapping
        self._flags = random_flags(int.from_bytes(self._random(2), "big") & 0xFFF)
        self.address = build_teredo_address(
            TeredoAddress(self._solicitor.server, self._flags, mapping)
        )
        self._events.append(AddressAssigned(self.address))

    def _unanswered(self, now: float) -> None:
        """Go on after the last try of a solicitation."""
        if self.state is State.QUALIFIED:
            self._probe(now)
        elif self.state is State.PROBE_SECONDARY:
            text = "the server does not answer at its second address"
            self._rest(_failed(text, "teredo-second-address-missing"), now)
        elif self.state is State.PROBE_PRIMARY:
            text = f"{self._solicitor.primary} does not answer over UDP"
            self._rest(_failed(text, "teredo-udp-blocked"), now)

    def _rest(self, error: TransportError, now: float) -> None:
        """Wait before the next round."""
        self._advance(Input.UNANSWERED, error)
        self._solicitor.forget()
        self._drop_address()
        self._retry_at = now + self._retry_after
        self._retry_after = min(self._retry_after * 2, RETRY_MOST)

    def _drop_address(self) -> None:
        self._unproven()
        self.nat, self.mapping = NAT.UNKNOWN, None
        self.peers.clear()
        if self.address:
            self.address = b""
            self._events.append(AddressRemoved())

    # The watched endpoint

    def _watch(self, now: float) -> None:
        """Ask the endpoint unless it has been heard a moment ago."""
        if self._watched is None or self.state is not State.QUALIFIED:
            self._watch_at = None
            return
        peer = self.peers.get(self._watched)
        silent_at = peer.last_received + WATCH_INTERVAL
        if peer.state is PeerState.TRUSTED and silent_at > now:
            self._watch_at = silent_at
            return
        self._watch_at = now + WATCH_INTERVAL
        if peer.state is PeerState.TRUSTED:
            # It stays trusted while it is asked, so that nothing waits.
            if peer.next_try is None:
                peer.tries = 0
                peer.ask(now)
                self.peers.follow(peer)
                self._send_echo(peer)
        elif self.peers.test(peer, now):
            self._question(peer)

    def _unproven(self) -> None:
        self.proven = False
        self._watch_at = None

    def _proof(self, peer: Peer) -> None:
        if peer.address == self._watched and not self.proven:
            self.proven = True
            self._events.append(EndpointProven())

    # Peers

    def _may_talk_to(self, address: bytes) -> bool:
        if is_multicast(address) or is_link_local(address):
            return False
        return self._allowed is None or address in self._allowed

    def _send_to(self, peer: Peer, packet: bytes, now: float) -> None:
        if peer.look(now) is PeerState.TRUSTED and peer.mapping is not None:
            self._outgoing.append(Outgoing(packet, peer.mapping))
            return
        if peer.state is PeerState.UNREACHABLE or not peer.queue(packet):
            self.drops["peer does not answer"] += 1
            return
        if self.peers.test(peer, now):
            self._question(peer)

    def _question(self, peer: Peer) -> None:
        """Send what makes the peer show itself: a bubble to a client, else an echo (5.2.4)."""
        if not is_teredo(peer.address):
            self._send_echo(peer)
            return
        theirs = parse_teredo_address(peer.address)
        bubble = build_bubble(self.address, peer.address)
        for target in (theirs.mapping, Mapping(theirs.server, PORT)):
            if is_usable(target.address) and target.port:
                self._outgoing.append(Outgoing(bubble, target))

    def _send_echo(self, peer: Peer) -> None:
        """The direct IPv6 connectivity test (5.2.9): by the server, so the answer finds a relay."""
        if not peer.nonce:
            peer.nonce = self._random(NONCE_LENGTH)
        echo = Echo(reply=False, identifier=0, sequence=peer.tries, data=peer.nonce)
        packet = build_icmpv6(echo, source=self.address, destination=peer.address)
        self._outgoing.append(Outgoing(packet, self._solicitor.primary))

    def _ask_again(self, peer: Peer, now: float) -> None:
        if peer.tries < MAX_TRIES:
            peer.ask(now)
            self._question(peer)
            return
        self.drops["peer does not answer"] += peer.give_up(now)
        if peer.address == self._watched:
            self._endpoint_lost(now)

    def _endpoint_lost(self, now: float) -> None:
        self.proven = False
        self._watch_at = now + UNREACHABLE_FOR
        text = "the gateway's endpoint does not answer"
        if self.nat is NAT.SYMMETRIC:
            error = _failed(f"{text}: the NAT is symmetric", "teredo-symmetric-nat")
        else:
            error = _failed(text, "teredo-relay-unreachable")
        self._events.append(EndpointLost(error))

    def _receive_indirect_bubble(self, datagram: TeredoPacket, now: float) -> None:
        """Answer the one who had the server ask for it, so that the NAT lets it in (5.2.3)."""
        asking = datagram.packet[SOURCE_OFFSET:DESTINATION_OFFSET]
        origin = datagram.origin
        if datagram.packet[DESTINATION_OFFSET:HEADER_LENGTH] != self.address:
            self.drops["not for our address"] += 1
        elif origin is None or not is_usable(origin.address) or not origin.port:
            self.drops["bubble without origin"] += 1
        elif not self._may_be_answered(asking, now):
            self.drops["peer not allowed"] += 1
        else:
            self._outgoing.append(Outgoing(build_bubble(self.address, asking), origin))

    def _may_be_answered(self, asking: bytes, now: float) -> bool:
        """A relay speaks for itself by a link-local address, and may be any; peers must be ours."""
        if is_multicast(asking) or asking == self.address:
            return False
        return is_link_local(asking) or self._allowed is None or asking in self._allowed

    def _receive_packet(self, datagram: TeredoPacket, source: Mapping, now: float) -> None:
        packet = datagram.packet
        sender = packet[SOURCE_OFFSET:DESTINATION_OFFSET]
        if packet[DESTINATION_OFFSET:HEADER_LENGTH] != self.address:
            self.drops["not for our address"] += 1
            return
        if not self._may_talk_to(sender):
            self.drops["peer not allowed"] += 1
            return
        peer = self.peers.get(sender)
        if peer.nonce and self._is_echo(packet, peer):
            self._trust(peer, source, now)
        elif peer.is_trusted_at(source, now):
            peer.last_received = now
            if peer.next_try is not None:
                self._trust(peer, source, now)  # it is well, and need not be asked further
            self._deliver(datagram)
        elif is_teredo(sender):
            self._receive_from_client(peer, datagram, source, now)
        else:
            # A relay that we do not know yet, or another one than before (5.2.3, case 6): the
            # packet may be anybody's. The peer will send it again once it has proven itself.
            self.drops["peer not proven"] += 1
            if self.peers.test(peer, now):
                self._question(peer)

    def _receive_from_client(
        self, peer: Peer, datagram: TeredoPacket, source: Mapping, now: float
    ) -> None:
        if parse_teredo_address(peer.address).mapping != source:
            self.drops["not from where its address says"] += 1
            return
        self._trust(peer, source, now)
        self._deliver(datagram)

    def _is_echo(self, packet: bytes, peer: Peer) -> bool:
        try:
            message = parse_icmpv6(parse_packet(packet))
        except WireError:
            return False
        return isinstance(message, Echo) and message.reply and message.data == peer.nonce

    def _trust(self, peer: Peer, source: Mapping, now: float) -> None:
        for packet in peer.trust(source, now):
            self._outgoing.append(Outgoing(packet, source))
        self._proof(peer)

    def _deliver(self, datagram: TeredoPacket) -> None:
        if datagram.kind is not Kind.BUBBLE:
            self._events.append(PacketReceived(datagram.packet))

    def _advance(self, what: Input, error: TransportError | None = None) -> None:
        before = self.state
        try:
            self.state = TRANSITIONS[before, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {before.name}") from None
        if self.state is not before or error is not None:
            self._events.append(StateChanged(self.state, error))


def _failed(text: str, problem: str) -> TransportError:
    return TransportError(Stage.LINK, text, problem=problem)


def _unreachable(text: str) -> TransportError:
    return TransportError(Stage.CONNECT, text, problem="teredo-server-unreachable")
