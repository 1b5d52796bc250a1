"""One request, one answer; silence and crowds hurt nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11
import pytest

from tests.clock import pass_time
from tests.patience import PATIENCE
from throughway.gateway import webserver
from throughway.gateway.webserver import HEAD_LIMIT, Answer, WebServer, plain
from throughway.model.errors import ConfigError

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def respond(request: h11.Request) -> Answer:
    match request.target:
        case b"/":
            return Answer(HTTPStatus.OK, {"content-type": "text/x"}, b"body")
        case b"/same":
            return Answer(HTTPStatus.NOT_MODIFIED)
    return plain(HTTPStatus.SERVICE_UNAVAILABLE, "not n\xf6w", retry_after="60")


def serving(scenario: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        server = WebServer(("127.0.0.1", 0), respond, key="x.listen")
        await server.start()
        try:
            await scenario(server.port)
        finally:
            await server.close()

    asyncio.run(run())


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    return await read_all(reader, writer)


def test_answers() -> None:
    async def scenario(port: int) -> None:
        head, _, body = (await ask(port, GET)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"content-length: 4" in head
        assert b"connection: close" in head
        assert body == b"body"
        head, _, body = (await ask(port, GET.replace(b"GET", b"HEAD"))).partition(b"\r\n\r\n")
        assert b"content-length: 4" in head
        assert body == b""
        same = await ask(port, GET.replace(b"/ ", b"/same "))
        assert same.startswith(b"HTTP/1.1 304 ")
        assert b"content-length" not in same
        other = await ask(port, GET.replace(b"/ ", b"/other "))
        assert other.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 60" in other
        assert other.endswith(b"not n?w\n")

    serving(scenario)


def test_garbage_and_long_heads_are_refused_in_words() -> None:
    async def scenario(port: int) -> None:
        assert (await ask(port, b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        long = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2 * HEAD_LIMIT
        assert (await ask(port, long)).startswith(b"HTTP/1.1 431 ")

    serving(scenario)


def test_silent_clients_are_ended_and_too_many_are_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webserver, "REQUEST_TIMEOUT", PATIENCE)
    monkeypatch.setattr(webserver, "MAX_CONNECTIONS", 2)

    async def scenario(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        silent[0][1].write(b"GET /")
        assert await ask(port, GET) == b""
        pass_time(PATIENCE)
        assert [await read_all(*connection) for connection in silent] == [b"", b""]
        answer = b""
        while not answer:
            answer = await ask(port, GET)
        assert answer.startswith(b"HTTP/1.1 200 ")

    serving(scenario)


def test_an_address_that_is_not_here_is_told_with_its_key() -> None:
    async def run() -> None:
        with pytest.raises(ConfigError, match="cannot listen on 192") as told:
            await WebServer(("192.0.2.1", 8080), respond, key="x.listen").start()
        assert told.value.key == "x.listen"

    asyncio.run(run())
