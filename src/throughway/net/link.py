"""The packet pump: one connection with or without TLS, in batches of contiguous bytes.

``ssl.SSLObject`` over ``MemoryBIO`` on a non-blocking socket: a write never has to be repeated
with the same bytes, and what one read brings is decrypted at once into a buffer which all
connections share. One batch is in flight: while ciphertext is unsent, the queue fills, and when
that is full packets are dropped, since a packet which waits for long is worth nothing.
"""

import asyncio
import contextlib
import errno
import fcntl
import math
import socket
import ssl
import struct
import termios
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from throughway.model.errors import Stage, TransportError
from throughway.net.tls import transport_error
from throughway.proto.iphttps.stream import cut_packets
from throughway.wire.ipv6 import HEADER_LENGTH, MAX_PACKET, VERSION

RECEIVE_SIZE = 256 * 1024
"""Bytes read from a socket at once: half of it costs a tenth more a byte, twice of it no less."""
RECORD_SIZE = 16 * 1024
"""Bytes of cleartext in one TLS record, at most."""
QUEUE_LIMIT = 256 * 1024
"""Bytes of packets which wait for a connection: 10 ms at 200 Mbit/s, 200 ms at 10 Mbit/s. It is of
bytes, and the device's own queue is kept empty, since that counts super-packets like small ones."""
THIN_AFTER = 0.1
"""Seconds that a queue may stand before a packet of it is dropped, so that a stream within the
tunnel hears that it is too fast; the next ones follow sooner and sooner (RFC 8289)."""
THIN_LEAST = 512
"""Bytes of a packet that is dropped for that; short ones are not what makes the queue."""
PIECE_OVERHEAD = 64
"""Bytes which a piece of the queue costs beside its own."""
FLUSH_SIZE = 64 * 1024
"""Bytes of the queue which become ciphertext at once: what is unsent then waits no longer."""
HELD_LIMIT = 64 * 1024 * 1024
"""Bytes which wait for all connections of a process together."""
SHARE = 8
"""A connection may hold one part in so many of what is free. The more connections hoard, the less
has each of them, and there is always room for one that does not."""
TAIL_LIMIT = 16 * 1024 * 1024
"""Bytes of unfinished packets, of those beyond :data:`LARGE_TAIL`; who needs more is ended."""
LARGE_TAIL = 4 * 1024
"""Bytes; no packet of a link whose MTU is 1280 leaves more."""
ANSWERS_LIMIT = 64 * 1024
"""Bytes that TLS wants to say by itself while nothing can be sent; a peer who asks for new keys
(RFC 8446, section 4.6.3) without end and reads nothing must not fill the memory."""
EMPTY_LIMIT = 48 * 1024
"""Bytes of TLS that brought no stream, as far as no stream has made up for them. A record that is
not whole yet has a third of it; asking for new keys takes 27, and costs us 80 microseconds: one
read full of that would hold up everybody for more than half a second, and the next one again."""
UNKNOWN_SIZE, KNOWN_AFTER = 32 * 1024, 1024 * 1024
"""Bytes read at once, until so many of the stream have come: what a stranger sends may be that."""
NOTSENT_LOWAT = 64 * 1024
"""Bytes in the kernel which the network has not taken; more of them would only be delay."""
USER_TIMEOUT = 20_000
"""Milliseconds without an acknowledgement before a connection is given up (RFC 5482)."""
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 15, 5, 3
"""Seconds of silence, seconds between probes, probes: also keeps NAT mappings alive."""
LINGER = 1.0
"""Seconds in which a peer may take what it was sent last, before the connection goes."""


_RTT = struct.Struct("=68xI")
"""Of Linux' tcp_info: tcpi_rtt, microseconds."""
_QUEUED = struct.Struct("=i")
_ACKED = struct.Struct("=120xQ")
"""Of the same: tcpi_bytes_acked."""


class Buffers:
    """The buffers which all connections of a process share.

    The memory BIOs as well: one of OpenSSL's never shrinks, so that each of its own would hold
    what its largest batch had. They are empty between two steps of a connection: TLS takes all
    ciphertext there is, an unfinished record too, and what it says is fetched at once.
    """

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.held = 0
        """Bytes that wait to be sent."""
        self.tails = 0
        """Bytes of large unfinished packets."""
        self.raw = memoryview(bytearray(RECEIVE_SIZE))
        # The unfinished packet of the last read, a whole read, and a record finished by it.
        self.stream = bytearray(MAX_PACKET + RECEIVE_SIZE + 2 * RECORD_SIZE)
        self.view = memoryview(self.stream)


class Handler(Protocol):
    """What a connection tells of itself."""

    def connection_ready(self) -> None:
        """The TLS handshake is done, or there is none."""

    def stream_received(self, buffers: Buffers, end: int) -> int:
        """Take ``buffers.stream[:end]``; return how many bytes of it are not wanted again."""

    def connection_lost(self, error: TransportError) -> None:
        """The connection is gone; nothing follows."""


class Connection:
    """Bytes of a stream, both ways, over one TCP connection."""

    __slots__ = (
        "_answers",
        "_buffers",
        "_closed",
        "_empty",
        "_ending",
        "_gone",
        "_handler",
        "_held",
        "_late",
        "_linger",
        "_loop",
        "_paused",
        "_queue",
        "_queued",
        "_server_name",
        "_server_side",
        "_socket",
        "_tail",
        "_thin_at",
        "_thinned",
        "_unsent",
        "_wanted",
        "bytes_in",
        "bytes_out",
        "on_gone",
        "on_spoken",
        "stage",
        "tls",
    )

    def __init__(
        self,
        sock: socket.socket,
        buffers: Buffers,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None,
        server_side: bool = False,
        server_name: str | None = None,
    ) -> None:
        self.bytes_in = 0
        """Of the stream, not of TLS."""
        self.bytes_out = 0
        self.stage = Stage.HTTP if tls is None else Stage.TLS
        self.tls: ssl.SSLObject | None = None
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._buffers = buffers
        self._handler = handler
        self._wanted, self._server_side, self._server_name = tls, server_side, server_name
        self._tail = b""
        self._unsent: bytes | memoryview = b""
        self._answers = 0
        """Bytes of :attr:`_unsent` that TLS has said by itself."""
        self._empty = 0
        """Of :data:`EMPTY_LIMIT`."""
        self._held = 0
        """What of :attr:`Buffers.held` is ours."""
        self._queue: list[bytes] = []
        self._queued = 0
        self._thin_at = 0.0
        """When a packet is dropped of a queue that still stands."""
        self._thinned = self._late = 0
        """Packets dropped of this queue; those which :meth:`send_packets` has not told yet."""
        self._ending = False
        self._closed = False
        self._paused = False
        self.on_gone: Callable[[Connection], object] | None = None
        """Called when the socket is closed, for whatever reason."""
        self.on_spoken: Callable[[], object] | None = None
        """Called once, when the first bytes come."""
        self._gone: asyncio.Event | None = None
        self._linger: asyncio.TimerHandle | None = None

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._closed

    @property
    def busy(self) -> bool:
        """Whether bytes are unsent."""
        return bool(self._unsent)

    @property
    def round_trip(self) -> float:
        """Seconds to the other end of the TCP connection and back, smoothed; 0.0: not known."""
        try:
            known = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size)
        except OSError:
            return 0.0
        return float(_RTT.unpack(known)[0]) / 1e6

    @property
    def acknowledged(self) -> int:
        """Octets of ours that the other end's kernel has taken so far."""
        try:
            known = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
        except OSError:
            return 0
        return int(_ACKED.unpack(known)[0])

    @property
    def sent(self) -> int:
        """Octets given to the kernel so far, counted as :attr:`acknowledged` is."""
        try:
            known = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(_QUEUED.size))
        except OSError:
            return 0
        return self.acknowledged + int(_QUEUED.unpack(known)[0])

    def start(self) -> None:
        """Begin to read, and with the handshake.

        A server makes its end of TLS when the peer has said something: whoever connects and
        is silent costs a socket.
        """
        self._loop.add_reader(self._socket, self._on_readable)
        if self._wanted is None:
            self._handler.connection_ready()
        elif not self._server_side:
            self._guarded(self._begin_tls)

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Send packets, or queue them behind what is unsent.

        They may lie in a buffer that changes afterwards. Returns how many pieces, the last ones,
        were dropped.
        """
        if self._closed or self._ending:
            return len(pieces)
        free = (HELD_LIMIT - self._buffers.held) // SHARE
        if not self._unsent and free >= QUEUE_LIMIT:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._guarded(partial(self._write, data))
            return 0
        fit, size, room = 0, self._queued, min(QUEUE_LIMIT, free)
        for piece in pieces:
            size += len(piece) + PIECE_OVERHEAD
            if size > room:
                break
            fit += 1
        if not self._unsent:
            self._guarded(partial(self._write, b"".join(pieces[:fit])))
        else:
            if not self._queue:
                self._thin_at, self._thinned = self._loop.time() + THIN_AFTER, 0
            self._queue += map(bytes, pieces[:fit])
            self._queued += sum(map(len, pieces[:fit])) + fit * PIECE_OVERHEAD
            self._account()
        return len(pieces) - fit

    def send_packets(self, stretches: Sequence[memoryview]) -> int:
        """Send stretches of whole packets, as :meth:`send`; return how many packets were dropped.

        What does not fit as a whole is looked at again packet by packet: a short one may pass.
        Those count as well that were dropped since the last call, because the queue stood.
        """
        late, self._late = self._late, 0
        left = self.send(stretches)
        if left:
            late += self.send([p for s in stretches[-left:] for p in cut_packets(s, 0, len(s))])
        return late

    def _account(self) -> None:
        """Say how much we hold, after each change."""
        unsent = self._unsent.obj if isinstance(self._unsent, memoryview) else self._unsent
        held = len(unsent) + self._queued if self._unsent else 0  # type: ignore[arg-type]
        self._buffers.held += held - self._held
        self._held = held

    def _keep(self, tail: memoryview) -> None:
        """Keep the begin of a packet until its rest comes."""
        before, after = len(self._tail), len(tail)
        self._tail = bytes(tail)
        if before > LARGE_TAIL or after > LARGE_TAIL:
            grown = after * (after > LARGE_TAIL) - before * (before > LARGE_TAIL)
            self._buffers.tails += grown
            if grown > 0 and self._buffers.tails > TAIL_LIMIT:
                raise ConnectionAbortedError(errno.ECONNABORTED, "too many unfinished packets")

    def finish(self) -> None:
        """Close when everything is sent; the handler hears no more."""
        if self._closed or self._ending:
            return
        self._ending = True
        self._linger = self._loop.call_later(LINGER, self.abort)
        if not self._unsent:
            self._guarded(self._say_goodbye)

    def abort(self) -> None:
        """Close at once; the handler hears no more."""
        if self._closed:
            return
        self._closed = True
        if self._gone is not None:
            self._gone.set()
        if self._linger is not None:
            self._linger.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._queue.clear()
        self._queued, self._unsent = 0, b""
        self._account()
        self._keep(memoryview(b""))
        if self.on_gone is not None:
            self.on_gone(self)

    def pause(self, seconds: float) -> None:
        """Read nothing for a while: the peer's own TCP then waits."""
        if not self._closed and not self._paused:
            self._paused = True
            self._loop.remove_reader(self._socket)
            self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._paused = False
        if not self._closed:
            self._loop.add_reader(self._socket, self._on_readable)

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if not self._closed:
            self._gone = self._gone or asyncio.Event()
            await self._gone.wait()

    def _on_readable(self) -> None:
        self._guarded(self._discard if self._ending else self._read)

    def _on_writable(self) -> None:
        self._guarded(self._flush)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something that may find the connection gone."""
        try:
            action()
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            return
        except OSError as error:  # ssl.SSLError is one
            told = transport_error(error, self.stage)
            told.__cause__ = error  # what it means to a server is another thing
            self._lose(told)

    def _read(self) -> None:
        """Read once, decrypt all of it, hand it over behind what was left of the last time."""
        stream, tail = self._buffers.view, self._tail
        end = len(tail)
        stream[:end] = tail
        if self._wanted is None:
            size = self._socket.recv_into(stream[end:], RECEIVE_SIZE)
            ended = not size
            self.bytes_in += size
            end += size
        else:
            end, ended = self._decrypt(end)
        if self.on_spoken is not None:
            spoken, self.on_spoken = self.on_spoken, None
            spoken()
        if end > len(tail) and not self._closed:
            consumed = self._handler.stream_received(self._buffers, end)
            if not self._closed:
                self._keep(stream[consumed:end])
        if ended and not self._closed and not self._ending:
            self._lose(
                TransportError(
                    self.stage,
                    "the other end closed the connection",
                    windows_code=0x2746,
                    problem="iphttps-connection-reset",
                )
            )

    def _decrypt(self, end: int) -> tuple[int, bool]:
        """Read from the socket; return the new end of the stream buffer, and whether it is all."""
        known, new = self.bytes_in > KNOWN_AFTER, self.stage is Stage.TLS
        size = self._socket.recv_into(self._buffers.raw, 0 if known else UNKNOWN_SIZE)
        if not size:
            return end, True
        stream, start = self._buffers.view, end
        incoming = self._buffers.incoming
        incoming.write(self._buffers.raw[:size])
        try:
            if self.stage is Stage.TLS:
                self._shake_hands()
            tls = self.tls
            assert tls is not None
            while not self._closed and len(stream) > end:
                got: int = tls.read(len(stream) - end, stream[end:])  # type: ignore[assignment]
                if not got:
                    return end, True
                end += got
        except ssl.SSLWantReadError:
            return end, False
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return end, True
        finally:
            self.bytes_in += end - start
            if incoming.pending:  # behind the end: nobody's, and the next one must not read it
                incoming.read()
            self._transmit()  # post-handshake messages may want an answer
            # Each packet is twice as long as a record's frame, or longer.
            self._empty = 0 if new else max(0, self._empty + size - 2 * (end - start))
            if self._empty > EMPTY_LIMIT:
                raise ConnectionAbortedError(errno.ECONNABORTED, "too much TLS without a stream")
        return end, False

    def _begin_tls(self) -> None:
        assert self._wanted is not None
        self.tls = self._wanted.wrap_bio(
            self._buffers.incoming,
            self._buffers.outgoing,
            server_side=self._server_side,
            server_hostname=self._server_name,
        )
        self._shake_hands()

    def _shake_hands(self) -> None:
        if self.tls is None:
            self._begin_tls()
            return
        try:
            self.tls.do_handshake()
        finally:
            self._transmit()  # on failure, the alert that tells the peer why
        self.stage = Stage.HTTP
        self._handler.connection_ready()

    def _write(self, data: bytes | memoryview) -> None:
        self.bytes_out += len(data)
        if self._wanted is None:
            self._put(data)
        elif self.tls is not None and data:
            try:
                self.tls.write(data)
            finally:
                self._transmit()

    def _transmit(self) -> None:
        """Send what TLS has produced."""
        outgoing = self._buffers.outgoing
        if outgoing.pending:
            self._put(outgoing.read())

    def _put(self, data: bytes | memoryview) -> None:
        if self._closed:
            return
        if self._unsent:
            # Packets wait in the queue: what comes here is TLS's own.
            self._answers += len(data)
            if self._answers > ANSWERS_LIMIT:
                raise ConnectionAbortedError(errno.ECONNABORTED, "too many TLS messages unread")
            self._unsent = b"".join((self._unsent, data))
            self._account()
            return
        self._answers = 0
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            # A view may be of a buffer which is used again before this is sent.
            self._unsent = bytes(memoryview(data)[sent:])
            self._account()
            self._loop.add_writer(self._socket, self._on_writable)

    def _flush(self) -> None:
        """Send what is unsent, then what was queued, then say that it is done."""
        self._unsent = memoryview(self._unsent)[self._socket.send(self._unsent) :]
        if self._unsent:
            return
        self._unsent = b""  # an empty view would hold all that was sent
        self._loop.remove_writer(self._socket)
        if self._queue and self._loop.time() >= self._thin_at:
            self._thin()
        while self._queue and not self._unsent:
            self._write(self._next_batch())
        self._account()
        if self._unsent:
            return
        if self._ending:
            self._say_goodbye()

    def _thin(self) -> None:
        """Drop the first packet of the queue, where that is a long one."""
        piece = self._queue[0]
        packet = len(piece) > HEADER_LENGTH and piece[0] >> 4 == VERSION  # else a head of HTTP
        size = HEADER_LENGTH + (piece[4] << 8 | piece[5]) if packet else 0
        if THIN_LEAST <= size <= len(piece):
            self._queue[0] = piece[size:]
            self._queued -= size
            self._late += 1
            self._thinned += 1
        self._thin_at = self._loop.time() + THIN_AFTER / math.sqrt(self._thinned or 1)

    def _next_batch(self) -> bytes:
        """Take from the queue what is sent at once."""
        count = size = 0
        for piece in self._queue:
            count += 1
            size += len(piece)
            if size >= FLUSH_SIZE:
                break
        batch = b"".join(self._queue[:count])
        del self._queue[:count]
        self._queued -= size + count * PIECE_OVERHEAD
        return batch

    def _say_goodbye(self) -> None:
        """End our half; what the peer still sends is read and forgotten, or we would reset."""
        if self.tls is not None and self.stage is not Stage.TLS:
            with contextlib.suppress(ssl.SSLError):
                self.tls.unwrap()
            self._transmit()
        if not self._unsent:
            self._socket.shutdown(socket.SHUT_WR)

    def _discard(self) -> None:
        if not self._socket.recv_into(self._buffers.raw):
            self.abort()

    def _lose(self, error: TransportError) -> None:
        told = not self._closed and not self._ending
        if told and self.stage is Stage.TLS:
            self._part()
        else:
            self.abort()
        if told:
            self._handler.connection_lost(error)

    def _part(self) -> None:
        """Let the peer read the alert that says why; a close with its bytes unread would reset."""
        self._ending = True
        self._linger = self._loop.call_later(LINGER, self.abort)
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()

    def local_address(self) -> str | None:
        """Return the address of our end, where it has one."""
        name = self._socket.getsockname() if not self._closed else None
        return name[0] if isinstance(name, tuple) else None


def tune(sock: socket.socket) -> None:
    """Set what every connection of a link needs."""
    sock.setblocking(False)
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # Small packets go at once: without it answers wait 40 ms for acknowledgements.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
