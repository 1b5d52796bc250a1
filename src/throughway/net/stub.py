"""The stub resolver's own port: serves a :class:`Resolver` to the programs of this machine."""

import asyncio
import socket
from contextlib import suppress
from typing import NamedTuple

from throughway.net.ports import BATCH, widen
from throughway.net.resolver import PORT, Resolver
from throughway.proto.nrpt import Transport

MAXIMUM_CONNECTIONS = 32
"""TCP connections of local programs at a time; only big answers need one."""
MAXIMUM_QUERIES = 8
"""Queries of one TCP connection at a time (RFC 7766, section 6.2.1.1)."""
IDLE_TIME = 10.0
"""Seconds a TCP connection may say nothing, or read nothing."""
_LARGEST = 65535
_LARGEST_QUERY = 4096
"""Octets by UDP; a question with all its options has a few hundred."""


class StubListener:
    """Serves a :class:`Resolver` to the programs of this machine."""

    def __init__(self, resolver: Resolver, address: str, port: int = PORT) -> None:
        self._resolver = resolver
        self._address = address
        self._port = port
        self._datagrams: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listen; raises :exc:`OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        place = (self._address, self._port)
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind(place)
            widen(sock)
            self._server = await asyncio.start_server(self._serve, *place, limit=_LARGEST + 2)
        except BaseException:
            sock.close()
            raise
        self._datagrams = sock
        loop.add_reader(sock, self._read, sock, loop)

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        if self._datagrams is not None:
            asyncio.get_running_loop().remove_reader(self._datagrams)
            self._datagrams.close()
            self._datagrams = None
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        # The transports close in the next turn of the loop.
        await asyncio.sleep(0)

    def _read(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Take all queries that wait, and only then let the resolver act."""
        now, receive, take = loop.time(), sock.recvfrom, self._resolver.take
        with suppress(OSError):  # most often: there is no more
            for _ in range(BATCH):
                data, address = receive(_LARGEST_QUERY)
                take(data, _Sender(sock, address), Transport.UDP, now)
        self._resolver.pump()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._resolver, reader, writer)
        if len(self._connections) >= MAXIMUM_CONNECTIONS:
            writer.close()
            return
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._resolver.forget(connection)
            connection.close()


class _Sender(NamedTuple):
    """A local program that asks by UDP."""

    sock: socket.socket
    address: tuple[str, int]

    def answer(self, data: bytes) -> None:
        """Send it, unless the kernel has no room or we are closed: then the program asks again."""
        try:
            self.sock.sendto(data, self.address)
        except OSError:
            return


class _Connection:
    """A local program that asks by TCP."""

    def __init__(
        self, resolver: Resolver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._resolver = resolver
        self._reader = reader
        self._writer = writer
        self._room = asyncio.Semaphore(MAXIMUM_QUERIES)

    def answer(self, data: bytes) -> None:
        """Send it."""
        self._room.release()
        self._writer.write(len(data).to_bytes(2, "big") + data)

    def close(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()

    async def run(self) -> None:
        """Serve until the client ends or is idle for too long."""
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(IDLE_TIME):
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                    query = await self._reader.readexactly(size)
                    await self._room.acquire()
                    await self._writer.drain()
                self._resolver.receive(query, self, Transport.TCP)
