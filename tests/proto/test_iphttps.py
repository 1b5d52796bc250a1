"""Both machines, wired to each other."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.proto.iphttps.client import Client, ConnectionWanted, LinkOpened, PacketQueued
from throughway.proto.iphttps.client import State as ClientState
from throughway.proto.iphttps.http import build_request, parse_url
from throughway.proto.iphttps.server import Limits, Server, SessionClosed, SessionOpened
from throughway.proto.iphttps.session import Session, SessionState
from throughway.proto.iphttps.slowpath import PacketForClient, PacketForHost
from throughway.proto.iphttps.stream import sort_packets
from throughway.proto.router import Link, Router
from throughway.wire.ipv6 import IPv6Packet, build_packet, parse_address

URL = parse_url("https://da.example.com/IPHTTPS")
LINK = Link.of("2001:db8:da:1000::/64")
OWN, CORP = parse_address("2001:db8:da:1000::a"), parse_address("2001:db8:c0::80")


class Wire:
    """A client and a server, and two streams which come in pieces of any size."""

    def __init__(self) -> None:
        self.server = Server(URL, Router(LINK, now=0), wall_clock=lambda: 0.0)
        self.server.start()
        self.client = Client(URL, session="key")
        self.client.enable()
        self.client.initialize()
        self.up, self.down = bytearray(), bytearray()
        self.up_tail = self.down_tail = b""
        self.host: list[bytes] = []
        self.kernel: list[bytes] = []
        self.session: Session | None = None
        self.closed: list[SessionClosed] = []
        self.pump()

    def connect(self) -> None:
        self.up, self.down = bytearray(), bytearray()
        self.up_tail = self.down_tail = b""
        self.session = self.server.accept("192.0.2.1", 1, "192.0.2.1", 0)
        self.client.connection_made(0)
        self.pump()

    def pump(self) -> None:
        self.up += self.client.data_to_send()
        connecting = False
        while (event := self.client.next_event()) is not None:
            match event:
                case ConnectionWanted():
                    connecting = True
                case LinkOpened(remainder):
                    self.client_takes(remainder)
                case PacketQueued(packet):
                    self.up += packet
        while (happened := self.server.next_event()) is not None:
            match happened:
                case SessionOpened(session, remainder):
                    self.down += session.data_to_send()
                    self.server_takes(session, remainder)
                case PacketForClient(session, packet) if session is self.session:
                    self.down += packet
                case PacketForHost(packet):
                    self.host.append(packet)
                case SessionClosed():
                    self.closed.append(happened)
        if connecting:
            self.connect()

    def client_takes(self, data: bytes) -> None:
        buffer = self.down_tail + data
        batch = sort_packets(buffer, len(buffer))
        self.kernel += [buffer[run[0] : run[-1]] for run in batch.runs]
        self.down_tail = buffer[batch.consumed :]

    def server_takes(self, session: Session, data: bytes) -> None:
        buffer = self.up_tail + data
        batch = sort_packets(buffer, len(buffer), owned=session.owned, link=LINK)
        self.host += [buffer[run[0] : run[-1]] for run in batch.runs]
        for packet in batch.slow:
            self.server.receive_slow(session, packet, 0)
        self.up_tail = buffer[batch.consumed :]

    def move(self, up: int, down: int) -> None:
        """Carry so many bytes."""
        session = self.session
        assert session is not None
        data, self.up = bytes(self.up[:up]), self.up[up:]
        if data and session.state is SessionState.HALF_OPEN:
            self.server.receive_data(session, data, 0)
        elif data:
            self.server_takes(session, data)
        self.pump()
        data, self.down = bytes(self.down[:down]), self.down[down:]
        if data and self.client.state is ClientState.ESTABLISHED:
            self.client.receive_data(data, 0)
        elif data:
            self.client_takes(data)
        self.pump()


def packet(number: int) -> bytes:
    return build_packet(
        IPv6Packet(source=OWN, destination=CORP, next_header=59, payload=number.to_bytes(2, "big"))
    )


@given(st.data())
def test_packets_arrive_whole_in_pieces_of_any_size(data: st.DataObject) -> None:
    wire = Wire()
    sizes = st.integers(1, 200)
    number = 0
    while number < 10 or wire.up or wire.down:
        wire.move(data.draw(sizes), data.draw(sizes))
        if wire.client.state is ClientState.LINK_UP and number < 10:
            wire.up += packet(number)
            number += 1
    assert b"".join(wire.host) == b"".join(map(packet, range(10)))
    advertisement = Router(LINK, now=0).advertisement()
    assert b"".join(wire.kernel) == 2 * advertisement  # at link-up, and for the solicitation


def test_the_link_comes_back_in_place_of_its_old_self() -> None:
    wire = Wire()
    wire.move(9999, 9999)
    wire.up += packet(1)
    wire.move(9999, 9999)
    old = wire.session
    wire.client.network_changed(0)
    wire.client.handle_timer(10)  # no sign of life
    wire.pump()
    wire.client.handle_timer(10)  # a new connection, at once
    wire.pump()
    assert wire.session is not old
    wire.move(9999, 9999)
    assert [closed.session for closed in wire.closed] == [old]
    assert wire.server.neighbours.sessions == {OWN: wire.session}
    assert wire.client.state is ClientState.LINK_UP


def test_a_server_that_is_full_keeps_what_it_has() -> None:
    wire = Wire()
    wire.server.configure(Limits(max_sessions=1))
    wire.move(9999, 9999)
    other = wire.server.accept("192.0.2.2", 1, "192.0.2.2", 0)
    assert other is not None
    wire.server.receive_data(other, build_request(wire.server.url), 0)
    assert other.data_to_send().startswith(b"HTTP/1.1 503 ")
    assert list(wire.server.sessions.values()) == [wire.session]
