"""The stub resolver's decisions: each query goes to the intranet's or to the local DNS servers.

While the rules are effective a name under a rule with servers is asked of local DNS only where
the policy's fallback says so: with the infrastructure tunnel down it is refused, with the tunnel
on its way up it is held for a moment. Driven by :mod:`throughway.net.resolver`; RFC 1035, RFC
5452 (section 9), RFC 6891, RFC 7766 and [MS-GPNRPT].
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from throughway.model.errors import WireError
from throughway.model.policy import Fallback
from throughway.model.status import TunnelState
from throughway.proto.nrpt.cache import Cache
from throughway.proto.nrpt.query import Attempt, Input, Query, Route, State, Transport
from throughway.proto.nrpt.spelling import same_but_for_case, spelled
from throughway.proto.nrpt.table import Table
from throughway.wire.dns import (
    FORMERR,
    HEADER_LENGTH,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SAFE_PAYLOAD,
    SERVFAIL,
    TYPE_A,
    Message,
    build_empty,
    build_refusal,
    build_truncated,
    parse_answer,
    parse_message,
    with_payload,
)

HOLD_TIME = 2.0
"""Seconds a query waits for a tunnel that is being set up."""
TOTAL_TIME = 4.5
"""Seconds until a query is refused: just before glibc asks again or gives up (5 s)."""
INTRANET_TIME = 3.0
"""Seconds of these for the intranet's servers, where local DNS is asked after their silence."""
UDP_ATTEMPT_TIME = 1.0
"""Seconds until the next server is asked."""
TCP_ATTEMPT_TIME = 2.0
"""Seconds; a handshake comes first."""
TCP_AFTER = 2.0
"""Seconds of silence by UDP after which TCP is tried: some networks lose one and not the other."""
LOST_ROUNDS = 2
"""Rounds in which every server is unreachable before a query is refused: one pause rides out a
change of network, more would only let programs hang while there is no network."""
SUSPECT_TIME = 30.0
"""Seconds a silent server is asked last."""
PLAIN_TIME = 300.0
"""Seconds in which a server that changes the case of names is asked in small letters."""
MAXIMUM_PENDING = 2000
"""Questions under way: a second's worth, at 2,000 a second, of a server that says nothing."""
MAXIMUM_WAITERS = 32
"""Clients that wait for one answer."""
MAXIMUM_OPEN_ATTEMPTS = 2
"""Attempts of one query that may still bring a late answer."""
MAXIMUM_TCP_ATTEMPTS = 200
"""Connections at a time, as each takes a descriptor; who asked by UDP then stays with it."""
MAXIMUM_KNOWN = 2000
"""Questions whose way is remembered; all are forgotten when there is one more."""
MAXIMUM_KNOWN_QUERY = 512
"""Octets of one of these; by TCP a program may send 64 KiB."""
_RESPONSE, _OPCODE, _TRUNCATED, _RCODE = 0x80, 0x78, 0x02, 0x0F
"""Bits of the flags, in the third and the fourth octet."""
_ONE_QUESTION = b"\0\1"


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that decides where a name is asked."""

    table: Table = field(default_factory=Table)
    effective: bool = False
    """Whether the rules count: everywhere but inside."""
    local_servers: tuple[str, ...] = ()
    intranet: TunnelState = TunnelState.DOWN
    """The tunnel through which the rules' servers are reached."""
    fallback: Fallback = Fallback.NEVER

    @cached_property
    def local(self) -> Route:
        """The way to the local DNS servers."""
        servers = self.local_servers
        return Route(servers, False, Input.ROUTE_OPEN if servers else Input.ROUTE_CLOSED)

    @cached_property
    def private(self) -> bool:
        """Whether this is a private network: all its DNS servers have private addresses."""
        return all(_host(server).is_private for server in self.local_servers)

    def falls_back(self, rcode: int | None) -> bool:
        """Whether local DNS is asked after the intranet's answer, or its silence (None)."""
        if not self.local_servers:
            return False
        match self.fallback:
            case Fallback.NXDOMAIN:
                return rcode == NXDOMAIN
            case Fallback.PRIVATE:
                return rcode == NXDOMAIN or (rcode is None and self.private)
            case Fallback.ANY:
                return rcode != NOERROR
        return False


class AttemptStarted(NamedTuple):
    """Send ``data`` to ``server``, by UDP from a port that nobody can guess."""

    attempt: int
    server: str
    data: bytes
    transport: Transport
    intranet: bool


class AttemptEnded(NamedTuple):
    """Nothing is expected any more."""

    attempt: int


class AnswerReady(NamedTuple):
    """Send ``data`` to the client."""

    client: Hashable
    data: bytes


class IntranetServersChanged(NamedTuple):
    """The intranet's DNS servers have begun or ceased to answer."""

    answering: bool
    servers: tuple[str, ...]


Event = AttemptStarted | AttemptEnded | AnswerReady | IntranetServersChanged


class Stub:
    """All queries of this machine that are under way."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        """``random_bits(n)`` returns an unguessable number of n bits (RFC 5452, section 9.2)."""
        self.situation = Situation()
        self.queries = self.hits = 0
        """Queries that came, and how many of them were answered from the cache."""
        self._random_bits = random_bits
        self._cache = Cache()
        self._known: dict[bytes, tuple[Message, Route]] = {}
        self._generation = 0
        self._under_way: dict[bytes, Query] = {}
        self._by_tcp: dict[bytes, Query] = {}
        self._by_attempt: dict[int, Query] = {}
        self._tcp_attempts = 0
        self._next_attempt = 0
        self._due = float("inf")
        """No query's timer is earlier."""
        self._suspects: dict[str, float] = {}
        self._plain: dict[str, float] = {}
        self._answering: bool | None = None
        self.heard: dict[str, float] = {}
        """When servers of the intranet have given an answer of use."""
        self._events: deque[Event] = deque()

    @property
    def pending(self) -> int:
        """Number of questions under way."""
        return len(self._under_way) + len(self._by_tcp)

    @property
    def cached(self) -> int:
        """Number of answers that are kept."""
        return len(self._cache)

    def set_situation(self, situation: Situation, now: float) -> None:
        """Obey a new situation, also for the queries under way."""
        if situation == self.situation:
            return
        former, self.situation = self.situation, situation
        self._known.clear()
        self._suspects.clear()
        if _where(former) != _where(situation):
            self.forget_answers()
        for query in self._all():
            route = self._route(query.message)
            if route != query.route:
                self._close_attempts(query)
                query.given_up = None
                query.generation = self._generation
                query.start_over(route)
                self._place(query, now)

    def forget_answers(self) -> None:
        """Keep nothing that was learnt until now, nor what is still asked: another network."""
        self._generation += 1
        self._cache.clear()
        self._plain.clear()

    def receive_query(
        self, data: bytes, client: Hashable, transport: Transport, now: float
    ) -> None:
        """Take a query; ``client`` comes back with the answer."""
        self.queries += 1
        key = data[2:]
        by_udp = transport is Transport.UDP
        intranet = self.situation.intranet is TunnelState.UP
        if kept := self._cache.get(key, now, intranet=intranet):
            self.hits += 1
            self._events.append(AnswerReady(client, data[:2] + kept))
            return
        under_way = self._under_way if by_udp else self._by_tcp
        if query := under_way.get(key):
            self._join(query, client, data)
            return
        if (known := self._known.get(key)) is None and (known := self._read(data, client)) is None:
            return
        if self.pending >= MAXIMUM_PENDING:
            self._refuse(data, client, SERVFAIL, "too many queries")
            return
        message, route = known
        asked = data[HEADER_LENGTH : message.question_end]
        query = Query(
            data, message, asked, transport, now, route, self._generation, [(client, data[:2])]
        )
        under_way[key] = query
        self._place(query, now)

    def _read(self, data: bytes, client: Hashable) -> tuple[Message, Route] | None:
        """Read a query that was not seen before; None when there is nothing to ask."""
        try:
            message = parse_message(data)
        except WireError:
            self._refuse(data, client, FORMERR)
            return None
        if message.response:
            return None
        if message.opcode:
            self.queries -= 1  # of names nothing was asked
            self._refuse(data, client, NOTIMP)
            return None
        known = message, self._route(message)
        if len(data) <= MAXIMUM_KNOWN_QUERY:
            if len(self._known) >= MAXIMUM_KNOWN:
                self._known.clear()
            self._known[data[2:]] = known
        return known

    def _join(self, query: Query, client: Hashable, data: bytes) -> None:
        """Let another client wait for an answer that is on its way: one question, one guess."""
        waiter = client, data[:2]
        if waiter in query.waiters:
            return  # it asks again because we are slow; the answer will reach it
        if len(query.waiters) >= MAXIMUM_WAITERS:
            self._refuse(data, client, SERVFAIL, "too many queries")
            return
        query.waiters.append(waiter)

    def receive_answer(self, attempt: int, data: bytes, address: str, now: float) -> None:
        """Take what came for an attempt; what does not fit is dropped."""
        if (query := self._by_attempt.get(attempt)) is None:
            return
        sent, end = query.attempts[attempt], query.message.question_end
        if data[:2] != sent.number or data[4:6] != _ONE_QUESTION or len(data) < end:
            return
        if data[2] & (_RESPONSE | _OPCODE) != _RESPONSE:
            return
        if address != sent.server and _host(address) != _host(sent.server):
            return
        if data[12:end] != sent.question:
            if same_but_for_case(data[12:end], sent.question):
                self._ask_plainly(query, attempt, now)
            return
        self._suspects.pop(sent.server, None)
        if query.route.intranet:
            self._say_answering(True, query.route.servers)
            if data[3] & _RCODE == NOERROR:  # that a name is not there may be all that it knows
                self.heard[sent.server] = now
        if data[2] & _TRUNCATED and self._wants_tcp(query, sent):
            self._close_attempt(query, attempt)
            self._ask(query, now, server=sent.server, by_tcp=True)
            return
        self._take(query, attempt, data, now)

    def _take(self, query: Query, attempt: int, data: bytes, now: float) -> None:
        """Take an answer that fits: pass it on, unless others may know better."""
        rcode, sent = data[3] & _RCODE, query.attempts[attempt]
        end = query.message.question_end
        body = data[2:]
        if sent.question != (question := query.question):
            body = data[2:12] + question + data[end:]
        if rcode in (SERVFAIL, NOTIMP, REFUSED):
            query.refusal = body
            query.refused_by.add(sent.server)
            if not query.refused_by.issuperset(query.route.servers):
                self._fail(attempt, query, now)
                return
        if query.given_up is None:
            if query.route.intranet and self.situation.falls_back(rcode):
                self._fall_back(query, body, now)
                return
            if query.route.intranet and query.message.question.type == TYPE_A:
                body = _without_private(body)
            if rcode in (NOERROR, NXDOMAIN) and not data[2] & _TRUNCATED:
                self._keep(query, body, now)
        elif rcode != NOERROR:
            body = query.given_up
        query.advance(Input.ANSWERED)
        self._end(query, body)

    def _keep(self, query: Query, body: bytes, now: float) -> None:
        # Who asks the same by UDP may get it too.
        fits = len(body) + 2 <= query.message.payload
        if query.generation == self._generation and fits:
            self._cache.put(
                query.key, body, query.message.question, now, intranet=query.route.intranet
            )

    def receive_failure(self, attempt: int, now: float) -> None:
        """The attempt cannot succeed any more: refused, unreachable, connection closed."""
        if (query := self._by_attempt.get(attempt)) is None:
            return
        self._suspects[query.attempts[attempt].server] = now + SUSPECT_TIME
        self._fail(attempt, query, now)

    def forget_client(self, client: Hashable) -> None:
        """The client is gone; drop what it alone asked."""
        for query in self._all():
            left = [waiter for waiter in query.waiters if waiter[0] != client]
            if not left:
                self._drop(query)
            query.waiters = left

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, at the earliest, or None."""
        return self._due if self.pending else None

    def handle_timer(self, now: float) -> None:
        """Let time pass: ask again, or give up."""
        for query in self._all():
            if now < query.timer_at:
                continue
            if query.state is State.HELD or now >= self._deadline(query):
                self._give_up(query, now)
                continue
            for sent in query.attempts.values():
                self._suspects[sent.server] = now + SUSPECT_TIME
            query.advance(Input.ATTEMPT_FAILED)
            query.failed.clear()
            self._ask(query, now)
        self._due = min((query.timer_at for query in self._all()), default=float("inf"))

    def _all(self) -> list[Query]:
        return [*self._under_way.values(), *self._by_tcp.values()]

    def _route(self, message: Message) -> Route:
        situation = self.situation
        rule = situation.table.match(message.question.labels) if situation.effective else None
        if rule is None or rule.exemption:
            return situation.local
        states = {
            TunnelState.UP: Input.ROUTE_OPEN,
            TunnelState.CONNECTING: Input.ROUTE_COMING,
            TunnelState.DOWN: Input.ROUTE_CLOSED,
        }
        return Route(rule.servers, True, states[situation.intranet])

    def _place(self, query: Query, now: float) -> None:
        if query.route.state is Input.ROUTE_CLOSED and self._may_fall_back(query):
            self._fall_back(query, self._refusal(query), now)
            return
        query.advance(query.route.state)
        if query.state is State.ASKED:
            self._ask(query, now)
        elif query.state is State.HELD:
            self._wake(query, query.arrived_at + HOLD_TIME)
        else:
            self._end(query, self._refusal(query))

    def _may_fall_back(self, query: Query) -> bool:
        """Whether local DNS is asked when the intranet's servers say nothing."""
        return query.route.intranet and query.given_up is None and self.situation.falls_back(None)

    def _fall_back(self, query: Query, given_up: bytes, now: float) -> None:
        """Ask local DNS; when it knows nothing better, what the intranet said counts."""
        self._close_attempts(query)
        query.given_up = given_up
        query.start_over(self.situation.local)
        query.advance(Input.ROUTE_OPEN)
        self._ask(query, now)

    def _deadline(self, query: Query) -> float:
        time = INTRANET_TIME if self._may_fall_back(query) else TOTAL_TIME
        return query.arrived_at + time

    def _wake(self, query: Query, at: float) -> None:
        query.timer_at = at
        if at < self._due:
            self._due = at

    def _next_server(self, query: Query, now: float) -> str:
        if not self._suspects and not query.asked:
            return query.route.servers[0]

        def order(server: str) -> tuple[bool, bool, int]:
            suspect = self._suspects.get(server, 0.0) > now
            return server in query.failed, suspect, query.asked.get(server, 0)

        return min((s for s in query.route.servers if s not in query.refused_by), key=order)

    def _ask(self, query: Query, now: float, *, server: str = "", by_tcp: bool = False) -> None:
        server = server or self._next_server(query, now)
        query.asked[server] = query.asked.get(server, 0) + 1
        while len(query.attempts) >= MAXIMUM_OPEN_ATTEMPTS:
            self._close_attempt(query, next(iter(query.attempts)))
        by_tcp = by_tcp or query.transport is Transport.TCP or now >= query.arrived_at + TCP_AFTER
        if by_tcp and self._tcp_attempts >= MAXIMUM_TCP_ATTEMPTS:
            by_tcp = query.transport is Transport.TCP
        self._tcp_attempts += by_tcp
        transport = Transport.TCP if by_tcp else Transport.UDP
        question = query.question
        if not by_tcp and not query.route.intranet and self._plain.get(server, 0.0) <= now:
            # Through the tunnel nobody else can answer.
            question = spelled(question[:-4], self._random_bits) + question[-4:]
        number = self._random_bits(16).to_bytes(2, "big")
        attempt, self._next_attempt = self._next_attempt, self._next_attempt + 1
        query.attempts[attempt] = Attempt(server, number, question, transport)
        self._by_attempt[attempt] = query
        pause = TCP_ATTEMPT_TIME if by_tcp else UDP_ATTEMPT_TIME
        self._wake(query, min(now + pause, self._deadline(query)))
        message = query.message
        data = number + query.data[2:12] + question + query.data[message.question_end :]
        if message.payload > SAFE_PAYLOAD:
            data = with_payload(data, message.opt, SAFE_PAYLOAD)
        self._events.append(AttemptStarted(attempt, server, data, transport, query.route.intranet))

    def _wants_tcp(self, query: Query, sent: Attempt) -> bool:
        """Whether the client takes more by UDP than we let the server send."""
        by_udp = query.transport is Transport.UDP and sent.transport is Transport.UDP
        room = self._tcp_attempts < MAXIMUM_TCP_ATTEMPTS
        return by_udp and room and query.message.payload > SAFE_PAYLOAD

    def _ask_plainly(self, query: Query, attempt: int, now: float) -> None:
        """The server does not keep the case of letters; the answer itself may be a guess."""
        server = query.attempts[attempt].server
        self._plain[server] = now + PLAIN_TIME
        self._close_attempt(query, attempt)
        self._ask(query, now, server=server)

    def _fail(self, attempt: int, query: Query, now: float) -> None:
        """Ask the next server at once, but not in circles: a second round waits for the timer."""
        server = query.attempts[attempt].server
        self._close_attempt(query, attempt)
        query.failed.add(server)
        if query.attempts:
            return
        if not (query.failed | query.refused_by).issuperset(query.route.servers):
            query.advance(Input.ATTEMPT_FAILED)
            self._ask(query, now)
            return
        query.lost_rounds += 1
        if query.lost_rounds >= LOST_ROUNDS:
            self._give_up(query, now)

    def _give_up(self, query: Query, now: float) -> None:
        silent = query.state is State.ASKED and not query.refused_by
        if query.route.intranet and silent:
            self._say_answering(False, query.route.servers)
        answer = query.refusal or self._refusal(query)
        if self._may_fall_back(query):
            self._fall_back(query, answer, now)
            return
        query.advance(Input.TIME_SPENT)
        self._end(query, query.given_up or answer)

    def _end(self, query: Query, body: bytes) -> None:
        """Tell everybody who waits; ``body`` is the answer without a number."""
        self._drop(query)
        message = query.message
        if query.transport is Transport.UDP and len(body) + 2 > message.payload:
            body = build_truncated(b"\0\0" + body, message.question_end)[2:]
        for client, number in query.waiters:
            self._events.append(AnswerReady(client, number + body))

    def _drop(self, query: Query) -> None:
        self._close_attempts(query)
        by_udp = query.transport is Transport.UDP
        del (self._under_way if by_udp else self._by_tcp)[query.key]

    def _close_attempts(self, query: Query) -> None:
        for attempt in list(query.attempts):
            self._close_attempt(query, attempt)

    def _close_attempt(self, query: Query, attempt: int) -> None:
        sent = query.attempts.pop(attempt)
        self._tcp_attempts -= sent.transport is Transport.TCP
        del self._by_attempt[attempt]
        self._events.append(AttemptEnded(attempt))

    def _refuse(self, data: bytes, client: Hashable, rcode: int, text: str = "") -> None:
        answer = build_refusal(data, rcode, text)
        if answer is not None:
            self._events.append(AnswerReady(client, answer))

    def _refusal(self, query: Query) -> bytes:
        answer = build_refusal(query.data, SERVFAIL, _why(query.route))
        assert answer is not None  # it was read as a query
        return answer[2:]

    def _say_answering(self, answering: bool, servers: tuple[str, ...]) -> None:
        if answering is not self._answering:
            self._answering = answering
            self._events.append(IntranetServersChanged(answering, servers))


def _where(situation: Situation) -> object:
    """What makes the answers of one situation no answers of another."""
    return situation.effective, situation.table, situation.local_servers, situation.fallback


def _without_private(body: bytes) -> bytes:
    """Return an answer of the intranet to a question of type A, without its private addresses.

    The tunnels carry IPv6 alone. A program that falls back to 10.0.0.1 of the intranet would talk,
    in the clear, to whatever has that address in the network around it; so there is none to fall
    back to. Public addresses lead where they say from anywhere.
    """
    answer = b"\0\0" + body
    try:
        addresses = parse_answer(answer).addresses
        if all(ip_address(address).is_global for address in addresses):
            return body
        return build_empty(answer, parse_message(answer).question_end)[2:]
    except WireError:
        return body  # nobody can read an address in it


def _why(route: Route) -> str:
    if not route.intranet:
        return "the local DNS servers do not answer" if route.servers else "no local DNS server"
    if route.state is Input.ROUTE_OPEN:
        return "the intranet DNS servers do not answer"
    return "the infrastructure tunnel is down"


def _host(address: str) -> IPv4Address | IPv6Address:
    # Answers from link-local servers carry no zone in their address.
    return ip_address(address.partition("%")[0])
