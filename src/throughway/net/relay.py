"""Force tunnelling for programs that know only IPv4: their TCP goes by an HTTP proxy inside.

The client's firewall takes their connections here (``dnat``); the relay asks the kernel where
they were meant to go (SO_ORIGINAL_DST) and has the proxy connect there (CONNECT, RFC 9110
section 9.3.6). A program that was told to use the relay as its proxy speaks with the proxy itself.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable

PORT = 3128
"""On the client's stub address; squid's own port, so that people recognise it."""
MAXIMUM_CONNECTIONS = 512
"""At a time; more wait in the backlog."""
MAXIMUM_HEAD = 16 * 1024
"""Octets of a proxy's answer before the stream begins."""
CONNECT_TIMEOUT = 15.0
"""Seconds for the connection to the proxy and its answer."""
CHUNK = 64 * 1024
"""Octets read at once; nothing is read while the other side does not take it."""
_SO_ORIGINAL_DST = 80
"""Of linux/netfilter_ipv4.h."""

OnResult = Callable[[str], None]


class ProxyRelay:
    """Listens from :meth:`start` to :meth:`close`.

    ``on_result(reason)`` is told why the proxy could not be used, and "" when it could.
    """

    def __init__(
        self, listen: tuple[str, int], proxy: tuple[str, int], on_result: OnResult
    ) -> None:
        self._listen = listen
        self._proxy = proxy
        self._on_result = on_result
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAXIMUM_CONNECTIONS)

    async def start(self) -> None:
        """Listen; OSError when the address is taken."""
        address, port = self._listen
        self._server = await asyncio.start_server(self._accept, address, port, limit=MAXIMUM_HEAD)

    async def close(self) -> None:
        """Stop listening and end all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with self._places:
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = original_destination(writer.get_extra_info("socket"))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                host, port = self._proxy
                upstream = await asyncio.open_connection(host, port, limit=MAXIMUM_HEAD)
        except (OSError, TimeoutError) as error:
            self._on_result(f"{self._proxy[0]} port {self._proxy[1]}: {_words(error)}")
            return
        self._on_result("")
        try:
            if target is not None and target != self._listen:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    if not await _connect(*upstream, target):
                        return
            await _carry((reader, writer), upstream)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the program sees its connection end, as it would without a relay
        finally:
            upstream[1].close()


def original_destination(sock: socket.socket) -> tuple[str, int] | None:
    """Return where a connection was meant to go; None when nobody has changed that."""
    try:
        raw = sock.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    except OSError:
        return None
    _, port, address = struct.unpack_from("!HH4s", raw)
    return socket.inet_ntoa(address), port


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]
) -> bool:
    """Ask the proxy for a way; return whether it made one."""
    authority = f"{target[0]}:{target[1]}"
    writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    return version.startswith(b"HTTP/1.") and rest[:1] == b"2"


async def _carry(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_copy(one[0], other[1]))
        group.create_task(_copy(other[0], one[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, and pass the end on: each direction may end by itself."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()  # a reset on one side is one on the other


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError) or not error.errno:
        return str(getattr(error, "strerror", "") or error)
    return os.strerror(error.errno)  # asyncio puts the address into its own words
