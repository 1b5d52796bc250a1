"""The DNS server that the rules of clients name: forwards, and makes addresses (RFC 6147).

It serves by UDP and TCP on inside addresses. Everything is bounded: queries under way, those of
each client, connections, and time; a server that does not answer is told of by a callback.
"""

import asyncio
import contextlib
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import dns.flags
import dns.message

from throughway.gateway import synthesis
from throughway.model.config import NAT64Config
from throughway.model.errors import ConfigError, WireError
from throughway.wire.dns import (
    FORMERR,
    HEADER_LENGTH,
    REFUSED,
    SERVFAIL,
    TYPE_AAAA,
    TYPE_PTR,
    Message,
    build_refusal,
    build_truncated,
    parse_message,
    with_id,
)

PORT = 53
TOTAL_TIME = 4.0
"""Seconds for a query, all of it: clients ask again or give up after 5."""
ATTEMPT_TIME = 1.5
"""Seconds until the next server is asked."""
IDLE_TIME = 5.0
"""Seconds a connection may say nothing."""
MAXIMUM_PENDING = 500
"""Queries under way; each holds a socket or two."""
MAXIMUM_CONNECTIONS = 100
MAXIMUM_OF_CLIENT = 8
"""Connections of one address."""
MAXIMUM_CLIENTS = 10_000
"""Addresses whose rate is remembered: as many as a gateway has clients."""
BURST = 2
"""Seconds of a client's rate that it may use at once."""
LARGEST = 65535
SILENCES = 3
"""Queries in a row that no server answered until they count as silent."""


@dataclass(slots=True)
class Figures:
    """What it has done since it started."""

    queries: int = 0
    made: int = 0
    """Answers with made addresses."""
    failed: int = 0
    limited: int = 0
    """Queries that were dropped because their client asked too many."""


class Rates:
    """How much each client may still ask (a token bucket each); the longest silent go first."""

    def __init__(self, per_second: int) -> None:
        self._rate = per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now: float) -> bool:
        """Count a query; False when it is one too many."""
        full = float(self._rate * BURST)
        left, at = self._left.pop(client, (full, now))
        left = min(full, left + (now - at) * self._rate)
        allowed = left >= 1.0
        self._left[client] = (left - 1.0 if allowed else left), now
        if len(self._left) > MAXIMUM_CLIENTS:
            self._left.popitem(last=False)
        return allowed


class Forwarder:
    """Asks the intranet's DNS servers, one after the other."""

    def __init__(
        self, servers: tuple[str, ...], on_answering: Callable[[bool], None], port: int = PORT
    ) -> None:
        self._servers = servers
        self._on_answering = on_answering
        self._port = port
        self._silences = 0

    async def ask(self, query: bytes, *, by_tcp: bool) -> bytes:
        """Return the answer under the query's number; raises TimeoutError when there is none."""
        number = secrets.randbelow(0x10000)
        asked, parsed = with_id(query, number), parse_message(query)
        refused: bytes | None = None
        for server in self._servers:
            try:
                async with asyncio.timeout(ATTEMPT_TIME):
                    answer = await self._exchange(server, asked, parsed, by_tcp=by_tcp)
            except OSError:  # TimeoutError is one
                continue
            self._heard(True)
            if answer[3] & 0xF not in (SERVFAIL, REFUSED):
                return with_id(answer, parsed.id)
            refused = with_id(answer, parsed.id)
        if refused is None:
            self._heard(False)
            raise TimeoutError
        return refused

    async def resolve(self, query: dns.message.Message) -> dns.message.Message:
        """Return the whole answer, by TCP when it is cut."""
        wire = query.to_wire()
        answer = await self.ask(wire, by_tcp=False)
        if answer[2] & dns.flags.TC >> 8:
            answer = await self.ask(wire, by_tcp=True)
        return dns.message.from_wire(answer)

    async def _exchange(self, server: str, query: bytes, parsed: Message, *, by_tcp: bool) -> bytes:
        """Ask one server; what came back fits the question."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        kind = socket.SOCK_STREAM if by_tcp else socket.SOCK_DGRAM
        with socket.socket(family, kind | socket.SOCK_NONBLOCK) as sock:
            # A port of its own for each question, and from nobody but the server.
            await loop.sock_connect(sock, (server, self._port))
            length = len(query).to_bytes(2, "big") if by_tcp else b""
            await loop.sock_sendall(sock, length + query)
            if by_tcp:
                size = int.from_bytes(await _read_exactly(sock, 2), "big")
                answer = await _read_exactly(sock, size)
                if not _fits(answer, query, parsed):
                    raise ConnectionResetError
                return answer
            while not _fits(answer := await loop.sock_recv(sock, LARGEST), query, parsed):
                pass
            return answer

    def _heard(self, answered: bool) -> None:
        """Tell when servers begin or cease to answer."""
        if answered:
            if self._silences >= SILENCES or self._silences < 0:
                self._on_answering(True)
            self._silences = 0
            return
        self._silences += 1
        if self._silences == SILENCES:
            self._on_answering(False)


class DNS64:
    """Serves clients from :meth:`start` to :meth:`close`."""

    def __init__(
        self, config: NAT64Config, on_answering: Callable[[bool], None], *, port: int = PORT
    ) -> None:
        """``on_answering`` hears when the servers (at ``port``) begin or cease to answer."""
        self.figures = Figures()
        self._listen = config.listen
        self._rules = synthesis.rules_of(config)
        self._forwarder = Forwarder(config.servers, on_answering, port)
        self._rates = Rates(config.queries_per_client)
        self._endpoints: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._writers: dict[asyncio.StreamWriter, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when an address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            for place in self._listen:
                endpoint, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=place
                )
                self._endpoints.append(endpoint)
                self._servers.append(await asyncio.start_server(self._serve, *place))
        except OSError as error:
            await self.close()
            why = f"cannot listen on {place[0]} port {place[1]}: {error.strerror}"
            raise ConfigError("gateway configuration", "nat64.listen", why) from error

    async def close(self) -> None:
        """Stop listening, and drop what is under way."""
        for endpoint in self._endpoints:
            endpoint.close()
        for server in self._servers:
            server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._endpoints, self._servers = [], []
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    def take(self, query: bytes, client: str, reply: Callable[[bytes], None]) -> None:
        """Take a query that came by UDP; ``reply`` is called with the answer, if there is one."""

        async def serve() -> None:
            if answer := await self.answer(query, by_tcp=False):
                reply(answer)

        if self._admit(client):
            task = asyncio.get_running_loop().create_task(serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def answer(self, query: bytes, *, by_tcp: bool) -> bytes | None:
        """Return the answer; None to what deserves none, and where the servers say nothing.

        Then clients see for themselves that the intranet's servers are silent.
        """
        try:
            message = parse_message(query)
        except WireError:
            return build_refusal(query, FORMERR)
        if message.response:
            return None
        try:
            async with asyncio.timeout(TOTAL_TIME):
                answer = await self._answer(query, message, by_tcp=by_tcp)
        except TimeoutError:
            self.figures.failed += 1
            return None
        except synthesis.Wrong:
            self.figures.failed += 1
            return build_refusal(query, SERVFAIL, "an answer of the intranet could not be read")
        if not by_tcp and len(answer) > message.payload:
            return build_truncated(answer, message.question_end)
        return answer

    def _admit(self, client: str) -> bool:
        self.figures.queries += 1
        allowed = self._rates.take(client, time.monotonic())
        if not allowed or len(self._tasks) >= MAXIMUM_PENDING:
            self.figures.limited += 1
            return False
        return True

    async def _answer(self, query: bytes, message: Message, *, by_tcp: bool) -> bytes:
        if not message.opcode and message.question.type in (TYPE_AAAA, TYPE_PTR):
            with contextlib.suppress(*synthesis.Wrong):
                read = dns.message.from_wire(query)
                made = await self._translate(query, read, by_tcp=by_tcp)
                if made is not None:
                    return made
        return await self._forwarder.ask(query, by_tcp=by_tcp)

    async def _translate(
        self, query: bytes, read: dns.message.Message, *, by_tcp: bool
    ) -> bytes | None:
        """Return the answer to a question that is about addresses; None to pass it on."""
        rules, forwarder = self._rules, self._forwarder
        if (known := synthesis.well_known(read, rules)) is not None:
            return known.to_wire(max_size=LARGEST)
        if (asked := synthesis.reverse_question(read, rules)) is not None:
            name = await forwarder.resolve(asked)
            return synthesis.make_reverse(read, asked, name).to_wire(max_size=LARGEST)
        if not synthesis.wants_address(read, rules):
            return None
        answer, none = b"", None
        with contextlib.suppress(TimeoutError):  # as good as none (5.1.3)
            answer = await forwarder.ask(query, by_tcp=by_tcp)
            if answer[2] & dns.flags.TC >> 8:
                answer = await forwarder.ask(query, by_tcp=True)
            none = dns.message.from_wire(answer)
            before = len(none.answer), sum(map(len, none.answer))
            real = synthesis.real_addresses(none, rules)
            if real is not None:
                same = (len(real.answer), sum(map(len, real.answer))) == before
                return answer if same else real.to_wire(max_size=LARGEST)
        ipv4 = await forwarder.resolve(synthesis.ipv4_question(read))
        made = synthesis.make_addresses(read, none, ipv4, rules)
        if made is None:
            return answer or None
        self.figures.made += 1
        return made.to_wire(max_size=LARGEST)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.get_extra_info("peername")[0]
        theirs = sum(1 for other in self._writers.values() if other == client)
        if len(self._writers) >= MAXIMUM_CONNECTIONS or theirs >= MAXIMUM_OF_CLIENT:
            writer.close()
            return
        self._writers[writer] = client
        try:
            await self._converse(reader, writer, client)
        finally:
            del self._writers[writer]
            writer.transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str
    ) -> None:
        """Answer one query after the other until the client ends, or is idle or too eager."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(IDLE_TIME):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    query = await reader.readexactly(size)
                if not self._admit(client):
                    return
                answer = await self.answer(query, by_tcp=True)
                if answer is None:
                    return
                async with asyncio.timeout(IDLE_TIME):
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    """One address by UDP."""

    def __init__(self, server: DNS64) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: asyncio's own transport is no DatagramTransport before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        def reply(answer: bytes) -> None:
            if not self._transport.is_closing():
                self._transport.sendto(answer, addr)

        self._server.take(data, addr[0], reply)


def _fits(answer: bytes, query: bytes, parsed: Message) -> bool:
    """Whether a message answers the query: response, number, question; its case may differ."""
    if len(answer) < HEADER_LENGTH or answer[:2] != query[:2]:
        return False
    try:
        read = parse_message(answer)
    except WireError:
        return False
    return read.response and read.question == parsed.question


async def _read_exactly(sock: socket.socket, size: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < size:
        more = await loop.sock_recv(sock, size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data
