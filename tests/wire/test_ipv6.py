import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.ipv6 import (
    ALL_NODES,
    HEADER_LENGTH,
    MAX_PAYLOAD,
    IPv6Packet,
    build_packet,
    format_address,
    is_link_local,
    is_multicast,
    is_solicited_node,
    packet_length,
    parse_address,
    parse_packet,
    parse_prefix,
    solicited_node,
)

ADDRESSES = st.binary(min_size=16, max_size=16)
PACKETS = st.builds(
    IPv6Packet,
    source=ADDRESSES,
    destination=ADDRESSES,
    next_header=st.integers(0, 255),
    payload=st.binary(max_size=200),
    hop_limit=st.integers(0, 255),
    traffic_class=st.integers(0, 255),
    flow_label=st.integers(0, 0xFFFFF),
)


@given(PACKETS)
def test_what_is_built_is_parsed_back(packet: IPv6Packet) -> None:
    data = build_packet(packet)
    assert len(data) == packet_length(data) == HEADER_LENGTH + len(packet.payload)
    assert parse_packet(data) == packet


def test_a_packet_as_it_was_captured() -> None:
    """A Router Solicitation which a Linux kernel wrote into a TUN device."""
    data = bytes.fromhex(
        "6000000000083afffe8000000000000057ccc3c4d6b4b32c"
        "ff0200000000000000000000000000028500d7c400000000"
    )
    packet = parse_packet(data)
    assert format_address(packet.source) == "fe80::57cc:c3c4:d6b4:b32c"
    assert format_address(packet.destination) == "ff02::2"
    assert (packet.next_header, packet.hop_limit) == (58, 255)
    assert build_packet(packet) == data


@pytest.mark.parametrize(
    "data",
    [b"", b"\x60" + bytes(38), b"\x45" + bytes(60), b"\x60" + bytes(40), b"\x60" + bytes(3)],
    ids=["empty", "short", "version 4", "a byte too many", "four bytes"],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_packet(data)


def test_length_can_be_read_inside_a_stream() -> None:
    assert packet_length(b"xx\x60\0\0\0\x01\x02" + bytes(40), 2) == HEADER_LENGTH + 258


def test_what_does_not_fit_is_not_built() -> None:
    packet = IPv6Packet(
        source=bytes(16), destination=bytes(16), next_header=59, payload=bytes(MAX_PAYLOAD + 1)
    )
    with pytest.raises(WireError):
        build_packet(packet)
    with pytest.raises(WireError):
        build_packet(IPv6Packet(source=b"", destination=bytes(16), next_header=59, payload=b""))


@given(ADDRESSES)
def test_addresses_are_as_the_library_has_them(address: bytes) -> None:
    known = ipaddress.IPv6Address(address)
    assert parse_address(format_address(address)) == address
    assert is_multicast(address) == known.is_multicast
    assert is_link_local(address) == known.is_link_local


@pytest.mark.parametrize("text", ["", "10.0.0.1", "fe80::1%eth0/64", "x"])
def test_no_address_no_prefix(text: str) -> None:
    with pytest.raises(WireError):
        parse_address(text)
    with pytest.raises(WireError):
        parse_prefix(text)


def test_prefixes_have_no_bits_beyond_their_length() -> None:
    assert parse_prefix("2001:db8::/32") == (parse_address("2001:db8::"), 32)
    with pytest.raises(WireError):
        parse_prefix("2001:db8::1/32")


def test_solicited_node_address() -> None:
    """The example of RFC 4291, section 2.7.1."""
    address = parse_address("4037::01:800:200e:8c6c")
    assert format_address(solicited_node(address)) == "ff02::1:ff0e:8c6c"
    assert is_solicited_node(solicited_node(address))
    assert not is_solicited_node(ALL_NODES)


def test_what_is_no_address_is_not_written() -> None:
    with pytest.raises(WireError):
        format_address(b"123")
