"""The client: qualification behind every NAT, proof, refresh, loss; as transcripts."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tests.proto.teredo.world import (
    ENDPOINT,
    OTHER_ENDPOINT,
    PLACES,
    SERVER,
    STRANGER,
    Kind,
    World,
)
from throughway.model.errors import LocalProtocolError
from throughway.proto.teredo.client import (
    TRANSITIONS,
    AddressAssigned,
    AddressRemoved,
    EndpointLost,
    EndpointProven,
    Event,
    Input,
    PacketReceived,
    State,
    StateChanged,
)
from throughway.proto.teredo.qualification import NAT, Outgoing
from throughway.proto.teredo.server import Socket
from throughway.wire.ipv6 import IPv6Packet, build_packet, parse_address, parse_packet
from throughway.wire.teredo import (
    CONE,
    PORT,
    Mapping,
    TeredoAddress,
    TeredoPacket,
    build_bubble,
    build_link_local,
    build_teredo,
    build_teredo_address,
    parse_teredo,
    parse_teredo_address,
)

PRIMARY = PLACES[Socket.PRIMARY]
PEER_MAPPING = Mapping(IPv4Address("131.107.0.77").packed, 4444)


def error_of(events: Sequence[Event]) -> str:
    errors = [e.error for e in events if isinstance(e, StateChanged | EndpointLost) and e.error]
    return errors[-1].problem if errors else ""


@pytest.mark.parametrize(
    ("kind", "nat"),
    [
        (Kind.CONE, NAT.CONE),
        (Kind.ADDRESS, NAT.RESTRICTED),
        (Kind.PORT, NAT.PORT_RESTRICTED),
        (Kind.SYMMETRIC, NAT.SYMMETRIC),
    ],
)
def test_qualifies_behind_every_nat(kind: Kind, nat: NAT) -> None:
    world = World(kind)
    world.client.enable(world.now)
    events = world.settle()
    assert world.client.nat is nat
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states == [State.PROBE_PRIMARY, State.PROBE_SECONDARY, State.QUALIFIED]
    assert AddressAssigned(world.client.address) in events
    assert events[-1] == EndpointProven()
    assert world.client.proven
    assert world.ping(ENDPOINT)


def test_the_address_says_where_the_client_is_and_nothing_of_its_nat() -> None:
    world = World(Kind.CONE).qualified()
    address = parse_teredo_address(world.client.address)
    assert address.server == SERVER
    assert address.mapping == world.client.mapping == world.nat.out(PRIMARY)
    assert not address.flags & CONE
    assert address.flags & ~0x3CFF == 0


def test_a_lost_datagram_costs_a_second() -> None:
    world = World()
    world.client.enable(world.now)
    world.client.datagrams_to_send(world.now)
    assert not any(isinstance(event, AddressAssigned) for event in world.wait(0.9))
    world.wait(0.2)
    assert world.client.state is State.QUALIFIED


def test_blocked_udp_is_said_and_tried_again_later_and_later() -> None:
    world = World()
    world.blocked = set(Socket)
    world.client.enable(world.now)
    events = world.wait(7.1)
    assert world.client.state is State.DORMANT
    assert error_of(events) == "teredo-udp-blocked"
    assert "131.107.0.2:3544" in str(
        next(e.error for e in events if isinstance(e, StateChanged) and e.error)
    )
    events = world.wait(60)
    tries = [e for e in events if isinstance(e, StateChanged) and e.state is State.PROBE_PRIMARY]
    assert len(tries) == 2
    world.blocked = set()
    world.client.network_changed(world.now)
    world.settle()
    assert world.client.proven


def test_a_server_without_its_second_address() -> None:
    world = World()
    world.blocked = {Socket.SECONDARY}
    world.client.enable(world.now)
    assert error_of(world.wait(8)) == "teredo-second-address-missing"
    assert world.client.address == b""


def test_no_route_is_known_at_once() -> None:
    world = World()
    world.client.enable(world.now)
    world.client.send_failed("Network is unreachable", world.now)
    assert error_of(list(world.events())) == "teredo-server-unreachable"
    assert world.client.state is State.DORMANT
    world.client.send_failed("Network is unreachable", world.now)
    assert list(world.events()) == []


def test_an_endpoint_that_does_not_answer() -> None:
    world = World()
    world.endpoint_answers = False
    world.client.enable(world.now)
    assert error_of(world.wait(8)) == "teredo-relay-unreachable"
    assert world.client.state is State.QUALIFIED
    assert not world.client.proven
    world.endpoint_answers = True
    assert EndpointProven() in world.wait(11)


def test_a_symmetric_nat_is_blamed_when_nothing_comes_through() -> None:
    world = World(Kind.SYMMETRIC)
    world.endpoint_answers = False
    world.client.enable(world.now)
    assert error_of(world.wait(8)) == "teredo-symmetric-nat"


def test_the_proof_is_kept_up_and_its_end_noticed() -> None:
    world = World().qualified()
    assert not any(isinstance(event, EndpointLost) for event in world.wait(300))
    world.endpoint_answers = False
    events = world.wait(18)
    assert any(isinstance(event, EndpointLost) for event in events)
    assert not world.client.proven


def test_refreshes_come_at_random_within_half_a_minute() -> None:
    world = World(watched=None).qualified()
    before = world.gateway.traffic.advertisements
    world.wait(300)
    refreshed = world.gateway.traffic.advertisements - before
    assert 10 <= refreshed <= 13
    assert world.client.state is State.QUALIFIED


def test_a_restarted_nat_gives_another_address() -> None:
    world = World().qualified()
    first = world.client.address
    world.nat.restart()
    events = world.wait(31)
    assert AddressAssigned(world.client.address) in events
    assert world.client.address != first
    assert world.client.proven


def test_a_network_change_that_changes_nothing_keeps_address_and_proof() -> None:
    world = World().qualified()
    before = world.client.address
    world.client.network_changed(world.now)
    assert [e for e in world.wait(3) if not isinstance(e, PacketReceived)] == []
    assert world.client.proven
    assert world.client.address == before


def test_a_network_change_into_one_without_udp_is_noticed_soon() -> None:
    world = World().qualified()
    world.blocked = set(Socket)
    world.client.network_changed(world.now)
    world.wait(1.6)
    assert not world.client.proven
    assert error_of(world.wait(7.1)) == "teredo-udp-blocked"


def test_disabled_it_gives_its_address_back_and_is_silent() -> None:
    world = World().qualified()
    world.client.disable()
    assert AddressRemoved() in world.settle()
    assert world.client.timer_at() is None
    assert world.client.datagrams_to_send(world.now) == []
    world.client.network_changed(world.now)
    assert world.client.state is State.OFFLINE


def test_only_our_own_calls_can_be_refused() -> None:
    world = World().qualified()
    with pytest.raises(LocalProtocolError):
        world.client.enable(world.now)
    for state in State:
        assert {what for s, what in TRANSITIONS if s is state} >= set(Input) - {Input.ENABLE}


def test_answers_to_no_question_are_ignored() -> None:
    """A nonce of somebody else, a wrong place, no origin, a private one, another's prefix."""
    world = World()
    world.client.enable(world.now)
    plain = world.client.datagrams_to_send(world.now)[-1].data
    source = world.nat.out(PRIMARY)
    world.gateway.receive_datagram(plain, source, world.now)
    (answer,) = world.gateway.datagrams_to_send(world.now)
    good = parse_teredo(answer.data)
    assert good.authentication is not None
    other = type(good.authentication)(b"", b"", b"guessed!", 0)
    confirmed = type(good.authentication)(b"", b"", good.authentication.nonce, 1)
    private = Mapping(IPv4Address("10.0.0.1").packed, 5)
    for wrong in (
        replace(good, authentication=other),
        replace(good, authentication=None),
        replace(good, authentication=confirmed),
        replace(good, origin=None),
        replace(good, origin=private),
        replace(good, packet=good.packet.replace(SERVER, b"\x01\x02\x03\x04")),
    ):
        world.client.receive_datagram(build_teredo(wrong), PRIMARY, world.now)
    world.client.receive_datagram(answer.data, PEER_MAPPING, world.now)
    assert world.client.drops["answer to no question"] == 7
    assert [e.state for e in world.events() if isinstance(e, StateChanged)] == [State.PROBE_PRIMARY]
    world.client.receive_datagram(answer.data, PRIMARY, world.now)
    assert world.client.state is State.PROBE_SECONDARY


def test_nobody_but_the_endpoint_gets_in_or_is_spoken_to() -> None:
    world = World(Kind.CONE).qualified()
    us = world.client.address
    peer = build_teredo_address(TeredoAddress(SERVER, 0, PEER_MAPPING))
    packets = [
        build_packet(IPv6Packet(source=source, destination=us, next_header=17, payload=b"x" * 8))
        for source in (STRANGER, peer, parse_address("fe80::1"), parse_address("ff02::1"), us)
    ]
    for packet in packets:
        world.client.receive_datagram(packet, PEER_MAPPING, world.now)
        world.client.receive_datagram(packet, PRIMARY, world.now)
    world.client.receive_datagram(packets[0].replace(us, STRANGER), PRIMARY, world.now)
    world.client.receive_datagram(b"rubbish", PRIMARY, world.now)
    for destination in (STRANGER, OTHER_ENDPOINT, peer, parse_address("ff02::1")):
        assert not world.ping(destination)
    assert world.settle() == []
    assert world.client.drops["peer not allowed"] == 14
    assert len(world.client.peers) == 1


def test_a_packet_from_elsewhere_than_the_trusted_relay_is_not_believed() -> None:
    world = World(Kind.CONE).qualified()
    forged = build_packet(
        IPv6Packet(source=ENDPOINT, destination=world.client.address, next_header=50, payload=b"x")
    )
    world.client.receive_datagram(forged, PEER_MAPPING, world.now)
    assert world.settle() == []
    assert world.ping(ENDPOINT)


def test_what_is_sent_from_another_address_or_too_early_goes_nowhere() -> None:
    world = World()
    packet = build_packet(
        IPv6Packet(source=STRANGER, destination=ENDPOINT, next_header=50, payload=b"x")
    )
    world.client.send_packet(packet, world.now)
    world.qualified()
    world.client.send_packet(packet, world.now)
    assert world.client.drops == {"not qualified": 1, "not from our address": 1}


def test_an_indirect_bubble_is_answered_where_it_came_from() -> None:
    world = World(allowed=None).qualified()
    asking = build_link_local(0, PEER_MAPPING)
    bubble = TeredoPacket(packet=build_bubble(asking, world.client.address), origin=PEER_MAPPING)
    world.client.receive_datagram(build_teredo(bubble), PRIMARY, world.now)
    (sent,) = world.client.datagrams_to_send(world.now)
    assert sent.destination == PEER_MAPPING
    assert parse_packet(sent.data).destination == asking
    for wrong in (
        TeredoPacket(packet=bubble.packet),
        TeredoPacket(packet=bubble.packet, origin=Mapping(bytes(4), 9)),
        TeredoPacket(packet=build_bubble(asking, STRANGER), origin=PEER_MAPPING),
        TeredoPacket(
            packet=build_bubble(world.client.address, world.client.address), origin=PEER_MAPPING
        ),
    ):
        world.client.receive_datagram(build_teredo(wrong), PRIMARY, world.now)
    assert world.client.datagrams_to_send(world.now) == []


def test_another_client_is_asked_by_bubbles_both_ways_and_answers() -> None:
    world = World(allowed=None, watched=None).qualified()
    peer = build_teredo_address(TeredoAddress(SERVER, 0, PEER_MAPPING))
    packet = build_packet(
        IPv6Packet(source=world.client.address, destination=peer, next_header=17, payload=b"hi")
    )
    world.client.send_packet(packet, world.now)
    sent = world.client.datagrams_to_send(world.now)
    assert [out.destination for out in sent] == [PEER_MAPPING, Mapping(SERVER, PORT)]
    answer = build_bubble(peer, world.client.address)
    world.client.receive_datagram(answer, PRIMARY, world.now)
    assert world.client.datagrams_to_send(world.now) == []
    world.client.receive_datagram(answer, PEER_MAPPING, world.now)
    assert world.client.datagrams_to_send(world.now) == [Outgoing(packet, PEER_MAPPING)]
    data = build_packet(
        IPv6Packet(source=peer, destination=world.client.address, next_header=17, payload=b"hi")
    )
    world.client.receive_datagram(data, PEER_MAPPING, world.now)
    assert list(world.events())[-1] == PacketReceived(data)


def test_a_silent_client_gets_four_bubbles_and_then_peace() -> None:
    world = World(allowed=None, watched=None).qualified()
    peer = build_teredo_address(TeredoAddress(SERVER, 0, PEER_MAPPING))
    packet = build_packet(
        IPv6Packet(source=world.client.address, destination=peer, next_header=17, payload=b"hi")
    )
    world.client.send_packet(packet, world.now)
    world.wait(8)
    assert len([out for out in world.elsewhere if out.destination == PEER_MAPPING]) == 4
    world.client.send_packet(packet, world.now)
    assert world.client.drops["peer does not answer"] == 2
    world.wait(10)
    world.client.send_packet(packet, world.now)
    assert world.client.datagrams_to_send(world.now)
