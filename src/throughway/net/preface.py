"""What comes before a connection's own bytes is looked at: a PROXY header, the offer of TLS.

A PROXY header is taken off the stream; a ClientHello is only peeked at, so that whoever serves the
connection finds it whole, with or without us.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

from throughway.model.errors import WireError
from throughway.proto.iphttps.hello import MAX_HELLO, Offer, judge_hello
from throughway.wire.proxy_protocol import MAX_V2, ProxyHeader, parse_proxy_header

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiting(Protocol):
    """Who is told; exactly one of the last two is called, once."""

    def spoken(self) -> None:
        """The first bytes are there."""

    def named(self, header: ProxyHeader) -> None:
        """The PROXY header was read."""

    def ready(self, offer: Offer) -> None:
        """The connection itself begins."""

    def failed(self, why: str) -> None:
        """There was no PROXY header; "": the peer has gone without a word."""


class Preface:
    """One connection, until it begins; the socket stays its maker's."""

    def __init__(self, sock: socket.socket, waiting: Waiting, *, header: bool, hello: bool) -> None:
        """``header``: there must be a PROXY header; ``hello``: the offer of TLS decides."""
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._waiting = waiting
        self._header, self._hello = header, hello
        self._taken = b""
        self._seen = 0
        self._step: Callable[[], None] = self._read_header if header else self._read_hello
        self._silent = True
        self._stopped = False

    def start(self) -> None:
        """Wait for the first bytes."""
        self._loop.add_reader(self._socket, self._on_readable)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self._loop.remove_reader(self._socket)

    def _on_readable(self) -> None:
        try:
            if self._silent:
                self._silent = False
                self._waiting.spoken()
            self._step()
        except (BlockingIOError, InterruptedError):
            return
        except (WireError, OSError) as error:
            self._fail(str(error))

    def _read_header(self) -> None:
        peeked = self._socket.recv(MAX_V2, socket.MSG_PEEK)
        if not peeked:
            self._fail("it ended within the header" if self._taken else "")
            return
        found = parse_proxy_header(self._taken + peeked)
        # Up to its end all of it is the header's.
        length = len(peeked) if found is None else found[1] - len(self._taken)
        self._taken += self._socket.recv(length)
        if found is None:
            return
        self._waiting.named(found[0])
        if self._stopped:  # it is one too many of that client
            return
        if self._hello:
            self._step = self._read_hello
            return
        self._finish(Offer.ENCRYPTION)

    def _read_hello(self) -> None:
        data = self._socket.recv(MAX_HELLO, socket.MSG_PEEK)
        offer = judge_hello(data)
        ended = len(data) <= self._seen
        if offer is Offer.UNFINISHED and not ended:
            self._seen = len(data)
            # Else these bytes, which stay where they are, would wake us without end.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)
            return
        if self._seen:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._finish(Offer.NULL_ONLY if offer is Offer.NULL_ONLY else Offer.ENCRYPTION)

    def _finish(self, offer: Offer) -> None:
        self.stop()
        self._waiting.ready(offer)

    def _fail(self, why: str) -> None:
        self.stop()
        self._waiting.failed(why)
