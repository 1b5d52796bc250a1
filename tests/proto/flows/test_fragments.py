"""Packets in fragments: the whole, the broken, and those of which too little is known."""

import pytest

from tests.packets import CLIENT, SERVER, ip, udp
from throughway.proto.flows import fragments
from throughway.proto.flows.fragments import Fragments, FragmentsReceived
from throughway.wire.ip import ESP, UDP, parse_ip

FIRST = udp(bytes(1200), (4500, 4500))
MORE = 0x2000


def piece(number: int, payload: bytes, place: int, protocol: int = UDP) -> bytes:
    packet = ip(SERVER, CLIENT, protocol, payload, fragment=place)
    return packet[:4] + number.to_bytes(2, "big") + packet[6:]


def counted(*packets: bytes) -> list[FragmentsReceived]:
    reassembly = Fragments()
    for number, packet in enumerate(packets, 1):
        reassembly.receive(packet, 0, parse_ip(packet), number)
    return list(reassembly.finish())


def test_the_whole_and_the_broken() -> None:
    first, last = piece(1, FIRST, MORE), piece(1, bytes(300), len(FIRST) // 8)
    (found,) = counted(first, last, piece(2, FIRST, MORE), piece(3, FIRST, MORE))
    assert (found.whole, found.broken, found.port, found.number) == (1, 2, 4500, 1)
    (found,) = counted(last, first)
    assert (found.whole, found.broken) == (1, 0)


def test_of_those_without_a_beginning_nothing_is_said() -> None:
    assert counted(piece(1, bytes(300), 152), piece(2, bytes(300), 152)) == []


def test_the_same_twice_is_one() -> None:
    (found,) = counted(*[piece(1, FIRST, MORE)] * 2, piece(1, bytes(300), len(FIRST) // 8))
    assert (found.whole, found.broken) == (1, 0)


def test_of_version_6() -> None:
    def packet(place: int, more: bool, payload: bytes) -> bytes:
        head = bytes((ESP, 0)) + (place | more).to_bytes(2, "big") + b"\0\0\0\7"
        return ip("2001:db8::1", "2001:db8::2", 44, head + payload)

    (found,) = counted(packet(0, True, bytes(800)), packet(800, False, bytes(80)))
    assert (found.whole, found.broken, found.protocol, found.port) == (1, 0, ESP, None)


def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MAXIMUM_PACKETS", 2)
    (found,) = counted(*(piece(number, FIRST, MORE) for number in range(9)))
    assert found.broken == 2
