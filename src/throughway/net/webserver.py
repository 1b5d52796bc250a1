"""A small web server for the few things that our daemons give out: one request, one answer."""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import h11

from throughway.model.errors import ConfigError

HEAD_LIMIT = 8 * 1024
"""Bytes of a request's head; a client of ours sends a few hundred."""
REQUEST_TIMEOUT = 10.0
"""Seconds for the whole exchange: answers are small, and inside the network is near."""
MAX_CONNECTIONS = 64
"""At once; more are closed unheard, and their clients come again."""


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
    ) -> None:
        """``key`` is the address's name in the configuration, for errors.

        The address may be a socket that somebody with more rights has bound; it is closed with
        the server. Of a request's body at most ``body_limit`` bytes are taken.
        """
        self._address = address
        self._respond = respond
        self._key = key
        self._tls = tls
        self._body_limit = body_limit
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when the address cannot be had."""
        patience = REQUEST_TIMEOUT if self._tls else None
        if isinstance(self._address, socket.socket):
            self._server = await asyncio.start_server(
                self._accept,
                sock=self._address,
                limit=HEAD_LIMIT,
                ssl=self._tls,
                ssl_handshake_timeout=patience,
            )
            return
        host, port = self._address
        try:
            self._server = await asyncio.start_server(
                self._accept,
                *(host, port),
                limit=HEAD_LIMIT,
                ssl=self._tls,
                ssl_handshake_timeout=patience,
            )
        except OSError as error:
            why = f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}"
            raise ConfigError("", self._key, why) from error

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, the end."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
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
        except (OSError, TimeoutError):
            pass  # the client is gone or too slow; it will come again
        finally:
            writer.transport.abort()

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
