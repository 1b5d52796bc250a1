"""A small web server for the few things that our daemons give out: one request, one answer."""

import asyncio
import os
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http import HTTPStatus

import h11

from throughway.model.errors import ConfigError
from throughway.net.listeners import source_of

HEAD_LIMIT = 8 * 1024
"""Bytes of a request's head; a client of ours sends a few hundred."""
REQUEST_TIMEOUT = 10.0
"""Seconds for the whole exchange: answers are small, and inside the network is near."""
MAX_CONNECTIONS = 64
"""At once, TLS handshakes among them; more are closed unheard, and their clients come again."""
BACKLOG = 100
ACCEPT_PAUSE = 0.5
"""Seconds without accepting when the process has no more file descriptors."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent for a request; without the body where the method was HEAD."""

    status: HTTPStatus
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def plain(status: HTTPStatus, text: str, **headers: str) -> Answer:
    """Return an answer for people; ``retry_after="60"`` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = f"{text}\n".encode("ascii", "replace")
    return Answer(status, named | {"content-type": "text/plain"}, body)


@dataclass(frozen=True, slots=True)
class Heard:
    """A whole request, and who sent it."""

    request: h11.Request
    body: bytes = b""
    source: str = ""
    """The address it came from."""
    certificate: bytes = b""
    """DER of the certificate that the client has shown and proven, if it has."""

    def header(self, name: bytes) -> str:
        """Return a header field, "" where there is none."""
        return dict(self.request.headers).get(name, b"").decode("latin-1")


class WebServer:
    """Listens on one address and lets ``respond`` answer."""

    def __init__(
        self,
        address: tuple[str, int] | socket.socket,
        respond: Callable[[Heard], Awaitable[Answer]],
        *,
        key: str,
        tls: ssl.SSLContext | None = None,
        body_limit: int = 0,
        seconds: float | None = None,
    ) -> None:
        """``key`` is the address's name in the configuration, for errors.

        The address may be a socket that somebody with more rights has bound; it is closed with
        the server. Of a request's body at most ``body_limit`` bytes are taken. ``seconds`` is for
        the whole exchange, where somebody else has to be asked.
        """
        self._address = address
        self._respond = respond
        self._key = key
        self._tls = tls
        self._body_limit = body_limit
        self._seconds = seconds
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: dict[asyncio.Task[None], str] = {}
        """With their sources."""

    @property
    def port(self) -> int:
        """The port on which it listens."""
        assert self._listener is not None
        port: int = self._listener.getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when the address cannot be had."""
        listener = self._address
        if not isinstance(listener, socket.socket):
            listener = self._listen(*listener)
        listener.setblocking(False)
        self._listener = listener
        self._accepting = asyncio.get_running_loop().create_task(self._accept_forever(listener))

    def _listen(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            why = f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}"
            raise ConfigError("", self._key, why) from error

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        accepting, self._accepting = self._accepting, None
        tasks = [*self._connections, *((accepting,) if accepting is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _accept_forever(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except ConnectionAbortedError:
                continue
            except OSError:  # no more file descriptors: the kernel keeps the others meanwhile
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            source = source_of(peer[0])
            if not self._has_room(source):
                sock.close()
                continue
            task = loop.create_task(self._serve(sock))
            self._connections[task] = source
            task.add_done_callback(partial(self._ended, sock))

    def _ended(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        sock.close()  # one that made room at once had not begun

    def _has_room(self, source: str) -> bool:
        """Make room for one more; who has the most gives it to who has fewer, if anybody does."""
        if len(self._connections) < MAX_CONNECTIONS:
            return True
        held = Counter(self._connections.values())
        heaviest, most = held.most_common(1)[0]
        if held[source] + 1 >= most:
            return False
        newest = next(t for t, s in reversed(self._connections.items()) if s == heaviest)
        newest.cancel()
        del self._connections[newest]
        return True

    async def _serve(self, sock: socket.socket) -> None:
        """One connection: TLS, one request, one answer, the end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            async with asyncio.timeout(self._seconds or REQUEST_TIMEOUT):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, sock, ssl=self._tls
                )
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
                try:
                    await self._answer(reader, writer)
                finally:
                    transport.abort()
        except (OSError, TimeoutError):
            pass  # the client is gone or too slow; it will come again

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await self._exchange(reader, writer))
        await writer.drain()
        if not writer.can_write_eof():
            writer.close()  # TLS says the end by a message of its own
            await writer.wait_closed()
            return
        writer.write_eof()
        # Closing with something unread would reset the connection under the answer.
        while await reader.read(HEAD_LIMIT):
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        try:
            event = await _next(connection, reader)
            if not isinstance(event, h11.Request):
                return b""
            body = await _read_body(connection, reader, writer, self._body_limit)
        except h11.RemoteProtocolError as error:
            return _send(connection, plain(HTTPStatus(error.error_status_hint), str(error)))
        if body is None:
            return _send(connection, plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long"))
        tls = writer.get_extra_info("ssl_object")
        heard = Heard(
            event,
            body,
            source=str((writer.get_extra_info("peername") or ("",))[0]),
            certificate=(tls.getpeercert(binary_form=True) or b"") if tls else b"",
        )
        return _send(connection, await self._respond(heard), bare=event.method == b"HEAD")


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(HEAD_LIMIT))
    return event


async def _read_body(
    connection: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    limit: int,
) -> bytes | None:
    """Return the body, None when it is longer than ``limit``; without a limit it is not read."""
    body = bytearray()
    if limit and connection.they_are_waiting_for_100_continue:
        go_on = h11.InformationalResponse(status_code=100, headers=[])
        writer.write(connection.send(go_on) or b"")
    while limit:
        event = await _next(connection, reader)
        if not isinstance(event, h11.Data):
            break
        body += event.data
        if len(body) > limit:
            return None
    return bytes(body)


def _send(connection: h11.Connection, answer: Answer, *, bare: bool = False) -> bytes:
    """Return the whole response, as far as the connection still takes one."""
    if connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return b""
    headers = {"date": formatdate(usegmt=True)} | answer.headers | {"connection": "close"}
    if answer.status is not HTTPStatus.NOT_MODIFIED:
        headers["content-length"] = str(len(answer.body))
    response = h11.Response(
        status_code=answer.status, headers=list(headers.items()), reason=answer.status.phrase
    )
    head = connection.send(response) or b""
    return head if bare else head + answer.body
