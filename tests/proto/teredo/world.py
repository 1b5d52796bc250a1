"""A client behind a NAT of any kind, the Internet, and a gateway, with a clock of their own."""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from ipaddress import IPv4Address
from itertools import count

from throughway.proto.teredo.client import Client, Event, PacketReceived
from throughway.proto.teredo.gateway import Gateway
from throughway.proto.teredo.qualification import Outgoing as FromClient
from throughway.proto.teredo.server import Outgoing, Socket
from throughway.wire.icmpv6 import Echo, build_icmpv6, parse_icmpv6
from throughway.wire.ipv6 import parse_address, parse_packet
from throughway.wire.teredo import PORT, Mapping, secondary_address

SERVER = IPv4Address("131.107.0.2").packed
ENDPOINT = parse_address("2002:836b:2::836b:2")
OTHER_ENDPOINT = parse_address("2002:836b:3::836b:3")
STRANGER = parse_address("2620:0:1234::1")
PUBLIC = IPv4Address("131.107.0.100").packed
OTHER_PORT = 40_000
"""From which the gateway answers the test for NATs that look at addresses only."""
PLACES = {
    Socket.PRIMARY: Mapping(SERVER, PORT),
    Socket.SECONDARY: Mapping(secondary_address(SERVER), PORT),
    Socket.OTHER_PORT: Mapping(SERVER, OTHER_PORT),
}


class Kind(Enum):
    """What a NAT looks at when something comes in, or goes out."""

    CONE = auto()
    ADDRESS = auto()
    PORT = auto()
    SYMMETRIC = auto()


class NAT:
    """Maps one inner socket."""

    def __init__(self, kind: Kind, first_port: int) -> None:
        self.kind = kind
        self._ports = count(first_port)
        self._single = Mapping(PUBLIC, next(self._ports))
        self._sent: dict[Mapping, Mapping] = {}

    def out(self, target: Mapping) -> Mapping:
        """Return where it seems to come from."""
        if target not in self._sent:
            new = self.kind is Kind.SYMMETRIC
            self._sent[target] = Mapping(PUBLIC, next(self._ports)) if new else self._single
        return self._sent[target]

    def lets_in(self, source: Mapping, target: Mapping) -> bool:
        """Whether a datagram from there to this mapping passes."""
        match self.kind:
            case Kind.CONE:
                return target == self._single
            case Kind.ADDRESS:
                return target == self._single and source.address in {m.address for m in self._sent}
            case Kind.PORT | Kind.SYMMETRIC:
                return self._sent.get(source) == target

    def restart(self) -> None:
        """Forget all; new mappings are others."""
        self._sent.clear()
        self._single = Mapping(PUBLIC, next(self._ports))


def chance() -> Callable[[int], bytes]:
    """Return bytes that are never the same twice."""
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(8, "big").rjust(size, b"\x5a")[-size:]


class World:
    """Client, NAT, gateway and the endpoint behind it."""

    def __init__(
        self,
        kind: Kind = Kind.PORT,
        *,
        allowed: frozenset[bytes] | None = frozenset({ENDPOINT}),
        watched: bytes | None = ENDPOINT,
    ) -> None:
        self.now = 1000.0
        self.nat = NAT(kind, 50_000)
        self.test_nat = NAT(kind, 60_000)
        """The same one, for the client's other socket."""
        self.client = Client(SERVER, random=chance(), watched=watched, allowed=allowed)
        self.gateway = Gateway(SERVER, frozenset({ENDPOINT, OTHER_ENDPOINT}), now=self.now)
        self.blocked: set[Socket] = set()
        """Sockets of the gateway that nothing reaches."""
        self.endpoint_answers = True
        self.elsewhere: list[Outgoing] = []
        """What the gateway sends to others than the client."""
        self.inside: list[bytes] = []
        """What has come to the endpoints."""

    def events(self) -> Iterator[Event]:
        """Take the client's events."""
        while (event := self.client.next_event()) is not None:
            yield event

    def settle(self) -> list[Event]:
        """Let all datagrams arrive, in no time; return what the client has told."""
        for _ in range(50):
            sent = self.client.datagrams_to_send(self.now)
            for datagram in sent:
                self._arrive(datagram)
            answers = self.gateway.datagrams_to_send(self.now)
            for outgoing in answers:
                self._return(outgoing)
            if not sent and not answers:
                return list(self.events())
        raise AssertionError("it never ends")

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass, timer by timer."""
        told, end = self.settle(), self.now + seconds
        for _ in range(int(seconds) * 20 + 20):
            times = [t for t in (self.client.timer_at(), self.gateway.timer_at()) if t is not None]
            due = min(times, default=end + 1)
            if due > end:
                self.now = end
                return told
            self.now = max(self.now, due)
            self.client.handle_timer(self.now)
            self.gateway.handle_timer(self.now)
            told += self.settle()
        raise AssertionError("a timer that leads to nothing")

    def qualified(self) -> "World":
        """Begin, and come to the end of it."""
        self.client.enable(self.now)
        self.settle()
        return self

    def ping(self, destination: bytes, data: bytes = b"hello") -> bool:
        """Send an echo from the client's computer; say whether its answer comes."""
        echo = Echo(reply=False, identifier=7, sequence=1, data=data)
        packet = build_icmpv6(echo, source=self.client.address, destination=destination)
        self.client.send_packet(packet, self.now)
        return any(
            isinstance(event, PacketReceived) and event.packet.endswith(data)
            for event in self.settle()
        )

    def _arrive(self, datagram: FromClient) -> None:
        nat = self.test_nat if datagram.test else self.nat
        source = nat.out(datagram.destination)
        for socket, place in PLACES.items():
            if place == datagram.destination and socket not in self.blocked:
                self.gateway.receive_datagram(datagram.data, source, self.now, socket)
        for packet in self.gateway.packets_received():
            self.inside.append(packet)
            self._answer(packet)

    def _answer(self, packet: bytes) -> None:
        parsed = parse_packet(packet)
        if parsed.next_header != 58 or not self.endpoint_answers:
            return
        asked = parse_icmpv6(parsed)
        assert isinstance(asked, Echo)
        reply = Echo(
            reply=True, identifier=asked.identifier, sequence=asked.sequence, data=asked.data
        )
        answer = build_icmpv6(reply, source=parsed.destination, destination=parsed.source)
        self.gateway.send_packet(answer, self.now)

    def _return(self, outgoing: Outgoing) -> None:
        source = PLACES[outgoing.socket]
        if outgoing.socket in self.blocked:
            return
        for nat in (self.nat, self.test_nat):
            if nat.lets_in(source, outgoing.destination):
                test = nat is self.test_nat
                self.client.receive_datagram(outgoing.data, source, self.now, test=test)
                return
        self.elsewhere.append(outgoing)
