"""The pump, over socket pairs."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tests.net.iphttps_world import CORP, NAME, ROUTER, Authority, packet, wait_for
from tests.patience import PATIENCE
from throughway.model.errors import Stage, TransportError
from throughway.net import link as module
from throughway.net.link import (
    ANSWERS_LIMIT,
    EMPTY_LIMIT,
    FLUSH_SIZE,
    LARGE_TAIL,
    PIECE_OVERHEAD,
    QUEUE_LIMIT,
    RECEIVE_SIZE,
    SHARE,
    UNKNOWN_SIZE,
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
        self.error: TransportError | None = None

    def connection_ready(self) -> None:
        self.ready = True

    def stream_received(self, buffers: Buffers, end: int) -> int:
        whole = end - end % self.portion
        self.heard += buffers.view[:whole]
        return whole

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


OF_TLS = pytest.mark.parametrize("contexts", ["tls", "tls 1.2"], indirect=True)


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
        assert len(packets) - dropped == QUEUE_LIMIT // (1000 + PIECE_OVERHEAD)
        assert pair.near.send(packets[:1]) in (0, 1)
        pair.far._loop.add_reader(pair.far._socket, pair.far._on_readable)
        kept = b"".join(packets[: len(packets) - dropped])
        await wait_for(lambda: len(pair.far_ear.heard) >= 1_000_000 + len(kept))
        assert pair.far_ear.heard[1_000_000:] == kept
        await wait_for(lambda: not pair.near.busy)

    run(contexts, scenario)


def stop_reading(connection: Connection) -> None:
    asyncio.get_running_loop().remove_reader(connection._socket)


def read_again(connection: Connection) -> None:
    asyncio.get_running_loop().add_reader(connection._socket, connection._on_readable)


def test_what_waits_is_counted_and_given_back(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        buffers = pair.near._buffers
        stop_reading(pair.far)
        pair.near.send([bytes(100_000)])
        assert 0 < buffers.held <= 110_000
        pair.near.send([bytes(1000)] * 100)
        assert buffers.held == len(pair.near._unsent) + 100 * (1000 + PIECE_OVERHEAD)
        read_again(pair.far)
        await wait_for(lambda: len(pair.far_ear.heard) == 200_000)
        await wait_for(lambda: not pair.near.busy)
        assert buffers.held == 0
        assert pair.near._unsent == b""
        stop_reading(pair.far)
        pair.near.send([bytes(500_000), bytes(1000)])
        assert buffers.held
        pair.near.abort()
        assert buffers.held == 0

    run(contexts, scenario)


def test_of_a_long_queue_a_part_is_sent_at_once(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        stop_reading(pair.far)
        pair.near.send([bytes(30_000)])
        while not pair.near.busy:
            pair.near.send([bytes(30_000)])
        pair.near.send([bytes(1000)] * 200)
        first = len(pair.near._unsent)
        read_again(pair.far)
        await wait_for(lambda: len(pair.near._unsent) not in (0, first) or not pair.near._queue)
        assert len(pair.near._unsent) <= max(first, FLUSH_SIZE + 2000)
        await wait_for(lambda: not pair.near.busy)

    run(contexts, scenario)


def packets_of(sizes: list[int]) -> list[bytes]:
    return [packet(CORP, ROUTER, bytes([n]) * (size - 40)) for n, size in enumerate(sizes)]


def sent_through_a_standing_queue(
    contexts: Contexts, before: bytes, pieces: list[bytes]
) -> tuple[bytes, int]:
    """Return what arrives of pieces that had to wait too long, and how many packets were told."""
    outcome: list[tuple[bytes, int]] = []

    async def scenario(pair: Pair) -> None:
        await pair.open()
        pair.far_ear.portion = 1
        stop_reading(pair.far)
        pair.near.send([before])
        assert pair.near.busy
        assert pair.near.send(pieces) == 0
        read_again(pair.far)
        await wait_for(lambda: not pair.near.busy)
        told = pair.near.send_packets([memoryview(packets_of([60])[0])])
        end = packets_of([60])[0]
        await wait_for(lambda: pair.far_ear.heard.endswith(end))
        heard = bytes(pair.far_ear.heard[len(before) : -len(end)])
        assert pair.near._buffers.held == 0
        outcome.append((heard, told))

    run(contexts, scenario)
    return outcome[0]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a queue have stood too long at once."""
    monkeypatch.setattr(module, "THIN_AFTER", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_queue_that_stands_loses_a_long_packet_at_its_head(contexts: Contexts) -> None:
    made = packets_of([1200] * 60)
    heard, told = sent_through_a_standing_queue(contexts, bytes(500_000), [b"".join(made)])
    assert told >= 1
    assert heard == b"".join(made[told:]), "whole packets go, from the front"


@pytest.mark.usefixtures("impatient")
def test_short_packets_and_heads_of_http_stay(contexts: Contexts) -> None:
    short = packets_of([100] * 60)
    assert sent_through_a_standing_queue(contexts, bytes(500_000), short) == (b"".join(short), 0)
    head = [b"HTTP/1.1 200 OK\r\n" + bytes(2000)]
    assert sent_through_a_standing_queue(contexts, bytes(500_000), head) == (head[0], 0)


def test_a_queue_that_is_only_passed_through_loses_nothing(
    contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "THIN_AFTER", 60.0)
    made = packets_of([1200] * 60)
    assert sent_through_a_standing_queue(contexts, bytes(200_000), made) == (b"".join(made), 0)


async def hoarders(
    contexts: Contexts, count: int
) -> tuple[Buffers, list[tuple[Connection, Connection]]]:
    """Return so many connections, with the ends that read nothing."""
    buffers, pairs = Buffers(), []
    for _ in range(count):
        sockets = socket.socketpair()
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            tune(sock)
        ears = Ear(), Ear()
        client, server = contexts
        name = NAME if client else None
        far = Connection(sockets[0], buffers, ears[0], tls=client, server_name=name)
        near = Connection(sockets[1], buffers, ears[1], tls=server, server_side=True)
        near.start()
        far.start()
        await wait_for(lambda ears=ears: all(ear.ready for ear in ears))  # type: ignore[misc]
        stop_reading(far)
        pairs.append((near, far))
    return buffers, pairs


def test_hoarders_share_a_budget_and_leave_room_for_others(
    contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 1_000_000
    monkeypatch.setattr(module, "HELD_LIMIT", limit)

    async def scenario() -> None:
        buffers, pairs = await hoarders(contexts, 40)
        try:
            for _ in range(400):
                for near, _ in pairs[:-1]:
                    near.send([bytes(1000)] * 10)
                    assert buffers.held <= limit
            assert buffers.held > limit // 2, "it is used"
            most = max(near._held for near, _ in pairs)
            assert most < 3 * limit / len(pairs), "no one has much more than its part"
            last, _ = pairs[-1]
            assert last.send([bytes(1000)]) == 0
            assert (limit - buffers.held) // SHARE > 1000
        finally:
            for pair in pairs:
                for end in pair:
                    end.abort()
        assert buffers.held == 0

    asyncio.run(scenario())


def test_unfinished_packets_are_bounded(
    contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TAIL_LIMIT", 10_000)

    async def scenario(pair: Pair) -> None:
        pair.far_ear.portion = 60_000
        await pair.open()
        buffers = pair.far._buffers
        pair.near.send([bytes(LARGE_TAIL)])
        await wait_for(lambda: len(pair.far._tail) == LARGE_TAIL)
        assert buffers.tails == 0
        pair.near.send([bytes(2000)])
        await wait_for(lambda: buffers.tails == LARGE_TAIL + 2000)
        assert pair.far_ear.error is None
        pair.near.send([bytes(5000)])
        await wait_for(lambda: pair.far_ear.error)
        assert buffers.tails == 0

    run(contexts, scenario)


@OF_TLS
def test_who_connects_and_is_silent_has_no_tls(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        spoke: list[bool] = []
        pair.far.on_spoken = lambda: spoke.append(True)
        pair.far.start()
        await asyncio.sleep(0)
        assert pair.far.tls is None
        assert spoke == []
        pair.near.start()
        await wait_for(lambda: pair.near_ear.ready and pair.far_ear.ready)
        assert pair.far.tls is not None
        pair.near.send([b"0123456789"])
        await wait_for(lambda: pair.far_ear.heard)
        assert spoke == [True]

    run(contexts, scenario)


def test_connections_do_not_meet_in_what_they_share(contexts: Contexts) -> None:
    """Many at once, their records and packets cut anywhere, one that ends in the middle."""

    async def scenario() -> None:
        buffers, pairs = Buffers(), []
        client, server = contexts
        for _ in range(8):
            ends = [socket.socketpair() for _ in range(2)]
            for sock in (*ends[0], *ends[1]):
                tune(sock)
            ears = Ear(), Ear()
            near = Connection(
                ends[0][0], buffers, ears[0], tls=client, server_name=NAME if client else None
            )
            far = Connection(ends[1][0], buffers, ears[1], tls=server, server_side=True)
            pairs.append((near, far, ears, ends[0][1], ends[1][1]))
        for near, far, *_ in pairs:
            far.start()
            near.start()

        async def relay(size: int) -> None:
            """Carry some bytes of each, so that all are in the middle of something."""
            for _, _, _, one, other in pairs:
                for source, target in ((one, other), (other, one)):
                    with contextlib.suppress(BlockingIOError, OSError):
                        target.send(source.recv(size))
            await asyncio.sleep(0)

        try:
            while not all(ear.ready for *_, ears, _, _ in pairs for ear in ears):
                await relay(37)
            for number, (near, far, *_) in enumerate(pairs):
                near.send([bytes((number,)) * 5000])
                far.send([bytes((number + 100,)) * 5000])
            for _ in range(30):
                await relay(37)
            pairs[3][0].abort()
            rest = [pair for pair in pairs if pair is not pairs[3]]
            while not all(len(ear.heard) == 5000 for *_, ears, _, _ in rest for ear in ears):
                assert not any(ear.error for *_, ears, _, _ in rest for ear in ears)
                await relay(701)
            for number, (_, _, ears, _, _) in enumerate(pairs):
                if number != 3:
                    assert ears[1].heard == bytes((number,)) * 5000
                    assert ears[0].heard == bytes((number + 100,)) * 5000
        finally:
            for near, far, _, *sockets in pairs:
                near.abort()
                far.abort()
                for sock in sockets:
                    sock.close()

    asyncio.run(scenario())


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
        await asyncio.wait_for(pair.near.wait_closed(), timeout=PATIENCE)
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
        await asyncio.wait_for(pair.near.wait_closed(), timeout=PATIENCE)
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


class Mute:
    """TLS whose records hold nothing of the stream, such as those which ask for new keys."""

    def __init__(self, incoming: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self.largest = 0

    def read(self, _length: int, _buffer: memoryview) -> bytes:
        self.largest = max(self.largest, len(self._incoming.read()))
        raise ssl.SSLWantReadError


@OF_TLS
def test_a_flood_of_tls_without_a_stream_is_ended(contexts: Contexts) -> None:
    """Each of those records costs as much as a hundred packets."""

    async def scenario(pair: Pair) -> None:
        await pair.open()
        mute = Mute(pair.far._buffers.incoming)
        pair.far.tls = mute  # type: ignore[assignment]
        while pair.far_ear.error is None:
            assert pair.near.bytes_out < 4 * EMPTY_LIMIT, "it goes on and on"
            pair.near.send([bytes(10_000)])
            await asyncio.sleep(0)
        assert pair.far.closed
        assert 0 < mute.largest <= UNKNOWN_SIZE, "nor is much of it taken at once"

    run(contexts, scenario)


def test_single_packets_in_records_of_their_own_are_a_stream(contexts: Contexts) -> None:
    async def scenario(pair: Pair) -> None:
        await pair.open()
        count = EMPTY_LIMIT // 30
        for _ in range(count):
            pair.near.send([b"0123456789" * 4])
            await asyncio.sleep(0)
        await wait_for(lambda: len(pair.far_ear.heard) == 40 * count)
        assert pair.far_ear.error is None

    run(contexts, scenario)


@OF_TLS
def test_what_tls_says_by_itself_is_bounded(contexts: Contexts) -> None:
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
