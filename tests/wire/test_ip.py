"""IP headers of both versions, as captures have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packets import CLIENT, SERVER, ipv4, ipv6
from throughway.model.errors import WireError
from throughway.wire.ip import ICMPV6, TCP, UDP, format_ip, parse_ip
from throughway.wire.ipv6 import skip_extension_headers


def test_ipv4_with_options() -> None:
    packet = ipv4(b"payload", UDP, options=bytes(8)) + b"Ethernet padding"
    header = parse_ip(b"link" + packet, 4)
    assert (header.version, header.protocol, header.hop_limit) == (4, UDP, 64)
    assert (b"link" + packet)[header.start : header.end] == b"payload"
    assert format_ip(header.source) == CLIENT
    assert format_ip(header.destination) == SERVER


def test_ipv4_fragments() -> None:
    first = parse_ip(ipv4(b"x" * 16, fragment=0x2000))
    second = parse_ip(ipv4(b"x" * 16, fragment=2))
    assert (first.fragment_offset, first.more_fragments) == (0, True)
    assert (second.fragment_offset, second.more_fragments) == (16, False)
    assert parse_ip(ipv4(b"", fragment=0x4000)).dont_fragment


@pytest.mark.parametrize("packet", [ipv4(b"x" * 100), ipv6(b"x" * 100)])
def test_what_was_not_captured_is_counted(packet: bytes) -> None:
    header = parse_ip(packet[:-30])
    assert (header.end - header.start, header.missing) == (70, 30)


def test_segments_which_the_adapter_cuts_have_no_length() -> None:
    assert parse_ip(ipv4(b"x" * 50, total=0)).end == 70
    packet = bytearray(ipv6(b"x" * 50))
    packet[4:6] = b"\0\0"
    assert parse_ip(bytes(packet)).end == 90


def test_ipv6_extension_headers() -> None:
    hop_by_hop = bytes((60, 0)) + bytes(6)
    destination = bytes((44, 1)) + bytes(14)
    fragment = bytes((51, 0, 0, 1)) + bytes(4)
    authentication = bytes((ICMPV6, 4)) + bytes(22)
    packet = ipv6(hop_by_hop + destination + fragment + authentication + b"end", 0)
    header = parse_ip(packet)
    assert header.protocol == ICMPV6
    assert packet[header.start : header.end] == b"end"
    assert (header.fragment_offset, header.more_fragments) == (0, True)
    assert format_ip(header.source) == "2001:db8::a"


def test_the_second_fragment_is_not_followed() -> None:
    header = parse_ip(ipv6(bytes((60, 0, 0, 8)) + bytes(4) + b"\xff" * 9, 44))
    assert (header.protocol, header.fragment_offset, header.more_fragments) == (60, 8, False)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x50" + bytes(60),
        ipv4(b"")[:19],
        ipv4(b"", options=bytes(8))[:24],
        b"\x44" + ipv4(b"")[1:],
        ipv4(b"", total=19),
        ipv6(b"")[:39],
        ipv6(bytes((6, 1)), 0),
        ipv6(bytes((6, 1)) + bytes(6), 0),
        ipv6(bytes(8 * 20), 0),
    ],
)
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(WireError):
        parse_ip(packet)


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_payloads_come_back(payload: bytes, trailer: bytes) -> None:
    for packet in (ipv4(payload), ipv6(payload)):
        header = parse_ip(packet + trailer, 0)
        if payload:
            assert (packet + trailer)[header.start : header.end] == payload
        assert header.protocol == TCP


def test_a_chain_has_an_end() -> None:
    with pytest.raises(WireError, match="more than"):
        skip_extension_headers(bytes(800), 0, 0, 800)
