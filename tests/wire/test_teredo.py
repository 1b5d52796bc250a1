"""Teredo packets and addresses, after the examples of RFC 4380."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packets import ip
from throughway.model.errors import WireError
from throughway.wire.icmpv6 import RouterAdvertisement, RouterSolicitation, build_icmpv6
from throughway.wire.ipv6 import ALL_ROUTERS, parse_address
from throughway.wire.teredo import (
    Authentication,
    Kind,
    Mapping,
    TeredoAddress,
    TeredoPacket,
    Trailer,
    build_teredo,
    build_teredo_address,
    is_teredo,
    parse_teredo,
    parse_teredo_address,
    random_flags,
)

LOCAL = parse_address("fe80::ffff:ffff:ffff")
BUBBLE = ip("2001:db8::1", "2001:db8::2", 59, b"")
MAPPING = Mapping(IPv4Address("192.0.2.45").packed, 40000)
FOUR = st.binary(min_size=4, max_size=4)
MAPPINGS = st.builds(Mapping, FOUR, st.integers(0, 0xFFFF))


def test_the_address_of_the_specification() -> None:
    """RFC 4380, section 4 with the values of its section 2.14: inverted port and address."""
    address = parse_address("2001:0:836b:2:1c3f:63bf:3fff:fdd2")
    parts = parse_teredo_address(address)
    assert str(IPv4Address(parts.server)) == "131.107.0.2"
    assert parts.mapping == MAPPING
    assert (parts.flags, parts.cone) == (0x1C3F, False)
    assert build_teredo_address(parts) == address
    assert is_teredo(address)
    assert TeredoAddress(bytes(4), 0x8000, MAPPING).cone


@given(st.builds(TeredoAddress, FOUR, st.integers(0, 0xFFFF), MAPPINGS))
def test_addresses_come_back(address: TeredoAddress) -> None:
    assert parse_teredo_address(build_teredo_address(address)) == address


@given(st.integers(0, 0xFFF))
def test_twelve_bits_of_chance(chance: int) -> None:
    flags = random_flags(chance)
    assert flags & ~0x3CFF == 0
    assert flags.bit_count() == chance.bit_count()


def test_qualification() -> None:
    asked = build_icmpv6(RouterSolicitation(), source=LOCAL, destination=ALL_ROUTERS)
    told = build_icmpv6(RouterAdvertisement(), source=LOCAL, destination=LOCAL)
    nonce = Authentication(b"", b"", b"8 bytes!", 0)
    solicitation = build_teredo(TeredoPacket(packet=asked, authentication=nonce))
    answer = build_teredo(TeredoPacket(packet=told, authentication=nonce, origin=MAPPING))
    assert solicitation[:13] == b"\0\1\0\0" + b"8 bytes!" + b"\0"
    assert parse_teredo(solicitation).kind is Kind.SOLICITATION
    read = parse_teredo(answer)
    assert (read.kind, read.origin, read.authentication) == (Kind.ADVERTISEMENT, MAPPING, nonce)


def test_bubbles_and_data() -> None:
    origin = parse_teredo(bytes.fromhex("000063bf3ffffdd2") + BUBBLE)
    assert (origin.kind, origin.origin) == (Kind.BUBBLE, MAPPING)
    data = ip("2001:db8::1", "2001:db8::2", 50, b"12345678")
    assert parse_teredo(data).kind is Kind.DATA


def test_trailers() -> None:
    read = parse_teredo(BUBBLE + b"\1\4abcd" + b"\3\x08" + bytes(8) + b"\5")
    assert read.trailers == (Trailer(1, b"abcd"), Trailer(3, bytes(8)))
    assert parse_teredo(BUBBLE + b"\1\4abc").trailers == ()


@given(
    st.builds(
        TeredoPacket,
        packet=st.just(BUBBLE),
        authentication=st.none()
        | st.builds(
            Authentication,
            st.binary(max_size=9),
            st.binary(max_size=9),
            st.binary(min_size=8, max_size=8),
            st.integers(0, 255),
        ),
        origin=st.none() | MAPPINGS,
        trailers=st.lists(
            st.builds(Trailer, st.integers(0, 255), st.binary(max_size=9)), max_size=3
        ).map(tuple),
    )
)
def test_packets_come_back(packet: TeredoPacket) -> None:
    assert parse_teredo(build_teredo(packet)) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\4",
        b"\0\1\4\4" + bytes(10),
        b"\0\0\1\2",
        b"\0\0" + bytes(6),
        BUBBLE[:39],
        b"\x45",
    ],
)
def test_what_is_no_teredo(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_teredo(data)
    with pytest.raises(WireError):
        parse_teredo_address(data)


def test_what_is_not_built() -> None:
    with pytest.raises(WireError):
        build_teredo(TeredoPacket(packet=BUBBLE, authentication=Authentication(b"", b"", b"7", 0)))
    with pytest.raises(WireError):
        build_teredo_address(TeredoAddress(b"", 0, MAPPING))
    with pytest.raises(WireError):
        parse_teredo(ip("2001:db8::1", "2001:db8::2", 59, b"payload")[:44])
    assert not is_teredo(IPv6Address("2001:db8::1").packed)
