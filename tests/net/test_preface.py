"""What comes before a connection's own bytes, in pieces of any size."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.net.iphttps_world import wait_for
from throughway.net.preface import Preface
from throughway.proto.iphttps.hello import Offer
from throughway.wire.proxy_protocol import ProxyHeader, build_v1
from throughway.wire.tls_offer import Offer as Hello
from throughway.wire.tls_offer import build_offer, suites_for

NULL_ONLY = build_offer(Hello(version=0x0303, suites=(0x003B, 0x0002)), bytes(96))
MODERN = build_offer(Hello(version=0x0304, suites=suites_for(0x0304)), bytes(96))
HEADER = build_v1("192.0.2.7", 4711, "192.0.2.1", 443)


@dataclass
class Noted:
    """What was told."""

    said: list[object] = field(default_factory=list)

    def spoken(self) -> None:
        self.said.append("spoken")

    def named(self, header: ProxyHeader) -> None:
        self.said.append((header.source, header.source_port))

    def ready(self, offer: Offer) -> None:
        self.said.append(offer)

    def failed(self, why: str) -> None:
        self.said.append(("failed", why))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.setblocking(False)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with near, far:
        yield near, far


def play(
    far: socket.socket,
    scenario: Callable[[Noted], Awaitable[None]],
    *,
    header: bool = False,
    hello: bool = False,
) -> Noted:
    noted = Noted()

    async def run() -> None:
        preface = Preface(far, noted, header=header, hello=hello)
        preface.start()
        await scenario(noted)
        preface.stop()

    asyncio.run(run())
    return noted


async def read_up(far: socket.socket) -> None:
    """Wait until the kernel has nothing that was not looked at."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "offer"), [(NULL_ONLY, Offer.NULL_ONLY), (MODERN, Offer.ENCRYPTION)]
)
def test_the_header_goes_and_the_hello_stays(
    ends: tuple[socket.socket, socket.socket], size: int, data: bytes, offer: Offer
) -> None:
    near, far = ends

    async def scenario(noted: Noted) -> None:
        for at in range(0, len(HEADER + data), size):
            near.sendall((HEADER + data)[at : at + size])
            await read_up(far)
        await wait_for(lambda: offer in noted.said)

    noted = play(far, scenario, header=True, hello=True)
    assert noted.said == ["spoken", ("192.0.2.7", 4711), offer]
    assert far.recv(65536) == data


def test_what_follows_a_header_is_not_touched(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends

    async def scenario(noted: Noted) -> None:
        near.sendall(HEADER + b"POST / HTTP/1.1")
        await wait_for(lambda: len(noted.said) == 3)

    noted = play(far, scenario, header=True)
    assert noted.said == ["spoken", ("192.0.2.7", 4711), Offer.ENCRYPTION]
    assert far.recv(65536) == b"POST / HTTP/1.1"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", ""),
        (b"PROXY TCP4 ", "it ended within the header"),
        (b"POST /IPHTTPS HTTP/1.1", "no PROXY protocol header"),
        (MODERN, "no PROXY protocol header"),
    ],
)
def test_without_its_header_a_connection_fails(
    ends: tuple[socket.socket, socket.socket], data: bytes, why: str
) -> None:
    near, far = ends

    async def scenario(noted: Noted) -> None:
        near.sendall(data)
        near.shutdown(socket.SHUT_WR)
        await wait_for(lambda: len(noted.said) == 2)

    assert play(far, scenario, header=True).said == ["spoken", ("failed", why)]


@pytest.mark.parametrize("data", [b"", NULL_ONLY[:50], b"GET / HTTP/1.1\r\n", b"\x16\x03\x01" * 99])
def test_whatever_is_no_hello_meets_what_encrypts(
    ends: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    near, far = ends

    async def scenario(noted: Noted) -> None:
        near.sendall(data)
        near.shutdown(socket.SHUT_WR)
        await wait_for(lambda: len(noted.said) == 2)

    assert play(far, scenario, hello=True).said == ["spoken", Offer.ENCRYPTION]
    assert far.recv(65536) == data


def test_half_a_hello_costs_no_time(ends: tuple[socket.socket, socket.socket]) -> None:
    """It stays in the kernel unread: nobody may be woken by it again and again."""
    near, far = ends
    looks = 0

    class Counting(Preface):
        def _read_hello(self) -> None:
            nonlocal looks
            looks += 1
            super()._read_hello()

    async def scenario() -> None:
        noted = Noted()
        preface = Counting(far, noted, header=False, hello=True)
        preface.start()
        near.sendall(NULL_ONLY[:40])
        await wait_for(lambda: looks > 0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert looks == 1
        near.sendall(NULL_ONLY[40:])
        await wait_for(lambda: Offer.NULL_ONLY in noted.said)

    asyncio.run(scenario())
