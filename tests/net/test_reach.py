"""Hosts that answer, hosts that do not, and what is said of either."""

import asyncio
import contextlib
import socket
import time
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import cast

import pytest

from tests.patience import PATIENCE
from tests.wire.test_kerberos import error
from tests.wire.test_smb import answer
from throughway.model.errors import TransportError
from throughway.net import reach
from throughway.wire.dns import (
    FORMERR,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    TYPE_SOA,
    build_refusal,
    labels_of,
    parse_message,
)

HERE = ("127.0.0.1",)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers here answers, however busy the machine is."""
    monkeypatch.setattr(reach, "TRY_TIME", PATIENCE)
    monkeypatch.setattr(reach, "KDC_TIMES", (PATIENCE,))
    monkeypatch.setattr(reach, "DNS_TIMES", (PATIENCE,))
    monkeypatch.setattr(reach, "PAUSE", 0.0)


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    served: list[asyncio.Task[None] | None] = []

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(whole, HERE[0], 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*(task for task in served if task), return_exceptions=True)


def says(*answers: bytes) -> Serve:
    """Answer each connection with the next of these, the last one again and again."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return serve


def http(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode()


def smb(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def web(*answers: bytes) -> str:
    async def scenario() -> str:
        async with serving(says(*answers)) as port:
            return await reach.web(f"http://app1.corp.example.com:{port}/", HERE)

    return asyncio.run(scenario())


def files(*answers: bytes) -> str:
    async def scenario() -> str:
        async with serving(says(*answers)) as port:
            return await reach.file_server("files.corp.example.com", port, HERE)

    return asyncio.run(scenario())


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "401 Unauthorized", "404 Not Found"])
def test_a_web_server_answers_whatever_it_wants_of_a_user(status: str) -> None:
    assert web(http(status)) == f"answers {status}"


def test_a_web_server_that_cannot_do_its_work() -> None:
    with pytest.raises(TransportError, match="answers 502 Bad Gateway"):
        web(http("502 Bad Gateway"))


def test_once_is_not_enough_to_be_believed() -> None:
    assert web(http("503 Service Unavailable"), http("200 OK")) == "answers 200 OK"


def test_a_web_server_that_is_stopped() -> None:
    async def scenario() -> None:
        async with serving(says(b"")) as port:
            pass
        await reach.web(f"http://app1.corp.example.com:{port}/", HERE)

    with pytest.raises(TransportError, match="refused"):
        asyncio.run(scenario())


def test_a_server_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "TRY_TIME", 0.05)
    connections = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.read()

    async def scenario() -> None:
        async with serving(silent) as port:
            await reach.file_server("files.corp.example.com", port, HERE)

    with pytest.raises(TransportError, match="no answer"):
        asyncio.run(scenario())
    assert len(connections) <= reach.TRIES


def test_a_file_server_says_what_it_speaks() -> None:
    assert files(smb(answer(dialect=0x0311))) == "speaks SMB 3.1"
    assert files(smb(answer(status=0xC00000BB))) == "answers with status 0xc00000bb"


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", smb(answer(flags=0))])
def test_who_speaks_no_smb_is_no_file_server(data: bytes) -> None:
    with pytest.raises(TransportError):
        files(data)


@pytest.mark.lab
def test_a_host_that_can_be_pinged() -> None:
    assert asyncio.run(reach.ping("::1")).startswith("answers after ")


class KDC(asyncio.DatagramProtocol):
    """Answers every datagram with one reply."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._reply:
            self._transport.sendto(self._reply, addr)


def ahead(monkeypatch: pytest.MonkeyPatch, reply: bytes) -> float:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: KDC(reply), local_addr=(HERE[0], 0)
        )
        monkeypatch.setattr(reach, "KERBEROS", transport.get_extra_info("sockname")[1])
        try:
            return await reach.kdc(HERE[0], "CORP.EXAMPLE.COM")
        finally:
            transport.close()

    return asyncio.run(scenario())


def test_a_kdc_tells_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = datetime.fromtimestamp(time.time() + 600, UTC)
    reply = error(time=f"{theirs:%Y%m%d%H%M%SZ}".encode())
    assert abs(ahead(monkeypatch, reply) - 600) < PATIENCE


def test_a_kdc_that_speaks_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransportError):
        ahead(monkeypatch, b"no KRB-ERROR")


def test_a_kdc_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "KDC_TIMES", (0.01, 0.01))
    with pytest.raises(TransportError, match="no answer on port 88"):
        ahead(monkeypatch, b"")


def test_who_takes_connections() -> None:
    async def scenario() -> tuple[bool, bool]:
        async with serving(says(b"")) as port:
            open_ = await reach.takes_connections(HERE[0], port)
        return open_, await reach.takes_connections(HERE[0], port)

    assert asyncio.run(scenario()) == (True, False)


class DNSServer(asyncio.DatagramProtocol):
    """Answers every question with a code, under the number that it came with."""

    def __init__(self, rcode: int) -> None:
        self.rcode = rcode
        self.asked: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        self.transport.sendto(b"\xff\xff" + data[2:], addr)  # somebody else's answer
        self.transport.sendto(build_refusal(data, self.rcode) or b"", addr)


def asked_for_names(rcode: int, ask: Callable[[int], Awaitable[object]]) -> bytes:
    """Ask a server that answers with a code; return the question."""

    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: DNSServer(rcode), local_addr=(HERE[0], 0)
        )
        try:
            await ask(transport.get_extra_info("sockname")[1])
        finally:
            transport.close()
            await asyncio.sleep(0)
        return server.asked[0]

    return asyncio.run(scenario())


@pytest.mark.parametrize("rcode", [NOERROR, NXDOMAIN])
def test_a_dns_server_that_can_do_its_work(rcode: int) -> None:
    query = asked_for_names(rcode, lambda port: reach.dns(HERE[0], "corp.example.com", port))
    question = parse_message(query).question
    assert (question.labels, question.type) == (labels_of("corp.example.com"), TYPE_SOA)


@pytest.mark.parametrize(("rcode", "knows"), [(NOERROR, True), (NXDOMAIN, False)])
def test_whether_a_dns_server_knows_a_zone(rcode: int, knows: bool) -> None:
    async def ask(port: int) -> None:
        assert await reach.dns(HERE[0], "corp.example.com", port) is knows

    asked_for_names(rcode, ask)


def test_who_asks_again_asks_from_where_he_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket keeps the address of when it was made, and no answer comes where that is gone."""
    answer, connect = DNSServer.datagram_received, BaseSelectorEventLoop.sock_connect
    sockets: list[int] = []

    def of_another_socket(server: DNSServer, data: bytes, addr: tuple[str, int]) -> None:
        if len(sockets) > 1:
            answer(server, data, addr)

    async def counted(loop: BaseSelectorEventLoop, sock: socket.socket, address: object) -> None:
        sockets.append(sock.fileno())
        await connect(loop, sock, address)  # type: ignore[arg-type]

    monkeypatch.setattr(DNSServer, "datagram_received", of_another_socket)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", counted)
    monkeypatch.setattr(reach, "DNS_TIMES", (0.01, PATIENCE))
    asked_for_names(NOERROR, lambda port: reach.dns(HERE[0], "corp.example.com", port))
    assert len(sockets) == 2


def test_a_dns_server_that_cannot() -> None:
    with pytest.raises(TransportError, match="answers SERVFAIL"):
        asked_for_names(SERVFAIL, lambda port: reach.dns(HERE[0], ".", port))


@pytest.mark.parametrize("rcode", [FORMERR, REFUSED])
def test_a_dns_server_that_takes_no_question_for_the_root(rcode: int) -> None:
    asked_for_names(rcode, lambda port: reach.dns(HERE[0], ".", port))
    with pytest.raises(TransportError, match=r"answers (FORMERR|REFUSED)"):
        asked_for_names(rcode, lambda port: reach.dns(HERE[0], "corp.example.com", port))


def test_a_resolver_that_refuses_is_there() -> None:
    query = asked_for_names(NOTIMP, lambda port: reach.resolver(HERE[0], port))
    assert parse_message(query).opcode == 2


def test_a_resolver_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "DNS_TIMES", (0.01,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE[0], 0))  # held, and nobody reads
        port = sock.getsockname()[1]
        with pytest.raises(TransportError, match="no answer"):
            asyncio.run(reach.resolver(HERE[0], port))
