"""The relay for programs that know only IPv4, over loopback; with a real proxy in the scenarios."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.net.iphttps_world import end_server
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.net import relay as module
from throughway.net.relay import ProxyRelay, original_destination

TARGET = ("192.0.2.7", 80)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def relayed(
    serve: Serve | None, told: list[str]
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a relay whose proxy serves so, or is not there."""
    listen, proxy = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
    server = await asyncio.start_server(serve, *proxy) if serve else None
    relay = ProxyRelay(listen, proxy, told.append)
    await relay.start()
    reader, writer = await asyncio.open_connection(*listen)
    try:
        yield reader, writer
    finally:
        writer.close()
        await relay.close()
        if server is not None:
            await end_server(server)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


def answering(head: bytes, heads: list[bytes]) -> Serve:
    """A proxy that gives this answer, then repeats what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head)
        await echo(reader, writer)

    return serve


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The firewall has taken the connection here from where it was to go."""
    monkeypatch.setattr(module, "original_destination", lambda _: TARGET)


def said(serve: Serve | None, *, whole: bytes = b"hello") -> tuple[bytes, list[str]]:
    told: list[str] = []

    async def run() -> bytes:
        async with relayed(serve, told) as (reader, writer):
            writer.write(whole)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), PATIENCE)

    return asyncio.run(run()), told


def test_a_program_that_knows_its_proxy_speaks_with_it() -> None:
    assert said(echo) == (b"hello", [""])


@pytest.mark.usefixtures("taken")
def test_a_program_that_knows_nothing_gets_a_way() -> None:
    heads: list[bytes] = []
    assert said(answering(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n", heads)) == (b"hello", [""])
    assert heads == [b"CONNECT 192.0.2.7:80 HTTP/1.1\r\nHost: 192.0.2.7:80\r\n\r\n"]


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * module.MAXIMUM_HEAD,
        b"",
    ],
)
def test_a_proxy_that_makes_no_way(head: bytes) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()

    assert said(refuse)[0] == b""


def test_a_proxy_that_is_not_there_is_told() -> None:
    data, told = said(None)
    assert data == b""
    assert "refused" in told[0]


def test_each_direction_ends_by_itself() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()
        writer.write(b"got " + received)
        writer.close()

    assert said(late) == (b"got hello", [""])


def test_much_data_arrives_whole() -> None:
    data = bytes(range(256)) * 20_000
    assert said(echo, whole=data)[0] == data


def test_more_than_the_limit_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_CONNECTIONS", 1)

    async def run() -> None:
        async with relayed(echo, []) as (reader, writer):
            writer.write(b"1")
            assert await reader.read(1) == b"1"
            address = writer.get_extra_info("peername")
            second, other = await asyncio.open_connection(*address[:2])
            other.write(b"2")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(second.read(1), 0.1)
            writer.close()
            assert await asyncio.wait_for(second.read(1), PATIENCE) == b"2"
            other.close()

    asyncio.run(run())


def test_a_connection_that_nobody_took_has_no_other_destination() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as accepted,
    ):
        assert original_destination(accepted) in {None, server.getsockname()}
