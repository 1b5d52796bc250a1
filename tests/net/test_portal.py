"""Asking a page that may be a portal's, and where networks name their portals."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.net.test_proxy import proxy_that
from tests.patience import PATIENCE
from throughway.model.errors import TransportError
from throughway.net import portal as module
from throughway.net.portal import (
    AdvertisementListener,
    api_of_leases,
    ask,
    parse_user_options,
)
from throughway.proto.portal import Answer

API = "https://portal.hotel.example/api"


async def resolve(host: str) -> Sequence[str]:
    assert host == "probe.example.com"
    return ("127.0.0.1",)


@contextlib.asynccontextmanager
async def answering(text: bytes, heard: list[bytes]) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(text)

    async with proxy_that(answer) as port:
        yield port


def asked(text: bytes, path: str = "/x?y=z", heard: list[bytes] | None = None) -> Answer:
    async def run() -> Answer:
        async with answering(text, [] if heard is None else heard) as port:
            return await ask(f"http://probe.example.com:{port}{path}", resolve=resolve)

    return asyncio.run(run())


def test_what_is_asked() -> None:
    heard: list[bytes] = []
    assert asked(b"HTTP/1.1 204 No Content\r\n\r\n", heard=heard) == Answer(204)
    head = heard[0].decode()
    assert head.startswith("GET /x?y=z HTTP/1.1\r\nHost: probe.example.com:")
    assert "Connection: close" in head


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Answer(200, "", b"hi")),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", Answer(200, "", b"hi")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", Answer(302, "http://x/")),
        (b"HTTP/1.1 511 Sign in\r\nContent-Length: 0\r\n\r\n", Answer(511)),
        (b"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 204 No\r\n\r\n", Answer(204)),
    ],
)
def test_answers_are_told_as_they_are(text: bytes, expected: Answer) -> None:
    assert asked(text) == expected


def test_long_pages_are_not_read_to_their_end() -> None:
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 100_000
    assert len(asked(text).body) == module.MAXIMUM_BODY


@pytest.mark.parametrize(
    "text",
    [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000],
)
def test_what_is_no_answer(text: bytes) -> None:
    with pytest.raises(TransportError):
        asked(text)


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_TIME", 0.05)

    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def run() -> None:
        async with proxy_that(answer) as port:
            with pytest.raises(TransportError):
                await ask(f"http://probe.example.com:{port}/", resolve=resolve)

    asyncio.run(run())


def test_portals_that_dhcp_names(tmp_path: Path) -> None:
    assert api_of_leases(tmp_path / "none") == ""
    (tmp_path / "2").write_text(
        "ADMIN_STATE=configured\nCAPTIVE_PORTAL=urn:ietf:params:capport:u\n"
    )
    (tmp_path / "3").write_text(f"NTP=\nCAPTIVE_PORTAL={API}\n")
    assert api_of_leases(tmp_path) == API


def message(*options: bytes) -> bytes:
    """Return what the kernel says of options in an advertisement."""
    body = b"".join(options)
    data = struct.pack("=BBHiBBHI", 10, 0, len(body), 2, 134, 0, 0, 0) + body
    return struct.pack("=IHHII", 16 + len(data), 68, 0, 0, 0) + data


def option(text: str, kind: int = 37) -> bytes:
    octets = text.encode()
    octets += bytes(-(len(octets) + 2) % 8)
    return bytes((kind, (len(octets) + 2) // 8)) + octets


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (message(option(API)), API),
        (message(option("x", 25)), None),
        (message(option("x", 25), option(API)), API),
        (message(option("x", 25)) + message(option(API)), API),
        (message(option("urn:ietf:params:capport:unrestricted")), ""),
        (message(option("nonsense")), ""),
        (message(b"\x25\x00" + bytes(6)), None),
        (message(option(API)[:8]), None),
    ],
)
def test_portals_that_advertisements_name(data: bytes, expected: str | None) -> None:
    assert parse_user_options(data) == expected


@pytest.mark.lab
def test_an_advertisement_on_a_real_link() -> None:
    in_namespace(_advertise)


def _advertise() -> None:
    run("ip", "link", "add", "outer", "type", "veth", "peer", "name", "inner")
    for name in ("outer", "inner"):
        run("sysctl", "-qw", f"net.ipv6.conf.{name}.accept_dad=0")
    run("sysctl", "-qw", "net.ipv6.conf.inner.accept_ra=2")
    for name in ("outer", "inner"):
        run("ip", "link", "set", name, "up")
    named: list[str] = []

    async def listen() -> None:
        listener = AdvertisementListener(named.append)
        advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + option(API)
        router = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        index = socket.if_nametoindex("outer")
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        with router:
            async with asyncio.timeout(PATIENCE):
                while not named:
                    with contextlib.suppress(OSError):  # the link is not up yet
                        router.sendto(advertisement, ("ff02::1", 0, 0, index))
                    await asyncio.sleep(0.02)
        listener.close()
        listener.close()

    asyncio.run(listen())
    assert set(named) == {API}


def test_one_that_only_says_continue_is_no_answer() -> None:
    with pytest.raises(TransportError, match="without end"):
        asked(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)
