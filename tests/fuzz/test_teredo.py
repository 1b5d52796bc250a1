"""Hostile datagrams and packets: neither end of Teredo raises, grows or sends where it must not."""

from hypothesis import given
from hypothesis import strategies as st

from tests.proto.teredo.world import ENDPOINT, OTHER_ENDPOINT, PLACES, SERVER, STRANGER, Kind, World
from throughway.proto.teredo.client import MAX_PEERS, TRANSITIONS, Input, PacketReceived, State
from throughway.proto.teredo.server import Socket
from throughway.wire.icmpv6 import (
    Echo,
    Message,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
)
from throughway.wire.ipv6 import (
    ALL_ROUTERS,
    DESTINATION_OFFSET,
    HEADER_LENGTH,
    IPv6Packet,
    build_packet,
)
from throughway.wire.teredo import (
    Authentication,
    Mapping,
    TeredoAddress,
    TeredoPacket,
    build_bubble,
    build_link_local,
    build_teredo,
    build_teredo_address,
    parse_teredo,
)

MAPPINGS = st.sampled_from([*PLACES.values(), Mapping(b"\x83\x6b\x00\x4d", 7)]) | st.builds(
    Mapping, st.binary(min_size=4, max_size=4), st.integers(0, 65535)
)
ADDRESSES = (
    st.sampled_from([ENDPOINT, STRANGER, ALL_ROUTERS, bytes(16)])
    | st.builds(build_link_local, st.sampled_from([0, 0x8000]), MAPPINGS)
    | st.builds(
        lambda server, mapping: build_teredo_address(TeredoAddress(server, 0, mapping)),
        st.sampled_from([SERVER, b"\1\2\3\4"]),
        MAPPINGS,
    )
)


MESSAGES: list[Message] = [
    RouterSolicitation(),
    RouterAdvertisement(),
    Echo(reply=True, identifier=0, sequence=1, data=b"x" * 16),
]


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    """Nearly right ones."""
    source, destination = draw(ADDRESSES), draw(ADDRESSES)
    message = draw(st.sampled_from(MESSAGES))
    packet = draw(
        st.sampled_from(
            [
                build_icmpv6(message, source=source, destination=destination),
                build_bubble(source, destination),
                build_packet(
                    IPv6Packet(
                        source=source, destination=destination, next_header=50, payload=b"secret"
                    )
                ),
            ]
        )
    )
    datagram = build_teredo(
        TeredoPacket(
            packet=packet,
            authentication=draw(st.none() | st.just(Authentication(b"", b"", b"8 bytes!", 0))),
            origin=draw(st.none() | MAPPINGS),
        )
    )
    return datagram[: draw(st.sampled_from([len(datagram), 60, 41]))]


DATAGRAMS = st.binary(max_size=120) | datagrams()


@given(st.lists(st.tuples(DATAGRAMS, MAPPINGS, st.booleans()), max_size=12))
def test_the_client_hears_only_its_endpoint(
    received: list[tuple[bytes, Mapping, bool]],
) -> None:
    world = World(Kind.CONE).qualified()
    for data, source, test in received:
        world.client.receive_datagram(data, source, world.now, test=test)
        for event in world.settle():
            if isinstance(event, PacketReceived):
                assert event.packet[8:24] == ENDPOINT
                assert source == PLACES[Socket.PRIMARY]
    assert len(world.client.peers) <= MAX_PEERS
    assert world.ping(ENDPOINT)


@given(
    st.lists(st.tuples(DATAGRAMS, MAPPINGS, st.sampled_from(list(Socket))), max_size=12),
    st.lists(DATAGRAMS.filter(lambda data: len(data) >= HEADER_LENGTH), max_size=3),
)
def test_the_gateway_serves_its_endpoints_and_answers_who_asked(
    received: list[tuple[bytes, Mapping, Socket]], packets: list[bytes]
) -> None:
    world = World().qualified()
    gateway = world.gateway
    for data, source, at in received:
        gateway.receive_datagram(data, source, world.now, at)
        for packet in gateway.packets_received():
            assert packet[DESTINATION_OFFSET:HEADER_LENGTH] in {ENDPOINT, OTHER_ENDPOINT}
        for outgoing in gateway.datagrams_to_send(world.now):
            answer = parse_teredo(outgoing.data)
            assert outgoing.destination == source or answer.origin == source
            assert len(outgoing.data) <= 2 * len(data) + 28
            assert outgoing.destination.address not in {place.address for place in PLACES.values()}
    for packet in packets:
        gateway.send_packet(packet, world.now)
    assert world.ping(ENDPOINT)


INPUTS = ("enable", "disable", "network", "timers", "restart", "block", "open", "send", "hostile")


@given(st.lists(st.tuples(st.sampled_from(INPUTS), st.floats(0, 400), DATAGRAMS), max_size=30))
def test_any_order_of_what_happens(script: list[tuple[str, float, bytes]]) -> None:
    """Clock jumps, NATs restart, the server goes and comes; at last the client is qualified."""
    world = World(Kind.PORT)
    client, gateway = world.client, world.gateway
    for what, pause, data in script:
        world.now += pause
        match what:
            case "enable" if (client.state, Input.ENABLE) in TRANSITIONS:
                client.enable(world.now)
            case "disable":
                client.disable()
            case "network":
                client.network_changed(world.now)
            case "timers":
                client.handle_timer(world.now)
                gateway.handle_timer(world.now)
            case "restart":
                world.nat.restart()
            case "block" | "open":
                world.blocked = set(Socket) if what == "block" else set()
            case "send":
                client.send_packet(data.ljust(HEADER_LENGTH, b"\0"), world.now)
                gateway.send_packet(data.ljust(HEADER_LENGTH, b"\0"), world.now)
            case "hostile":
                client.receive_datagram(data, PLACES[Socket.PRIMARY], world.now)
                gateway.receive_datagram(data, Mapping(b"\x83\x6b\x00\x4d", 7), world.now)
        world.settle()
        assert (client.timer_at() is None) == (client.state is State.OFFLINE)
        assert bool(client.address) >= client.proven
    world.blocked = set()
    if client.state is State.OFFLINE:
        client.enable(world.now)
    client.network_changed(world.now)
    world.wait(60)
    assert client.state is State.QUALIFIED
    assert client.proven
