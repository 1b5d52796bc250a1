"""One request, one answer; silence and crowds hurt nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.clock import pass_time
from tests.patience import PATIENCE
from tests.pki_world import GATEWAY, write_credential
from throughway.model.errors import ConfigError
from throughway.net import webserver
from throughway.net.tls import server_context, unverified_context
from throughway.net.webserver import HEAD_LIMIT, Answer, Heard, WebServer, plain

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def respond(heard: Heard) -> Answer:
    match heard.request.target:
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


def test_an_answer_may_take_its_time_where_others_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webserver, "REQUEST_TIMEOUT", -1.0)

    async def run(seconds: float | None) -> bytes:
        server = WebServer(("127.0.0.1", 0), respond, key="x.listen", seconds=seconds)
        await server.start()
        try:
            return await ask(server.port, GET)
        finally:
            await server.close()

    assert asyncio.run(run(None)) == b""
    assert asyncio.run(run(PATIENCE)).startswith(b"HTTP/1.1 200 ")


def test_who_holds_the_most_makes_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One who opens many connections, and says nothing, keeps nobody else out."""
    monkeypatch.setattr(webserver, "MAX_CONNECTIONS", 8)

    async def scenario(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _ in range(3):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=("127.0.0.2", 0)
            )
            writer.write(GET)
            assert (await read_all(reader, writer)).startswith(b"HTTP/1.1 200 ")
        assert await silent[-1][0].read() == b""
        assert await ask(port, GET) != b"", "there is room again for the first, too"
        for _, writer in silent:
            writer.transport.abort()

    serving(scenario)


def test_handshakes_that_do_not_begin_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(webserver, "MAX_CONNECTIONS", 2)
    write_credential(tmp_path, "gateway", GATEWAY)
    tls = server_context(tmp_path / "gateway.crt", tmp_path / "gateway.key")

    async def run() -> None:
        server = WebServer(("127.0.0.1", 0), respond, key="x.listen", tls=tls)
        await server.start()
        try:
            silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
            with pytest.raises(OSError):  # noqa: PT011 - reset or ended
                await asyncio.open_connection("127.0.0.1", server.port, ssl=unverified_context())
            for _, writer in silent:
                writer.transport.abort()
        finally:
            await server.close()

    asyncio.run(run())


def test_an_address_that_is_not_here_is_told_with_its_key() -> None:
    async def run() -> None:
        with pytest.raises(ConfigError, match="cannot listen on 192") as told:
            await WebServer(("192.0.2.1", 8080), respond, key="x.listen").start()
        assert told.value.key == "x.listen"

    asyncio.run(run())


def posted(limit: int, *parts: bytes) -> tuple[list[Heard], bytes]:
    """Return what the server heard of a request that comes in parts, and its answer."""
    heard: list[Heard] = []

    async def note(request: Heard) -> Answer:
        heard.append(request)
        return Answer(HTTPStatus.OK)

    async def run() -> bytes:
        server = WebServer(("127.0.0.1", 0), note, key="x.listen", body_limit=limit)
        await server.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.01)
            return await read_all(reader, writer)
        finally:
            await server.close()

    answer = asyncio.run(run())
    return heard, answer


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


def test_a_body_comes_whole_with_who_sent_it() -> None:
    heard, answer = posted(100, POST + b"X-Y: z\r\nContent-Length: 4\r\n\r\nbo", b"dy")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\ndate: " in answer
    assert (heard[0].body, heard[0].source, heard[0].certificate) == (b"body", "127.0.0.1", b"")
    assert (heard[0].header(b"x-y"), heard[0].header(b"x-z")) == ("z", "")


def test_who_waits_for_a_word_before_the_body_gets_it() -> None:
    expecting = POST + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    heard, answer = posted(100, expecting, b"body")
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 200 " in answer
    assert heard[0].body == b"body"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 11\r\n\r\n01234567890",
        b"Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890",
    ],
)
def test_a_body_that_is_too_long_is_refused(body: bytes) -> None:
    heard, answer = posted(10, POST + body)
    assert heard == []
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_without_a_limit_a_body_is_not_read() -> None:
    heard, answer = posted(0, POST + b"Content-Length: 4\r\n\r\nbody")
    assert heard[0].body == b""
    assert answer.startswith(b"HTTP/1.1 200 ")
