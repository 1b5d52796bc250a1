"""Server and relay: what they answer, and that nobody can use them against anybody."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proto.teredo.world import (
    ENDPOINT,
    OTHER_ENDPOINT,
    PUBLIC,
    SERVER,
    STRANGER,
    World,
)
from throughway.proto.teredo.gateway import Gateway
from throughway.proto.teredo.limits import (
    MAX_SOURCES,
    PER_SOURCE_BURST,
    PER_SOURCE_RATE,
    TOTAL_BURST,
    Limiter,
)
from throughway.proto.teredo.peers import MAX_TRIES, PeerState
from throughway.proto.teredo.qualification import OTHER_PORT, build_solicitation
from throughway.proto.teredo.relay import MAX_PEERS
from throughway.proto.teredo.server import Outgoing, Socket
from throughway.wire.icmpv6 import (
    Echo,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
    parse_icmpv6,
)
from throughway.wire.ipv6 import (
    ALL_ROUTERS,
    IPv6Packet,
    build_packet,
    parse_address,
    parse_packet,
)
from throughway.wire.teredo import (
    CONE,
    PORT,
    Mapping,
    TeredoAddress,
    TeredoPacket,
    build_bubble,
    build_link_local,
    build_server_prefix,
    build_teredo_address,
    parse_teredo,
)

CLIENT = Mapping(PUBLIC, 50_000)
OTHER = Mapping(IPv4Address("131.107.0.77").packed, 4444)
OWN = Mapping(SERVER, PORT)
NONCE = b"8 bytes!"
ENDPOINTS = frozenset({ENDPOINT, OTHER_ENDPOINT})


def made() -> Gateway:
    return Gateway(SERVER, ENDPOINTS, now=0)


def address(mapping: Mapping, server: bytes = SERVER) -> bytes:
    return build_teredo_address(TeredoAddress(server, 0, mapping))


def packet(source: bytes, destination: bytes, payload: bytes = b"payload!") -> bytes:
    return build_packet(
        IPv6Packet(source=source, destination=destination, next_header=50, payload=payload)
    )


def sent(gateway: Gateway, now: float = 0) -> list[Outgoing]:
    return gateway.datagrams_to_send(now)


@pytest.mark.parametrize(
    ("flags", "identifier", "at", "by"),
    [
        (0, b"", Socket.PRIMARY, Socket.PRIMARY),
        (0, b"", Socket.SECONDARY, Socket.SECONDARY),
        (CONE, b"", Socket.PRIMARY, Socket.SECONDARY),
        (CONE, b"", Socket.SECONDARY, Socket.PRIMARY),
        (0, OTHER_PORT, Socket.PRIMARY, Socket.OTHER_PORT),
        (0, OTHER_PORT, Socket.SECONDARY, Socket.SECONDARY),
        (0, b"somebody", Socket.PRIMARY, Socket.PRIMARY),
    ],
)
def test_solicitations_are_answered(flags: int, identifier: bytes, at: Socket, by: Socket) -> None:
    gateway = made()
    gateway.receive_datagram(build_solicitation(NONCE, flags, identifier), CLIENT, 0, at)
    (answer,) = sent(gateway)
    assert (answer.destination, answer.socket) == (CLIENT, by)
    read = parse_teredo(answer.data)
    assert read.authentication is not None
    assert (read.authentication.nonce, read.authentication.confirmation) == (NONCE, 0)
    assert read.origin == CLIENT
    message = parse_icmpv6(parse_packet(read.packet))
    assert isinstance(message, RouterAdvertisement)
    assert message.router_lifetime == 0
    (prefix,) = message.prefixes
    assert (prefix.prefix, prefix.length) == (build_server_prefix(SERVER), 64)
    assert message.mtu == 1280


def test_a_solicitation_without_a_nonce_and_one_of_a_qualified_client() -> None:
    gateway = made()
    for source in (build_link_local(0, CLIENT), address(CLIENT)):
        asked = build_icmpv6(RouterSolicitation(), source=source, destination=ALL_ROUTERS)
        gateway.receive_datagram(asked, CLIENT, 0)
        (answer,) = sent(gateway)
        assert parse_teredo(answer.data).authentication is None
        assert parse_packet(parse_teredo(answer.data).packet).destination == source
        assert len(answer.data) + 28 < 2 * (len(asked) + 28)


@pytest.mark.parametrize(
    "data",
    [
        build_icmpv6(RouterSolicitation(), source=STRANGER, destination=ALL_ROUTERS),
        build_icmpv6(RouterSolicitation(), source=address(OTHER), destination=ALL_ROUTERS),
        build_icmpv6(RouterSolicitation(), source=build_link_local(0, OTHER), destination=ENDPOINT),
        build_icmpv6(
            RouterSolicitation(), source=build_link_local(0, OTHER), destination=ALL_ROUTERS
        )[:-1]
        + b"\1",
    ],
)
def test_what_is_no_solicitation_of_a_client(data: bytes) -> None:
    gateway = made()
    gateway.receive_datagram(data, CLIENT, 0)
    assert sent(gateway) == []
    assert gateway.drops == {"no solicitation of a client": 1}


@pytest.mark.parametrize(
    "source",
    ["10.0.0.1", "127.0.0.1", "192.168.1.1", "224.0.0.1", "131.107.0.2", "131.107.0.3", "0.0.0.0"],
)
def test_only_public_sources_and_never_ourselves(source: str) -> None:
    gateway = made()
    mapping = Mapping(IPv4Address(source).packed, PORT)
    gateway.receive_datagram(build_solicitation(NONCE), mapping, 0)
    gateway.receive_datagram(packet(address(mapping), ENDPOINT), mapping, 0)
    assert sent(gateway) == []
    assert gateway.drops == {"source not public": 2}


def test_bubbles_reach_our_clients_and_nobody_else() -> None:
    gateway = made()
    us = address(CLIENT)
    gateway.receive_datagram(build_bubble(address(OTHER), us), OTHER, 0)
    (bubble,) = sent(gateway)
    assert bubble.destination == CLIENT
    assert parse_teredo(bubble.data).origin == OTHER
    relay = build_link_local(0, OTHER)
    gateway.receive_datagram(build_bubble(relay, us), OTHER, 0)
    assert len(sent(gateway)) == 1
    private = Mapping(IPv4Address("10.0.0.1").packed, 53)
    for wrong in (
        build_bubble(address(CLIENT), us),  # pretends to be another
        build_bubble(relay, address(CLIENT, PUBLIC)),  # of another server
        build_bubble(relay, address(private)),
        build_bubble(relay, address(OWN)),
        build_bubble(relay, address(Mapping(PUBLIC, 0))),
    ):
        gateway.receive_datagram(wrong, OTHER, 0)
    assert sent(gateway) == []
    assert gateway.drops == {"bubble not legitimate": 5}
    gateway.receive_datagram(build_bubble(relay, us), OTHER, 0, Socket.SECONDARY)
    assert gateway.drops["not for the second address"] == 1


@pytest.mark.parametrize("destination", [STRANGER, address(OTHER), parse_address("ff02::1")])
def test_no_open_relay(destination: bytes) -> None:
    """Whoever it is: data goes to the endpoints, from the endpoints, and nowhere else."""
    gateway = made()
    echo = Echo(reply=False, identifier=1, sequence=1, data=b"x" * 16)
    us = address(CLIENT)
    gateway.receive_datagram(packet(us, ENDPOINT), CLIENT, 0)
    gateway.packets_received()
    gateway.receive_datagram(packet(us, destination), CLIENT, 0)
    gateway.receive_datagram(build_icmpv6(echo, source=us, destination=destination), CLIENT, 0)
    gateway.send_packet(packet(destination, us), 0)
    gateway.send_packet(packet(ENDPOINT, STRANGER), 0)
    assert sent(gateway) == []
    assert gateway.packets_received() == []
    assert gateway.drops["not for an endpoint"] == 2
    assert gateway.drops["not from an endpoint"] == 1
    assert gateway.drops["not to a client"] == 1


def test_a_client_is_where_its_address_says_or_nobody() -> None:
    gateway = made()
    for source in (address(OTHER), STRANGER, build_link_local(0, CLIENT)):
        gateway.receive_datagram(packet(source, ENDPOINT), CLIENT, 0)
    assert gateway.packets_received() == []
    assert gateway.drops == {"not from where its address says": 3}


def test_there_and_back() -> None:
    gateway = made()
    us = address(CLIENT)
    gateway.receive_datagram(packet(us, ENDPOINT), CLIENT, 0)
    assert gateway.packets_received() == [packet(us, ENDPOINT)]
    gateway.send_packet(packet(ENDPOINT, us), 1)
    assert sent(gateway) == [Outgoing(packet(ENDPOINT, us), CLIENT)]
    assert gateway.traffic.packets_in == gateway.traffic.packets_out == 1


def test_a_silent_client_of_ours_is_asked_with_the_relays_own_place_as_origin() -> None:
    gateway = made()
    us = address(CLIENT)
    gateway.send_packet(packet(ENDPOINT, us), 0)
    (bubble,) = sent(gateway)
    assert bubble.destination == CLIENT
    assert parse_teredo(bubble.data).origin == OWN
    asking = parse_packet(parse_teredo(bubble.data).packet).source
    gateway.receive_datagram(build_bubble(us, asking), CLIENT, 0)
    assert sent(gateway) == [Outgoing(packet(ENDPOINT, us), CLIENT)]
    assert gateway.packets_received() == []


def test_a_client_of_another_server_is_asked_by_that() -> None:
    gateway = made()
    us = address(CLIENT, OTHER.address)
    gateway.send_packet(packet(ENDPOINT, us), 0)
    assert [out.destination for out in sent(gateway)] == [CLIENT, Mapping(OTHER.address, PORT)]


def test_a_client_that_never_answers_costs_four_bubbles() -> None:
    gateway = made()
    us = address(CLIENT)
    for _ in range(20):
        gateway.send_packet(packet(ENDPOINT, us), 0)
    bubbles = len(sent(gateway))
    while (at := gateway.timer_at()) is not None:
        gateway.handle_timer(at)
        bubbles += len(sent(gateway))
    assert bubbles == MAX_TRIES
    assert gateway.drops == {"client does not answer": 20}
    (peer,) = gateway.relay.peers
    assert peer.state is PeerState.UNREACHABLE


def test_clients_are_bounded_and_the_last_used_stay() -> None:
    gateway = made()
    for number in range(MAX_PEERS + 5):
        gateway.relay.receive_datagram(
            TeredoPacket(packet=packet(address(m := Mapping(PUBLIC, number + 1)), ENDPOINT)), m, 0
        )
    assert len(gateway.relay.peers) == MAX_PEERS
    assert gateway.relay.peers.find(address(Mapping(PUBLIC, 1))) is None
    assert gateway.relay.peers.find(address(Mapping(PUBLIC, MAX_PEERS + 5))) is not None


def test_a_flood_is_limited_by_source_and_clients_that_are_there_are_not() -> None:
    gateway = made()
    us = address(CLIENT)
    gateway.receive_datagram(packet(us, ENDPOINT), CLIENT, 0)
    for port in range(1, 1001):
        gateway.receive_datagram(build_solicitation(NONCE), Mapping(PUBLIC, port), 0)
    assert len(sent(gateway)) == PER_SOURCE_BURST - 1
    gateway.receive_datagram(build_solicitation(NONCE), OTHER, 0)
    assert sent(gateway) == []  # of the same /24
    elsewhere = Mapping(IPv4Address("131.107.1.1").packed, 1)
    gateway.receive_datagram(build_solicitation(NONCE), elsewhere, 0)
    assert len(sent(gateway)) == 1
    gateway.receive_datagram(packet(us, ENDPOINT), CLIENT, 0)
    assert len(gateway.packets_received()) == 2
    gateway.receive_datagram(build_solicitation(NONCE), OTHER, 1)
    assert len(sent(gateway)) == 1


def test_the_total_is_limited_whatever_the_sources() -> None:
    limiter = Limiter()
    served = sum(
        limiter.allows(bytes((20 + n // 65536, n // 256 % 256, n % 256, 1)), 0)
        for n in range(10_000)
    )
    assert served == TOTAL_BURST
    assert len(limiter) == MAX_SOURCES


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=300))
def test_no_pattern_of_requests_gets_more_than_its_rate(pauses: list[float]) -> None:
    limiter, now, served = Limiter(), 0.0, 0
    for pause in pauses * 3:
        now += pause
        served += limiter.allows(PUBLIC, now)
    assert served <= PER_SOURCE_BURST + PER_SOURCE_RATE * now + 1


def test_what_is_malformed_or_comes_to_the_port_for_tests() -> None:
    gateway = made()
    gateway.receive_datagram(b"\0\1", CLIENT, 0)
    gateway.receive_datagram(build_solicitation(NONCE), CLIENT, 0, Socket.OTHER_PORT)
    assert gateway.drops == {"malformed": 1, "not for this port": 1}


def test_a_client_that_was_silent_for_long_is_reached_again() -> None:
    world = World(watched=None).qualified()
    assert world.ping(ENDPOINT)
    world.wait(40)
    world.gateway.send_packet(packet(ENDPOINT, world.client.address), world.now)
    told = world.settle()
    assert told == []  # the client asks first who that is, and hears it at once
    world.gateway.send_packet(packet(ENDPOINT, world.client.address), world.now)
    assert len(world.settle()) == 1
