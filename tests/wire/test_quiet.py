"""Which packets are passed over, and which never are."""

import struct

from tests.packets import ipv4, ipv6, tcp, udp
from throughway.wire import quiet
from throughway.wire.quiet import ESP, IPV6_IN_IPV4, MAXIMUM_QUIET, TCP, UDP, QuietFlows

PADDING = bytes(60)
NAT_T = (4500, 4500)


def covers(flows: QuietFlows, packet: bytes) -> bool:
    return flows.covers(packet + PADDING, 0, len(packet))


def key_of(packet: bytes) -> bytes:
    return packet[12:24] if packet[0] >> 4 == 4 else packet[8:44]


def test_a_direction_of_tcp() -> None:
    for wrap in (ipv4, ipv6):
        flows = QuietFlows()
        data, end = wrap(tcp(b"x", 0x10)), wrap(tcp(b"", 0x11))
        assert not covers(flows, data)
        flows.add(TCP, key_of(data))
        assert covers(flows, data)
        assert not covers(flows, end)
        assert flows.last_sequence(key_of(data)) == 7
        flows.discard(TCP, key_of(data))
        assert not covers(flows, data)
        assert flows.last_sequence(key_of(data)) is None


def test_ike_comes_through_between_esp() -> None:
    for wrap in (ipv4, ipv6):
        flows = QuietFlows()
        esp, ike = wrap(udp(b"\0\0\0\1" + PADDING, NAT_T), UDP), wrap(udp(PADDING, NAT_T), UDP)
        flows.add(UDP, key_of(esp))
        assert covers(flows, esp)
        assert not covers(flows, ike)


def test_an_spi() -> None:
    flows = QuietFlows()
    one, other = ipv6(b"\0\0\0\1" + PADDING, ESP), ipv6(b"\0\0\0\2" + PADDING, ESP)
    flows.add(ESP, key_of(one))
    assert covers(flows, one)
    assert not covers(flows, other)


def test_what_is_in_tunnels_counts_by_itself() -> None:
    flows = QuietFlows()
    inner = ipv6(b"\0\0\0\1" + PADDING, ESP)
    teredo, sixtofour = ipv4(udp(inner, (3544, 3544)), UDP), ipv4(inner, IPV6_IN_IPV4)
    assert not covers(flows, teredo)
    assert not covers(flows, sixtofour)
    flows.add(ESP, key_of(inner))
    assert covers(flows, teredo)
    assert covers(flows, sixtofour)


def test_tunnels_in_tunnels_have_an_end() -> None:
    packet = ipv4(b"\0" * 100, UDP)
    for _ in range(500):
        packet = ipv4(packet, IPV6_IN_IPV4)
    assert not covers(QuietFlows(), packet)


def test_the_unusual_is_looked_at() -> None:
    flows = QuietFlows()
    plain = ipv4(tcp(PADDING, 0x10))
    flows.add(TCP, key_of(plain))
    assert not covers(flows, ipv4(tcp(PADDING, 0x10), options=bytes(4)))
    assert not covers(flows, b"\x55" + plain[1:])
    assert not covers(flows, plain[:30])
    assert not flows.covers(plain[:50], 0, 50)
    assert not flows.covers(plain, 1 << 40, len(plain))


def test_the_first_is_forgotten_first() -> None:
    assert MAXIMUM_QUIET > 3
    flows = QuietFlows()
    packets = [ipv6(struct.pack("!I", n) + PADDING, ESP) for n in range(3)]
    was = quiet.MAXIMUM_QUIET
    quiet.MAXIMUM_QUIET = 2
    try:
        for packet in packets:
            flows.add(ESP, key_of(packet))
    finally:
        quiet.MAXIMUM_QUIET = was
    assert [covers(flows, packet) for packet in packets] == [False, True, True]
