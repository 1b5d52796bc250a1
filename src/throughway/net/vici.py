"""Talk to charon over its vici socket, without threads.

The message codec is that of the ``vici`` package; only the moving of bytes is ours, because
a command that waits (``initiate``) must be given up when its caller is cancelled. One
connection carries one command or one subscription, so that nothing waits for anything else.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vici.exception import DeserializationException
from vici.protocol import FiniteStream, Message, Packet

from throughway.model.errors import IPsecError

Section = dict[str, Any]
"""A vici section: values are bytes, lists of bytes or sections; str is taken when sending."""

MAX_PACKET = 512 * 1024
"""Bytes; the limit of charon's own vici socket."""


FULL_PAUSE = 0.05
"""Seconds between two tries to get into a queue that is full."""


class Session:
    """One connection to the vici socket; an asynchronous context manager."""

    def __init__(self, socket: Path) -> None:
        self._path = socket
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        try:
            self._reader, self._writer = await _connect(self._path)
        except OSError as error:
            raise IPsecError(
                f"charon cannot be reached: {error}", problem="ipsec-daemon-down"
            ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def request(self, command: str, message: Section | None = None) -> Section:
        """Send a command and return its answer; IPsecError when charon says no."""
        await self._send(Packet.request(command, Message.serialize(message or {})))
        return _checked(command, await self._response(command))

    async def stream(
        self, command: str, event: str, message: Section | None = None
    ) -> AsyncIterator[Section]:
        """Send a command whose answer comes as events; IPsecError when charon says no."""
        await self.subscribe(event)
        await self._send(Packet.request(command, Message.serialize(message or {})))
        while True:
            packet = await self._receive()
            if packet.response_type == Packet.EVENT:
                yield _parsed(packet.payload)
                continue
            if packet.response_type != Packet.CMD_RESPONSE:
                raise IPsecError(f"charon does not know the command {command}")
            _checked(command, _parsed(packet.payload))
            return

    async def subscribe(self, *events: str) -> None:
        """Ask for events by name; :meth:`events` yields them."""
        for event in events:
            await self._send(Packet.register_event(event))
            while (packet := await self._receive()).response_type == Packet.EVENT:
                pass
            if packet.response_type != Packet.EVENT_CONFIRM:
                raise IPsecError(f"charon does not know the event {event}")

    async def events(self) -> AsyncIterator[tuple[str, Section]]:
        """Yield (name, message) of subscribed events until charon goes away."""
        while True:
            packet = await self._receive()
            if packet.response_type == Packet.EVENT:
                yield packet.event_type.decode(), _parsed(packet.payload)

    async def _response(self, command: str) -> Section:
        packet = await self._receive()
        if packet.response_type != Packet.CMD_RESPONSE:
            raise IPsecError(f"charon does not know the command {command}")
        return _parsed(packet.payload)

    async def _send(self, packet: bytes) -> None:
        assert self._writer is not None
        self._writer.write(struct.pack("!I", len(packet)) + packet)
        try:
            await self._writer.drain()
        except OSError as error:
            raise _gone() from error

    async def _receive(self) -> Any:  # noqa: ANN401 - a named tuple of an untyped package
        assert self._reader is not None
        try:
            (length,) = struct.unpack("!I", await self._reader.readexactly(4))
            if not 0 < length <= MAX_PACKET:
                raise IPsecError(f"charon sent a packet of {length} bytes")
            return Packet.parse(await self._reader.readexactly(length))
        except (OSError, EOFError) as error:
            raise _gone() from error


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, once there is room: the queue of a charon that hangs is full for ever.

    The event loop would take that (EAGAIN, unix(7)) for a connection that is on its way.
    """
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(str(path))
            return await asyncio.open_unix_connection(sock=connection)
        except BlockingIOError:
            connection.close()
            await asyncio.sleep(FULL_PAUSE)
        except BaseException:
            connection.close()
            raise


def _gone() -> IPsecError:
    return IPsecError("charon went away", problem="ipsec-daemon-down")


def _parsed(payload: FiniteStream) -> Section:
    try:
        return dict(Message.deserialize(payload))
    except (DeserializationException, struct.error, UnicodeDecodeError) as error:
        raise IPsecError(f"charon sent what is no vici message: {error}") from error


def _checked(command: str, answer: Section) -> Section:
    if answer.get("success", b"yes") != b"yes":
        reason = answer.get("errmsg", b"no reason given").decode(errors="replace")
        raise IPsecError(f"{command}: {reason}")
    return answer
