from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.icmpv6 import (
    Echo,
    Message,
    NeighborAdvertisement,
    NeighborSolicitation,
    PrefixInformation,
    RecursiveDNS,
    RouteInformation,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
    checksum,
    parse_icmpv6,
)
from throughway.wire.ipv6 import IPv6Packet, parse_address, parse_packet

SOURCE, DESTINATION = parse_address("fe80::1"), parse_address("ff02::1")
ADDRESSES = st.binary(min_size=16, max_size=16)
TARGETS = ADDRESSES.filter(lambda address: address[0] != 0xFF)
U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


@st.composite
def routes(draw: st.DrawFn) -> RouteInformation:
    length = draw(st.integers(0, 128))
    bits = draw(st.integers(0, 2**128 - 1)) >> (128 - length) << (128 - length)
    return RouteInformation(
        prefix=bits.to_bytes(16, "big"),
        length=length,
        lifetime=draw(U32),
        preference=draw(st.integers(0, 3)),
    )


PREFIXES = st.builds(
    PrefixInformation,
    prefix=ADDRESSES,
    length=st.integers(0, 128),
    on_link=st.booleans(),
    autonomous=st.booleans(),
    valid=U32,
    preferred=U32,
)
SERVERS = st.lists(ADDRESSES, min_size=1, max_size=3).map(tuple)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(RouterSolicitation),
    st.builds(
        RouterAdvertisement,
        hop_limit=st.integers(0, 255),
        managed=st.booleans(),
        other=st.booleans(),
        router_lifetime=U16,
        reachable_time=U32,
        retransmit_timer=U32,
        mtu=st.none() | U32,
        prefixes=st.lists(PREFIXES, max_size=2).map(tuple),
        routes=st.lists(routes(), max_size=3).map(tuple),
        dns=st.lists(st.builds(RecursiveDNS, lifetime=U32, servers=SERVERS), max_size=2).map(tuple),
    ),
    st.builds(NeighborSolicitation, target=TARGETS),
    st.builds(
        NeighborAdvertisement,
        target=TARGETS,
        router=st.booleans(),
        solicited=st.booleans(),
        override=st.booleans(),
    ),
    st.builds(Echo, reply=st.booleans(), identifier=U16, sequence=U16, data=st.binary(max_size=60)),
)


def packet_of(message: Message) -> IPv6Packet:
    return parse_packet(build_icmpv6(message, source=SOURCE, destination=DESTINATION))


@given(MESSAGES, ADDRESSES, ADDRESSES)
def test_what_is_built_is_parsed_back(message: Message, source: bytes, target: bytes) -> None:
    packet = parse_packet(build_icmpv6(message, source=source, destination=target))
    assert checksum(source, target, packet.payload) == 0
    assert parse_icmpv6(packet) == message


def test_a_solicitation_as_it_was_captured() -> None:
    """A Linux kernel wrote it into a TUN device."""
    data = bytes.fromhex(
        "6000000000083afffe8000000000000057ccc3c4d6b4b32c"
        "ff0200000000000000000000000000028500d7c400000000"
    )
    packet = parse_packet(data)
    assert parse_icmpv6(packet) == RouterSolicitation()
    built = build_icmpv6(RouterSolicitation(), source=packet.source, destination=packet.destination)
    assert built == data


def test_route_information_takes_no_more_room_than_it_needs() -> None:
    """RFC 4191, section 2.3: 8, 16 or 24 bytes."""
    sizes = []
    for text, length in (("::", 0), ("2001:db8::", 64), ("2002:836b:2::836b:2", 128)):
        route = RouteInformation(prefix=parse_address(text), length=length, lifetime=1)
        sizes.append(len(packet_of(RouterAdvertisement(routes=(route,))).payload) - 16)
    assert sizes == [8, 16, 24]


def test_a_route_with_bits_beyond_its_length_is_not_built() -> None:
    route = RouteInformation(prefix=parse_address("2001:db8::1"), length=64, lifetime=1)
    with pytest.raises(WireError):
        packet_of(RouterAdvertisement(routes=(route,)))


@pytest.mark.parametrize("index", range(8))
def test_a_flipped_bit_is_found(index: int) -> None:
    packet = packet_of(NeighborSolicitation(target=parse_address("2001:db8::1")))
    body = bytearray(packet.payload)
    body[index * 3] ^= 1
    with pytest.raises(WireError):
        parse_icmpv6(replace(packet, payload=bytes(body)))


def test_discovery_from_beyond_the_link_is_refused() -> None:
    """RFC 4861, section 6.1: with any other hop limit a router has forwarded it."""
    packet = replace(packet_of(RouterSolicitation()), hop_limit=254)
    with pytest.raises(WireError, match="hop limit"):
        parse_icmpv6(packet)
    echo = replace(packet_of(Echo(reply=False, identifier=1, sequence=1)), hop_limit=3)
    assert isinstance(parse_icmpv6(echo), Echo)


def _with_checksum(body: bytes) -> IPv6Packet:
    packet = packet_of(RouterSolicitation())
    body = body[:2] + b"\0\0" + body[4:]
    total = checksum(packet.source, packet.destination, body).to_bytes(2, "big")
    return replace(packet, payload=body[:2] + total + body[4:])


@pytest.mark.parametrize(
    "body",
    [
        b"\x85\0\0\0\0\0\0\0\x01\0",
        b"\x85\0\0\0\0\0\0\0\x01\x02abcdef",
        b"\x86\0\0\0\0\0\0\0",
        b"\x87\0\0\0\0\0\0\0" + bytes(15),
        b"\x87\0\0\0\0\0\0\0\xff" + bytes(15),
        b"\x86\0\0\0" + bytes(12) + b"\x03\x01" + bytes(6),
        b"\x86\0\0\0" + bytes(12) + b"\x18\x01\x40" + bytes(5),
        b"\x86\0\0\0" + bytes(12) + b"\x19\x02" + bytes(14),
        b"\x86\0\0\0" + bytes(12) + b"\x05\x02" + bytes(14),
        b"\x85\x01\0\0\0\0\0\0",
        b"\x8f\0\0\0\0\0\0\0",
    ],
    ids=[
        "option of length 0",
        "option beyond the end",
        "short advertisement",
        "short target",
        "multicast target",
        "short prefix information",
        "route shorter than its length",
        "half a DNS server",
        "long MTU",
        "code",
        "unknown type",
    ],
)
def test_malformed_messages_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        parse_icmpv6(_with_checksum(body))


def test_unknown_options_are_skipped() -> None:
    message = _with_checksum(b"\x85\0\0\0\0\0\0\0\xfd\x01abcdef")
    assert parse_icmpv6(message) == RouterSolicitation()
