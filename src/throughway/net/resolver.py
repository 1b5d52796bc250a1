"""Sockets for :class:`throughway.proto.nrpt.Stub`: the machine's resolver, and our own questions.

:class:`Resolver` moves queries between their clients and the servers that the machine names, over
UDP and TCP. :class:`StubListener` serves the programs of this machine on a loopback address.
:func:`resolve` asks the local DNS for names that the daemon needs before there is any tunnel.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol, cast

from throughway.model.errors import Stage, TransportError, WireError
from throughway.proto.nrpt import Situation, Stub, Transport
from throughway.proto.nrpt.stub import (
    AnswerReady,
    AttemptEnded,
    AttemptStarted,
    IntranetServersChanged,
)
from throughway.wire.dns import (
    NOERROR,
    NXDOMAIN,
    TYPE_A,
    TYPE_AAAA,
    build_query,
    labels_of,
    parse_addresses,
    parse_message,
)

PORT = 53
HOSTS = Path("/etc/hosts")
MAXIMUM_CONNECTIONS = 32
"""TCP connections of local programs at a time; only big answers need one."""
MAXIMUM_QUERIES = 8
"""Queries of one TCP connection at a time (RFC 7766, section 6.2.1.1)."""
IDLE_TIME = 10.0
"""Seconds a TCP connection may say nothing, or read nothing."""
GRACE = 0.1
"""Seconds the other family has once one has an answer: some networks drop AAAA queries."""
RESOLVE_TIME = 5.0
"""Seconds for a name that the daemon needs itself, UDP and TCP together."""
_LARGEST = 65535

_NOT_FOUND, _TRY_AGAIN, _NO_DATA = 0x2AF9, 0x2AFA, 0x2AFC
"""WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_DATA."""
_UNRESOLVABLE = "iphttps-name-unresolvable"


class Client(Hashable, Protocol):
    """Whoever has asked."""

    def answer(self, data: bytes) -> None:
        """Take the answer."""


class Resolver:
    """Asks servers as the stub machine says; has no port of its own."""

    def __init__(
        self,
        *,
        port: int = PORT,
        mark: int = 0,
        on_intranet_servers: Callable[[bool, tuple[str, ...]], None] | None = None,
    ) -> None:
        """``port`` of all servers; ``mark`` for the packets to them; ``on_intranet_servers``
        is told when the rules' servers begin or cease to answer."""
        self._stub = Stub(lambda: secrets.randbelow(0x10000))
        self._port = port
        self._mark = mark
        self._on_intranet_servers = on_intranet_servers
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sockets: dict[int, socket.socket] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._pumping = self._closed = False

    @property
    def situation(self) -> Situation:
        """Where names are asked now."""
        return self._stub.situation

    def set_situation(self, situation: Situation) -> None:
        """Ask elsewhere from now on, also what is being asked."""
        self._stub.set_situation(situation, self._loop.time())
        self._pump()

    def receive(self, query: bytes, client: Client, transport: Transport) -> None:
        """Take a query; the answer goes to ``client.answer``."""
        self._stub.receive_query(query, client, transport, self._loop.time())
        self._pump()

    def forget(self, client: Client) -> None:
        """Drop the queries of a client that is gone."""
        self._stub.forget_client(client)
        self._pump()

    async def lookup(self, name: str) -> tuple[str, ...]:
        """Return the addresses of a name, IPv6 first; raises TransportError when there are none."""
        try:
            labels = labels_of(name)
        except WireError as error:
            raise _unresolvable(str(error), _NOT_FOUND) from error
        kinds = (TYPE_AAAA, TYPE_A)
        asking = [asyncio.ensure_future(self._addresses(labels, kind)) for kind in kinds]
        try:
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            if any(task.done() and task.result().addresses for task in asking):
                await asyncio.wait(asking, timeout=GRACE)
            else:
                await asyncio.wait(asking)
            answers = [task.result() for task in asking if task.done()]
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if found := [address for answer in answers for address in answer.addresses]:
            return tuple(found)
        raise _why_none(name, [answer.rcode for answer in answers])

    async def close(self) -> None:
        """Stop asking; nobody gets an answer any more."""
        if self._timer:
            self._timer.cancel()
        self._closed = True
        tasks = list(self._tasks.values())
        for attempt in [*self._sockets, *self._tasks]:
            self._end_attempt(attempt)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _addresses(self, labels: tuple[bytes, ...], kind: int) -> "_Addresses":
        query = build_query(secrets.randbelow(0x10000), labels, kind)
        answer = await self._ask(query, Transport.UDP)
        if parse_message(answer).truncated:
            answer = await self._ask(query, Transport.TCP)
        try:
            return _Addresses(parse_message(answer).rcode, parse_addresses(answer))
        except WireError:
            return _Addresses(-1, ())

    async def _ask(self, query: bytes, transport: Transport) -> bytes:
        client = _Waiting(self._loop.create_future())
        try:
            self.receive(query, client, transport)
            return await client.future
        finally:
            self.forget(client)

    def _pump(self) -> None:
        """Do what the machine asks for; run after every input."""
        if self._pumping or self._closed:
            return
        self._pumping = True
        try:
            while event := self._stub.next_event():
                match event:
                    case AttemptStarted():
                        self._start_attempt(event)
                    case AttemptEnded(attempt):
                        self._end_attempt(attempt)
                    case AnswerReady(client, data):
                        cast("Client", client).answer(data)
                    case IntranetServersChanged(answering, servers):
                        if self._on_intranet_servers:
                            self._on_intranet_servers(answering, servers)
        finally:
            self._pumping = False
        if self._timer:
            self._timer.cancel()
        due = self._stub.timer_at()
        self._timer = self._loop.call_at(due, self._timer_due) if due is not None else None

    def _timer_due(self) -> None:
        self._stub.handle_timer(self._loop.time())
        self._pump()

    def _start_attempt(self, attempt: AttemptStarted) -> None:
        kind = socket.SOCK_DGRAM if attempt.transport is Transport.UDP else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in attempt.server else socket.AF_INET
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        try:
            if self._mark:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
            if attempt.transport is Transport.TCP:
                task = self._loop.create_task(self._ask_by_tcp(sock, attempt))
                # Not in the task: one that is cancelled at once never runs.
                task.add_done_callback(lambda _: sock.close())
                self._tasks[attempt.attempt] = task
                return
            # Connected: the kernel picks a random port and drops what others send to it.
            sock.connect((attempt.server, self._port))
            sock.send(attempt.data)
        except OSError:
            sock.close()
            self._stub.receive_failure(attempt.attempt, self._loop.time())
            return
        self._sockets[attempt.attempt] = sock
        self._loop.add_reader(sock, self._read, attempt)

    def _end_attempt(self, attempt: int) -> None:
        if sock := self._sockets.pop(attempt, None):
            self._loop.remove_reader(sock)
            sock.close()
        if task := self._tasks.pop(attempt, None):
            task.cancel()

    def _read(self, attempt: AttemptStarted) -> None:
        now = self._loop.time()
        try:
            data = self._sockets[attempt.attempt].recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            self._stub.receive_failure(attempt.attempt, now)
        else:
            self._stub.receive_answer(attempt.attempt, data, attempt.server, now)
        self._pump()

    async def _ask_by_tcp(self, sock: socket.socket, attempt: AttemptStarted) -> None:
        try:
            await self._loop.sock_connect(sock, (attempt.server, self._port))
            length = len(attempt.data).to_bytes(2, "big")
            await self._loop.sock_sendall(sock, length + attempt.data)
            size = int.from_bytes(await self._read_exactly(sock, 2), "big")
            data = await self._read_exactly(sock, size)
        except OSError:
            data = b""
        now = self._loop.time()
        self._tasks.pop(attempt.attempt, None)
        self._stub.receive_answer(attempt.attempt, data, attempt.server, now)
        # Without effect when the answer has ended the query.
        self._stub.receive_failure(attempt.attempt, now)
        self._pump()

    async def _read_exactly(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self._loop.sock_recv(sock, size - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data


class StubListener:
    """Serves a :class:`Resolver` to the programs of this machine."""

    def __init__(self, resolver: Resolver, address: str, port: int = PORT) -> None:
        self._resolver = resolver
        self._address = address
        self._port = port
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listen; raises :exc:`OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        place = (self._address, self._port)
        self._datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._resolver), local_addr=place
        )
        try:
            self._server = await asyncio.start_server(self._serve, *place, limit=_LARGEST + 2)
        except BaseException:
            self._datagrams.close()
            raise

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        if self._datagrams:
            self._datagrams.close()
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        # The transports close in the next turn of the loop.
        await asyncio.sleep(0)

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


async def resolve(
    name: str,
    *,
    servers: tuple[str, ...],
    mark: int = 0,
    port: int = PORT,
    hosts: Path = HOSTS,
) -> tuple[str, ...]:
    """Return the addresses of a name by the hosts file or the given DNS servers, no rules applied.

    Raises :exc:`TransportError`, after :data:`RESOLVE_TIME` at the latest.
    """
    with suppress(ValueError):
        return (str(ip_address(name)),)
    if found := read_hosts(hosts, name):
        return found
    resolver = Resolver(port=port, mark=mark)
    try:
        resolver.set_situation(replace(resolver.situation, local_servers=servers))
        async with asyncio.timeout(RESOLVE_TIME):
            return await resolver.lookup(name)
    except TimeoutError as error:
        raise _why_none(name, []) from error
    finally:
        await resolver.close()


def read_hosts(path: Path, name: str) -> tuple[str, ...]:
    """Return the addresses that a hosts file has for a name."""
    wanted = name.lower().rstrip(".")
    found = []
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ()
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if wanted in (each.lower().rstrip(".") for each in names):
            with suppress(ValueError):
                found.append(str(ip_address(address)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Addresses:
    """What one query has brought."""

    rcode: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A question of our own."""

    future: "asyncio.Future[bytes]"

    def answer(self, data: bytes) -> None:
        if not self.future.done():
            self.future.set_result(data)


@dataclass(frozen=True, slots=True)
class _Sender:
    """A local program that asks by UDP."""

    transport: asyncio.DatagramTransport
    address: tuple[str, int]

    def answer(self, data: bytes) -> None:
        self.transport.sendto(data, self.address)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP side of the stub."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: asyncio's own transport is no DatagramTransport before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._resolver.receive(data, _Sender(self._transport, addr), Transport.UDP)


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
        self._room.release()
        self._writer.write(len(data).to_bytes(2, "big") + data)

    def close(self) -> None:
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


def _why_none(name: str, rcodes: list[int]) -> TransportError:
    if NXDOMAIN in rcodes:
        return _unresolvable(f"{name}: the name does not exist", _NOT_FOUND)
    if set(rcodes) == {NOERROR}:
        return _unresolvable(f"{name}: the name has no address", _NO_DATA)
    return _unresolvable(f"{name}: no DNS server could be asked", _TRY_AGAIN)


def _unresolvable(words: str, code: int) -> TransportError:
    return TransportError(Stage.RESOLVE, words, windows_code=code, problem=_UNRESOLVABLE)
