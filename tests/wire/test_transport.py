"""TCP, UDP and ICMP errors."""

import struct

import pytest

from tests import packets
from tests.packets import ipv4, ipv6
from throughway.model.errors import WireError
from throughway.wire.ip import ICMP, ICMPV6, UDP, parse_ip
from throughway.wire.transport import (
    ICMPError,
    TCPFlags,
    TCPSegment,
    UDPDatagram,
    parse_icmp_error,
    parse_tcp,
    parse_udp,
)

SEGMENT = packets.tcp()


def read_tcp(packet: bytes) -> TCPSegment:
    return parse_tcp(packet, parse_ip(packet))


def read_udp(packet: bytes) -> UDPDatagram:
    return parse_udp(packet, parse_ip(packet))


def read_icmp(packet: bytes) -> ICMPError | None:
    return parse_icmp_error(packet, parse_ip(packet))


def test_a_segment_with_options() -> None:
    for wrap in (ipv4, ipv6):
        segment = read_tcp(wrap(packets.tcp(b"data", options=bytes(12))))
        assert (segment.source_port, segment.destination_port) == (50000, 443)
        assert (segment.sequence, segment.acknowledgment, segment.window) == (7, 9, 1024)
        assert segment.flags == TCPFlags.PSH | TCPFlags.ACK
        assert (segment.payload, segment.length) == (b"data", 4)


def test_a_segment_of_which_only_the_head_was_captured() -> None:
    segment = read_tcp(ipv4(packets.tcp(b"data" * 300))[:70])
    assert (len(segment.payload), segment.length) == (30, 1200)
    assert read_tcp(ipv4(packets.tcp(options=bytes(40)))[:60]).payload == b""


def test_a_datagram() -> None:
    packet = ipv4(struct.pack("!HHHH", 53, 1024, 12, 0) + b"dataand more", UDP)
    assert read_udp(packet) == (53, 1024, b"data", 4)
    assert read_udp(packet[:30]) == (53, 1024, b"da", 4)
    assert read_udp(ipv6(struct.pack("!HHHH", 53, 1024, 0, 0) + b"all", UDP)) == (
        53,
        1024,
        b"all",
        3,
    )


def test_an_error_names_the_packet_that_it_is_about() -> None:
    about = ipv4(struct.pack("!HHHH", 5000, 3544, 8, 0), UDP)
    error = read_icmp(ipv4(struct.pack("!BBHI", 3, 4, 0, 1400) + about, ICMP))
    assert error is not None
    assert (error.type, error.code, error.detail, error.ports) == (3, 4, 1400, (5000, 3544))
    assert error.packet.destination == bytes((198, 51, 100, 2))
    too_big = read_icmp(ipv6(struct.pack("!BBHI", 2, 0, 0, 1280) + ipv6(b""), ICMPV6))
    assert too_big is not None
    assert (too_big.detail, too_big.ports) == (1280, None)


def test_an_echo_is_no_error() -> None:
    assert read_icmp(ipv4(bytes((8,)) + bytes(7), ICMP)) is None
    assert read_icmp(ipv6(bytes((128,)) + bytes(7), ICMPV6)) is None


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(SEGMENT[:19]),
        ipv4(SEGMENT[:12] + b"\x40" + SEGMENT[13:]),
        ipv4(SEGMENT[:12] + b"\x60" + SEGMENT[13:]),
    ],
)
def test_what_is_no_segment(packet: bytes) -> None:
    with pytest.raises(WireError):
        read_tcp(packet)


def test_what_is_no_datagram_or_message() -> None:
    for packet in (ipv4(b"x" * 7, UDP), ipv4(struct.pack("!HHHH", 1, 2, 7, 0), UDP)):
        with pytest.raises(WireError):
            read_udp(packet)
    with pytest.raises(WireError):
        read_icmp(ipv4(b"x" * 7, ICMP))
    with pytest.raises(WireError):
        read_icmp(ipv4(bytes((3,)) + bytes(7), ICMP))
