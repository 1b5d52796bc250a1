"""6to4 where it can be tried, and the words where it cannot."""

import asyncio
import socket

import pytest

from tests.patience import PATIENCE
from throughway.probe import sixtofour
from throughway.probe.sixtofour import try_sixtofour
from throughway.wire.icmpv6 import Echo, build_icmpv6
from throughway.wire.ipv6 import parse_packet

OWN, SERVER = socket.inet_aton("131.107.9.9"), "131.107.0.2"


def test_a_private_address_needs_no_try() -> None:
    seen = asyncio.run(try_sixtofour("10.0.0.1"))
    assert (seen.tried, seen.words) == (False, "10.0.0.1 is no public address")


def test_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sixtofour, "_own_address", lambda _: OWN)
    monkeypatch.setattr(sixtofour, "raw_socket", refuse)
    seen = asyncio.run(try_sixtofour(SERVER))
    assert not seen.tried
    assert "root" in seen.words


def test_behind_a_nat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sixtofour, "_own_address", lambda _: socket.inet_aton("192.168.1.2"))
    assert "no public IPv4 address" in asyncio.run(try_sixtofour(SERVER)).words
    monkeypatch.setattr(sixtofour, "_own_address", lambda _: None)
    assert "no route" in asyncio.run(try_sixtofour(SERVER)).words


class Raw(socket.socket):
    """One end of a pair; what is sent is answered at the other end."""

    other: socket.socket
    answers = True

    def sendto(self, data: bytes, _: object) -> int:  # type: ignore[override]
        packet = parse_packet(data)
        reply = Echo(reply=True, identifier=1, sequence=1, data=packet.payload[8:])
        back = build_icmpv6(reply, source=packet.destination, destination=packet.source)
        header = bytes([0x45]) + bytes(19)
        self.other.send(header + b"of another program")
        if self.answers:
            self.other.send(header + back)
        return len(data)


@pytest.mark.parametrize("answers", [True, False])
def test_the_echo(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    raw = Raw(socket.AF_UNIX, socket.SOCK_DGRAM, fileno=ours.detach())
    raw.setblocking(False)
    raw.other, raw.answers = theirs, answers
    monkeypatch.setattr(sixtofour, "_own_address", lambda _: OWN)
    monkeypatch.setattr(sixtofour, "raw_socket", lambda: raw)
    with theirs:
        seen = asyncio.run(try_sixtofour(SERVER, wait=PATIENCE if answers else 0.3))
    assert (seen.tried, seen.answered) == (True, answers)
    assert seen.endpoint == "2002:836b:2::836b:2"
