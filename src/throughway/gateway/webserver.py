"""A small web server for the few things that a gateway gives out: one request, one answer."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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


class WebServer:
    """Listens on one address and lets ``respond`` answer."""

    def __init__(
        self,
        address: tuple[str, int],
        respond: Callable[[h11.Request], Awaitable[Answer]],
        *,
        key: str,
    ) -> None:
        """``key`` is the address's name in the configuration, for errors."""
        self._address = address
        self._respond = respond
        self._key = key
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
        host, port = self._address
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=HEAD_LIMIT)
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
                writer.write(await self._exchange(reader))
                await writer.drain()
                writer.write_eof()
                # Closing with something unread would reset the connection under the answer.
                while await reader.read(HEAD_LIMIT):
                    pass
        except (OSError, TimeoutError):
            pass  # the client is gone or too slow; it will come again
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        try:
            while (event := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(await reader.read(HEAD_LIMIT))
        except h11.RemoteProtocolError as error:
            return _send(connection, plain(HTTPStatus(error.error_status_hint), str(error)))
        if not isinstance(event, h11.Request):
            return b""
        return _send(connection, await self._respond(event), bare=event.method == b"HEAD")


def _send(connection: h11.Connection, answer: Answer, *, bare: bool = False) -> bytes:
    """Return the whole response, as far as the connection still takes one."""
    if connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return b""
    headers = answer.headers | {"connection": "close"}
    if answer.status is not HTTPStatus.NOT_MODIFIED:
        headers["content-length"] = str(len(answer.body))
    response = h11.Response(
        status_code=answer.status, headers=list(headers.items()), reason=answer.status.phrase
    )
    head = connection.send(response) or b""
    return head if bare else head + answer.body
