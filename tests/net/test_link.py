"""The pump, over socket pairs."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tests.net.iphttps_world import NAME, Authority, wait_for
from throughway.model.errors import Stage, TransportError
from throughway.net import link as module
from throughway.net.link import (
    ANSWERS_LIMIT,
    QUEUE_LIMIT,
    RECEIVE_SIZE,
    Buffers,
    Connection,
    tune,
)
from throughway.net.tls import client_context, server_context


class Ear:
    """A handler that keeps what it hears, in portions of whole ten bytes."""

    def __init__(self) -> None:
        self.ready = False
        self.heard = bytearray()
        self.portion = 10
        self.drained = 0
        self.error: TransportError | None = None

    def connection_ready(self) -> None:
        self.ready = True

    def stream_received(self, buffers: Buffers, end: int) -> int:
        whole = end - end % self.portion
        self.heard += buffers.view[:whole]
        return whole

    def stream_drained(self) -> None:
        self.drained += 1

    def connection_lost(self, error: TransportError) -> None:
        assert self.error is None
        self.error = error


class Pair:
    """Two connections, end to end."""

    def __init__(self, contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None]) -> None:
        sockets = socket.socketpair()
        buffers = Buffers()
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
            tune(sock)
        self.near_ear, self.far_ear = Ear(), Ear()
        client, server = contexts
        self.near = Connection(
            sockets[0], buffers, self.near_ear, tls=client, server_name=NAME if client else None
        )
        self.far = Connection(sockets[1], buffers, self.far_ear, tls=server, server_side=True)

    async def open(self) -> None:
        self.far.start()
        self.near.start()
        await wait_for(lambda: self.near_ear.ready and self.far_ear.ready)

    def close(self) -> None:
        self.near.abort()
        self.far.abort()


@pytest.fixture(params=["plain", "tls", "tls 1.2"])
def contexts(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    if request.param == "plain":
        return None, None
    authority = Authority(tmp_path)
    pair = authority.issue(NAME)
    server = server_context(pair.certificate, pair.key)
    if request.param == "tls 1.2":
        server.maximum_version = ssl.TLSVersion.TLSv1_2
    return client_context(anchors=[authority.root.pem], system=False), server


Contexts = tuple[ssl.SSLContext | None, ssl.SSLContext | None]


def run(contexts: Contexts, scenario: Callable[[Pair], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        pair = Pair(contexts)
        try:
            await scenario(pair)
        finally:
            pair.close()

    asyncio.run(whole())


def test_bytes_cross_both_ways(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        assert pair.near.send([b"0123456789", b"abc"]) == 0
        assert pair.far.send([b"x" * 10]) == 0
        await wait_for(lambda: pair.far_ear.heard and pair.near_ear.heard)
        assert pair.far_ear.heard == b"0123456789"  # the tail waits for its rest
        pair.near.send([b"defghij"])
        await wait_for(lambda: len(pair.far_ear.heard) == 20)
        assert pair.far_ear.heard == b"0123456789abcdefghij"
        assert pair.near.bytes_out == pair.far.bytes_in == 20
        assert pair.far.bytes_out == pair.near.bytes_in == 10

    run(contexts, scenario)


def test_a_stream_larger_than_every_buffer_arrives_whole(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        pair.far_ear.portion = 60_000  # long tails
        await pair.open()
        sent = bytearray()
        for number in range(60):
            batch = bytes((number,)) * 60_000
            await wait_for(lambda: not pair.near.busy)
            assert pair.near.send([batch]) == 0
            sent += batch
        await wait_for(lambda: len(pair.far_ear.heard) == len(sent))
        assert pair.far_ear.heard == sent

    run(contexts, scenario)


def test_the_queue_is_bounded_and_drops_the_newest(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        pair.far._loop.remove_reader(pair.far._socket)  # a peer that does not read
        packets = [bytes((n % 256,)) * 1000 for n in range(2000)]
        pair.near.send([bytes(1_000_000)])
        assert pair.near.busy
        dropped = pair.near.send(packets)
        assert len(packets) - dropped == QUEUE_LIMIT // 1000
        assert pair.near.send(packets[:1]) in (0, 1)
        assert pair.near_ear.drained == 0
        pair.far._loop.add_reader(pair.far._socket, pair.far._on_readable)
        kept = b"".join(packets[: len(packets) - dropped])
        await wait_for(lambda: len(pair.far_ear.heard) >= 1_000_000 + len(kept))
        assert pair.far_ear.heard[1_000_000:] == kept
        await wait_for(lambda: pair.near_ear.drained)
        assert not pair.near.busy

    run(contexts, scenario)


def test_an_end_after_everything_was_sent(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        pair.near.send([b"last words" * 20_000])
        pair.near.finish()
        assert pair.near.send([b"too late"]) == 1
        await wait_for(lambda: pair.far_ear.error)
        assert pair.far_ear.heard == b"last words" * 20_000
        assert pair.far_ear.error is not None
        assert pair.far_ear.error.windows_code == 0x2746
        assert pair.far.closed
        await asyncio.wait_for(pair.near.wait_closed(), timeout=5)
        assert pair.near_ear.error is None  # it was our own wish

    run(contexts, scenario)


def test_a_peer_that_stays_is_left(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER", 0.02)

    async def scenario(pair: Pair) -> None:
        await pair.open()
        gone: list[Connection] = []
        pair.near.on_gone = gone.append
        pair.far._loop.remove_reader(pair.far._socket)
        pair.near.finish()
        pair.near.finish()
        await asyncio.wait_for(pair.near.wait_closed(), timeout=5)
        assert gone == [pair.near]

    run(contexts, scenario)


def test_a_reset_is_the_end(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        pair.near.abort()
        pair.near.abort()
        await wait_for(lambda: pair.far_ear.error)
        assert pair.far.send([b"x"]) == 1

    run(contexts, scenario)


def test_no_tls_where_tls_is_wanted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue(NAME)

    async def scenario(both: Pair) -> None:
        both.far.start()
        both.near.start()
        both.near.send([b"POST / HTTP/1.1\r\n\r\n"])
        await wait_for(lambda: both.far_ear.error)
        assert both.far_ear.error is not None
        assert both.far_ear.error.stage is Stage.TLS
        assert not both.far_ear.ready

    run((None, server_context(pair.certificate, pair.key)), scenario)


def test_a_refused_handshake_tells_the_other_end_why(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue(NAME)
    server = server_context(pair.certificate, pair.key, client_ca=authority.root.certificate)
    client = client_context(anchors=[authority.root.pem], system=False)

    async def scenario(both: Pair) -> None:
        both.far.start()
        both.near.start()
        await wait_for(lambda: both.near_ear.error and both.far_ear.error)
        assert both.near_ear.error is not None
        assert both.near_ear.error.problem == "iphttps-client-cert-required"

    run((client, server), scenario)


def test_sockets_are_tuned() -> None:
    with socket.socket() as sock:
        tune(sock)
        assert sock.gettimeout() == 0
        for option, value in (
            (socket.TCP_NODELAY, 1),
            (socket.TCP_NOTSENT_LOWAT, module.NOTSENT_LOWAT),
            (socket.TCP_USER_TIMEOUT, module.USER_TIMEOUT),
        ):
            assert sock.getsockopt(socket.IPPROTO_TCP, option) == value
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


class Chatty:
    """TLS which has something to say of its own whenever it reads, as after a KeyUpdate."""

    def __init__(self, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
        self._tls = tls
        self._outgoing = outgoing

    def read(self, length: int, buffer: memoryview) -> bytes:
        self._outgoing.write(bytes(1000))
        return self._tls.read(length, buffer)

    def write(self, data: bytes) -> int:
        return self._tls.write(data)


def test_what_tls_says_by_itself_is_bounded(contexts: Contexts) -> None:
    if contexts == (None, None):
        pytest.skip("about TLS")

    async def scenario(pair: Pair) -> None:
        await pair.open()
        far = pair.far
        assert far.tls is not None
        far.tls = Chatty(far.tls, far._buffers.outgoing)  # type: ignore[assignment]
        asyncio.get_running_loop().remove_reader(pair.near._socket)
        far.send([bytes(RECEIVE_SIZE)])
        assert far.busy
        while pair.far_ear.error is None:
            assert pair.near.bytes_out < 100 * ANSWERS_LIMIT // 1000, "it grows and grows"
            pair.near.send([b"0123456789"])
            await wait_for(lambda: far.closed or far.bytes_in == pair.near.bytes_out)
        assert pair.far_ear.error.windows_code == 0x2746
        assert far.closed

    run(contexts, scenario)
