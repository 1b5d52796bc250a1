"""Sockets for :class:`throughway.proto.nrpt.Stub`: the machine's resolver, and our own questions.

:class:`Resolver` moves queries between their clients and the servers that the machine names, over
UDP and TCP; :mod:`throughway.net.stub` serves it to the programs of this machine. :func:`resolve`
asks the local DNS for names that the daemon needs before there is any tunnel.
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
from throughway.net.ports import Entropy, Ports
from throughway.proto.nrpt import Situation, Stub, Transport
from throughway.proto.nrpt.stub import (
    AnswerReady,
    AttemptEnded,
    AttemptStarted,
)
from throughway.wire.dns import (
    NOERROR,
    NXDOMAIN,
    TYPE_A,
    TYPE_AAAA,
    TYPE_SRV,
    Service,
    build_query,
    labels_of,
    parse_addresses,
    parse_answer,
    parse_message,
)

PORT = 53
HOSTS = Path("/etc/hosts")
GRACE = 0.1
"""Seconds the other family has once one has an answer: some networks drop AAAA queries."""
RESOLVE_TIME = 5.0
"""Seconds for a name that the daemon needs itself, UDP and TCP together."""
_NOT_FOUND, TRY_AGAIN, _NO_DATA = 0x2AF9, 0x2AFA, 0x2AFC
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
        entropy = Entropy()
        self._stub = Stub(entropy.bits)
        self._port = port
        self._mark = mark
        self._on_intranet_servers = on_intranet_servers
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ports = Ports(
            self._loop, port, mark, entropy, self._stub.receive_answer, self._lost, self.pump
        )
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._pumping = self._closed = False

    @property
    def queries(self) -> int:
        """Queries that came."""
        return self._stub.queries

    @property
    def hits(self) -> int:
        """Queries that were answered from the cache."""
        return self._stub.hits

    @property
    def cached(self) -> int:
        """Answers that are kept."""
        return self._stub.cached

    @property
    def situation(self) -> Situation:
        """Where names are asked now."""
        return self._stub.situation

    def heard(self, server: str) -> float:
        """When a server of the intranet has given an answer of use, by the loop's clock."""
        return self._stub.heard.get(server, float("-inf"))

    def set_situation(self, situation: Situation) -> None:
        """Ask elsewhere from now on, also what is being asked."""
        self._stub.set_situation(situation, self._loop.time())
        self.pump()

    def forget_answers(self) -> None:
        """Keep no answer of before: this is another network."""
        self._stub.forget_answers()

    def receive(self, query: bytes, client: Client, transport: Transport) -> None:
        """Take a query; the answer goes to ``client.answer``."""
        self.take(query, client, transport, self._loop.time())
        self.pump()

    def take(self, query: bytes, client: Client, transport: Transport, now: float) -> None:
        """Take one query of several; :meth:`pump` when all are taken."""
        self._stub.receive_query(query, client, transport, now)

    def forget(self, client: Client) -> None:
        """Drop the queries of a client that is gone."""
        self._stub.forget_client(client)
        self.pump()

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

    async def services(self, name: str) -> tuple[Service, ...]:
        """Return a name's SRV records, best first; raises TransportError when there are none."""
        answer = await self._answer(labels_of(name), TYPE_SRV)
        try:
            records = parse_answer(answer).records
            rcode = parse_message(answer).rcode
        except WireError:
            records, rcode = (), -1
        found = [record.value for record in records if isinstance(record.value, Service)]
        if not found:
            raise _why_none(name, [rcode])
        return tuple(sorted(found, key=lambda service: service.priority))

    async def close(self) -> None:
        """Stop asking; nobody gets an answer any more."""
        if self._timer:
            self._timer.cancel()
        self._closed = True
        tasks = list(self._tasks.values())
        self._ports.close()
        for attempt in list(self._tasks):
            self._end_attempt(attempt)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _addresses(self, labels: tuple[bytes, ...], kind: int) -> "_Addresses":
        answer = await self._answer(labels, kind)
        try:
            return _Addresses(parse_message(answer).rcode, parse_addresses(answer))
        except WireError:
            return _Addresses(-1, ())

    async def _answer(self, labels: tuple[bytes, ...], kind: int) -> bytes:
        query = build_query(secrets.randbelow(0x10000), labels, kind)
        answer = await self._ask(query, Transport.UDP)
        if parse_message(answer).truncated:
            answer = await self._ask(query, Transport.TCP)
        return answer

    async def _ask(self, query: bytes, transport: Transport) -> bytes:
        client = _Waiting(self._loop.create_future())
        try:
            self.receive(query, client, transport)
            return await client.future
        finally:
            self.forget(client)

    def pump(self) -> None:
        """Do what the machine asks for; run after every input."""
        if self._pumping or self._closed:
            return
        self._pumping = True
        try:
            while event := self._stub.next_event():
                # Not by `match`, which costs twice as much: these are 60,000 a second.
                if isinstance(event, AnswerReady):
                    cast("Client", event.client).answer(event.data)
                elif isinstance(event, AttemptStarted):
                    self._start_attempt(event)
                elif isinstance(event, AttemptEnded):
                    self._end_attempt(event.attempt)
                elif self._on_intranet_servers:
                    self._on_intranet_servers(event.answering, event.servers)
        finally:
            self._pumping = False
        self._arm()

    def _arm(self) -> None:
        """See that the timer comes in time; one that comes too early does no harm."""
        due = self._stub.timer_at()
        if due is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._timer_due)

    def _timer_due(self) -> None:
        self._timer = None
        self._stub.handle_timer(self._loop.time())
        self.pump()

    def _lost(self, attempt: int, now: float) -> None:
        self._stub.receive_failure(attempt, now)

    def _start_attempt(self, attempt: AttemptStarted) -> None:
        if attempt.transport is Transport.UDP:
            if not self._ports.send(attempt.attempt, attempt.server, attempt.data):
                self._lost(attempt.attempt, self._loop.time())
            return
        family = socket.AF_INET6 if ":" in attempt.server else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if self._mark:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
        except OSError:
            sock.close()
            self._lost(attempt.attempt, self._loop.time())
            return
        task = self._loop.create_task(self._ask_by_tcp(sock, attempt))
        # Not in the task: one that is cancelled at once never runs.
        task.add_done_callback(lambda _: sock.close())
        self._tasks[attempt.attempt] = task

    def _end_attempt(self, attempt: int) -> None:
        if task := self._tasks.pop(attempt, None):
            task.cancel()
        else:
            self._ports.end(attempt)

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
        self.pump()

    async def _read_exactly(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self._loop.sock_recv(sock, size - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data


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


def _why_none(name: str, rcodes: list[int]) -> TransportError:
    if NXDOMAIN in rcodes:
        return _unresolvable(f"{name}: the name does not exist", _NOT_FOUND)
    if set(rcodes) == {NOERROR}:
        return _unresolvable(f"{name}: the name has no address", _NO_DATA)
    return _unresolvable(f"{name}: no DNS server could be asked", TRY_AGAIN)


def _unresolvable(words: str, code: int) -> TransportError:
    return TransportError(Stage.RESOLVE, words, windows_code=code, problem=_UNRESOLVABLE)
