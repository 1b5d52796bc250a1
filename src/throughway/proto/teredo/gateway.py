"""Teredo server and relay of a gateway, at its two addresses (RFC 4380, sections 5.3 and 5.4).

Driven by :mod:`throughway.net.teredo_server`. What comes in is sorted here, once, with every check
that keeps the gateway from being used against others: only public sources, never ourselves, every
stranger within :mod:`throughway.proto.teredo.limits`. An answer has less than twice the size of
what asked for it, and goes where that came from; what is passed on grows by eight bytes.
"""

from collections import Counter
from dataclasses import dataclass

from throughway.model.errors import WireError
from throughway.proto.teredo.limits import Limiter
from throughway.proto.teredo.relay import Relay
from throughway.proto.teredo.server import Outgoing, Server, Socket
from throughway.wire.ipv6 import DESTINATION_OFFSET, HEADER_LENGTH
from throughway.wire.sixtofour import is_usable
from throughway.wire.teredo import Kind, Mapping, TeredoPacket, is_teredo, parse_teredo


@dataclass(slots=True)
class Traffic:
    """What has been done since the start."""

    advertisements: int = 0
    bubbles: int = 0
    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0


class Gateway:
    """Server and relay as one."""

    def __init__(self, primary: bytes, endpoints: frozenset[bytes], *, now: float) -> None:
        """``primary``: the first of the two addresses. ``endpoints``: IPv6 addresses served."""
        self.traffic = Traffic()
        self.server = Server(primary)
        self.relay = Relay(self.server, endpoints)
        self._limiter = Limiter(now)
        self._outgoing: list[Outgoing] = []

    @property
    def drops(self) -> Counter[str]:
        """What went no further, by reason."""
        return self.relay.drops

    def receive_datagram(
        self, data: bytes, address: Mapping, now: float, at: Socket = Socket.PRIMARY
    ) -> None:
        """Take a datagram that came to one of the sockets."""
        if not is_usable(address.address) or address.address in self.server.addresses:
            self._drop("source not public")
            return
        try:
            datagram = parse_teredo(data)
        except WireError:
            self._drop("malformed")
            return
        if at is Socket.OTHER_PORT:
            self._drop("not for this port")
        elif self.relay.knows(datagram, address, now) and not self._is_for_server(datagram):
            self._relay(datagram, address, now)
        elif not self._limiter.allows(address.address, now):
            self._drop("too many")
        elif datagram.kind is Kind.SOLICITATION:
            self._advertise(datagram, address, at)
        elif at is not Socket.PRIMARY:
            self._drop("not for the second address")
        elif self._is_for_server(datagram):
            self._forward(datagram, address)
        else:
            self._relay(datagram, address, now)

    def send_packet(self, packet: bytes, now: float) -> None:
        """Send a packet of this machine to a client."""
        self.relay.send_packet(packet, now)

    def packets_received(self) -> list[bytes]:
        """Return, and forget, the packets for this machine."""
        received = self.relay.packets_received()
        self.traffic.packets_in += len(received)
        self.traffic.bytes_in += sum(map(len, received))
        return received

    def datagrams_to_send(self, now: float) -> list[Outgoing]:
        """Return, and forget, what is to be sent."""
        relayed = self.relay.datagrams_to_send()
        self.traffic.packets_out += len(relayed)
        self.traffic.bytes_out += sum(len(outgoing.data) for outgoing in relayed)
        outgoing, self._outgoing = self._outgoing + relayed, []
        return outgoing

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return self.relay.timer_at()

    def handle_timer(self, now: float) -> None:
        """Let time pass."""
        self.relay.handle_timer(now)

    def _is_for_server(self, datagram: TeredoPacket) -> bool:
        """Whether it is a solicitation, or a bubble for a client."""
        if datagram.kind is Kind.BUBBLE:
            return is_teredo(datagram.packet[DESTINATION_OFFSET:HEADER_LENGTH])
        return datagram.kind is Kind.SOLICITATION

    def _advertise(self, datagram: TeredoPacket, source: Mapping, at: Socket) -> None:
        answer = self.server.advertise(datagram, source, at)
        if answer is None:
            self._drop("no solicitation of a client")
            return
        self.traffic.advertisements += 1
        self._outgoing.append(answer)

    def _forward(self, datagram: TeredoPacket, source: Mapping) -> None:
        bubble = self.server.forward(datagram, source)
        if bubble is None:
            self._drop("bubble not legitimate")
            return
        self.traffic.bubbles += 1
        self._outgoing.append(bubble)

    def _relay(self, datagram: TeredoPacket, source: Mapping, now: float) -> None:
        self.relay.receive_datagram(datagram, source, now)

    def _drop(self, reason: str) -> None:
        self.drops[reason] += 1
