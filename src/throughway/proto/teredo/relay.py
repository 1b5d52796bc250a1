"""The Teredo relay (RFC 4380, section 5.4): from clients to the gateway's endpoints and back.

Driven through :mod:`throughway.proto.teredo.gateway`. It sits at the server's first address and
port. Clients of this server have that way open already; clients of other servers are asked for a
bubble, through their server, before anything is sent to them.
"""

from collections import Counter, deque

from throughway.proto.teredo.peers import MAX_TRIES, Peer, Peers, PeerState
from throughway.proto.teredo.server import Outgoing, Server, is_at
from throughway.wire.ipv6 import DESTINATION_OFFSET, HEADER_LENGTH, SOURCE_OFFSET, is_link_local
from throughway.wire.sixtofour import is_usable
from throughway.wire.teredo import (
    PORT,
    Kind,
    Mapping,
    TeredoPacket,
    build_bubble,
    build_teredo,
    is_teredo,
    parse_teredo_address,
)

MAX_PEERS = 16_384
"""Clients that are remembered, 400 bytes each: eight times the sessions of IP-HTTPS."""


class Relay:
    """A relay for a few addresses of this machine."""

    def __init__(self, server: Server, endpoints: frozenset[bytes]) -> None:
        self.drops: Counter[str] = Counter()
        """Packets and datagrams that went no further, by reason."""
        self.peers = Peers(MAX_PEERS)
        self._server = server
        self._mapping = Mapping(server.primary, PORT)
        self._endpoints = endpoints
        self._outgoing: deque[Outgoing] = deque()
        self._received: deque[bytes] = deque()

    def knows(self, datagram: TeredoPacket, source: Mapping, now: float) -> bool:
        """Whether it comes from a client that is there already: then it is no stranger's."""
        peer = self.peers.find(datagram.packet[SOURCE_OFFSET:DESTINATION_OFFSET])
        return peer is not None and peer.is_trusted_at(source, now)

    def receive_datagram(self, datagram: TeredoPacket, source: Mapping, now: float) -> None:
        """Take a packet of a client (5.4.2)."""
        sender = datagram.packet[SOURCE_OFFSET:DESTINATION_OFFSET]
        receiver = datagram.packet[DESTINATION_OFFSET:HEADER_LENGTH]
        bubble = datagram.kind is Kind.BUBBLE
        if not is_at(sender, source):
            self.drops["not from where its address says"] += 1
            return
        if receiver not in self._endpoints and not (bubble and is_link_local(receiver)):
            self.drops["not for an endpoint"] += 1
            return
        peer = self.peers.get(sender)
        for packet in peer.trust(source, now):
            self._outgoing.append(Outgoing(packet, source))
        if not bubble:
            self._received.append(datagram.packet)

    def send_packet(self, packet: bytes, now: float) -> None:
        """Send a packet of the endpoints to a client (5.4.1)."""
        receiver = packet[DESTINATION_OFFSET:HEADER_LENGTH]
        if packet[SOURCE_OFFSET:DESTINATION_OFFSET] not in self._endpoints:
            self.drops["not from an endpoint"] += 1
            return
        if not is_teredo(receiver) or not self._may_be(receiver):
            self.drops["not to a client"] += 1
            return
        peer = self.peers.get(receiver)
        if peer.look(now) is PeerState.TRUSTED and peer.mapping is not None:
            self._outgoing.append(Outgoing(packet, peer.mapping))
        elif peer.state is PeerState.UNREACHABLE or not peer.queue(packet):
            self.drops["client does not answer"] += 1
        elif self.peers.test(peer, now):
            self._send_bubbles(peer)

    def datagrams_to_send(self) -> list[Outgoing]:
        """Return, and forget, what is to be sent."""
        outgoing = list(self._outgoing)
        self._outgoing.clear()
        return outgoing

    def packets_received(self) -> list[bytes]:
        """Return, and forget, the packets for this machine."""
        received = list(self._received)
        self._received.clear()
        return received

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return self.peers.timer_at()

    def handle_timer(self, now: float) -> None:
        """Ask again, or give up."""
        for peer in self.peers.due(now):
            if peer.tries < MAX_TRIES:
                peer.ask(now)
                self._send_bubbles(peer)
            else:
                self.drops["client does not answer"] += peer.give_up(now)

    def _may_be(self, address: bytes) -> bool:
        client = parse_teredo_address(address)
        return is_usable(client.server) and self._server.may_send_to(client.mapping)

    def _send_bubbles(self, peer: Peer) -> None:
        """Ask a client for a bubble; one of another server's by way of that as well (5.2.6).

        They come from a link-local address: the relay has none of its own that clients could know.
        """
        client = parse_teredo_address(peer.address)
        bubble = build_bubble(self._server.link_local, peer.address)
        if client.server == self._server.primary:
            told = TeredoPacket(packet=bubble, origin=self._mapping)
            self._outgoing.append(Outgoing(build_teredo(told), client.mapping))
        else:
            self._outgoing.append(Outgoing(bubble, client.mapping))
            self._outgoing.append(Outgoing(bubble, Mapping(client.server, PORT)))
