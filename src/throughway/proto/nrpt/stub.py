"""The stub resolver's decisions: each query goes to the intranet's or to the local DNS servers.

While the rules are effective a name under a rule with servers is never asked of local DNS: with
the infrastructure tunnel down it is refused, with the tunnel on its way up it is held for a
moment. Driven by :mod:`throughway.net.resolver`; RFC 1035, RFC 5452 (section 9) and [MS-GPNRPT].
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address

from throughway.model.errors import LocalProtocolError, WireError
from throughway.model.status import TunnelState
from throughway.proto.nrpt.table import Table
from throughway.wire.dns import (
    FORMERR,
    NOTIMP,
    REFUSED,
    SERVFAIL,
    Message,
    build_refusal,
    parse_message,
    with_id,
)

HOLD_TIME = 2.0
"""Seconds a query waits for a tunnel that is being set up."""
TOTAL_TIME = 4.5
"""Seconds until a query is refused: just before glibc asks again or gives up (5 s)."""
UDP_ATTEMPT_TIME = 1.0
"""Seconds until the next server is asked."""
TCP_ATTEMPT_TIME = 2.0
"""Seconds; a handshake comes first."""
LOST_ROUNDS = 2
"""Rounds in which every server is unreachable before a query is refused: one pause rides out a
change of network, more would only let programs hang while there is no network."""
SUSPECT_TIME = 30.0
"""Seconds a silent server is asked last."""
MAXIMUM_PENDING = 200
"""Queries under way; each holds at most two sockets, so this stays below 1024 descriptors."""
MAXIMUM_OPEN_ATTEMPTS = 2
"""Sockets of one query that may still bring a late answer."""


class Transport(Enum):
    """How a query came; it is forwarded the same way."""

    UDP = auto()
    TCP = auto()


class State(Enum):
    """Where a query is."""

    RECEIVED = auto()
    HELD = auto()
    ASKED = auto()
    ENDED = auto()


class Input(Enum):
    """What can happen to a query."""

    ROUTE_OPEN = auto()
    """There are servers and a way to them."""
    ROUTE_COMING = auto()
    """The tunnel is being set up."""
    ROUTE_CLOSED = auto()
    ATTEMPT_FAILED = auto()
    ANSWERED = auto()
    TIME_SPENT = auto()


TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.RECEIVED, Input.ROUTE_OPEN): State.ASKED,
    (State.RECEIVED, Input.ROUTE_COMING): State.HELD,
    (State.RECEIVED, Input.ROUTE_CLOSED): State.ENDED,
    (State.HELD, Input.ROUTE_OPEN): State.ASKED,
    (State.HELD, Input.ROUTE_COMING): State.HELD,
    (State.HELD, Input.ROUTE_CLOSED): State.ENDED,
    (State.HELD, Input.TIME_SPENT): State.ENDED,
    (State.ASKED, Input.ROUTE_OPEN): State.ASKED,
    (State.ASKED, Input.ROUTE_COMING): State.HELD,
    (State.ASKED, Input.ROUTE_CLOSED): State.ENDED,
    (State.ASKED, Input.ATTEMPT_FAILED): State.ASKED,
    (State.ASKED, Input.ANSWERED): State.ENDED,
    (State.ASKED, Input.TIME_SPENT): State.ENDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that decides where a name is asked."""

    table: Table = field(default_factory=Table)
    effective: bool = False
    """Whether the rules count: everywhere but inside."""
    local_servers: tuple[str, ...] = ()
    intranet: TunnelState = TunnelState.DOWN
    """The tunnel through which the rules' servers are reached."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """Send ``data`` to ``server`` from a new socket with a port of its own."""

    attempt: int
    server: str
    data: bytes
    transport: Transport
    intranet: bool


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """Close the socket of the attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class AnswerReady:
    """Send ``data`` to the client."""

    client: Hashable
    data: bytes


@dataclass(frozen=True, slots=True)
class IntranetServersChanged:
    """The intranet's DNS servers have begun or ceased to answer."""

    answering: bool
    servers: tuple[str, ...]


Event = AttemptStarted | AttemptEnded | AnswerReady | IntranetServersChanged


@dataclass(frozen=True, slots=True)
class _Route:
    """Where a name is asked now."""

    servers: tuple[str, ...]
    intranet: bool
    state: Input


@dataclass(slots=True)
class _Query:
    """One query under way."""

    data: bytes
    message: Message
    client: Hashable
    transport: Transport
    arrived_at: float
    route: _Route
    state: State = State.RECEIVED
    timer_at: float = 0.0
    asked: dict[str, int] = field(default_factory=dict)
    """How often each server has been asked."""
    attempts: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Open attempts: server and message id."""
    failed: set[str] = field(default_factory=set)
    """Servers that failed since the last pause."""
    refusal: bytes | None = None
    """An answer of a server that could not help: passed on when nobody else can."""
    refused_by: set[str] = field(default_factory=set)
    lost_rounds: int = 0

    @property
    def key(self) -> Hashable:
        return self.client, self.message.id, self.message.question

    def start_over(self, route: _Route) -> None:
        """Forget what was tried on another way."""
        self.route, self.refusal, self.lost_rounds = route, None, 0
        for tried in (self.asked, self.failed, self.refused_by):
            tried.clear()

    def advance(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {self.state.name}") from None


class Stub:
    """All queries of this machine that are under way."""

    def __init__(self, random_id: Callable[[], int]) -> None:
        """``random_id`` returns unguessable numbers of 16 bits (RFC 5452, section 9.2)."""
        self.situation = Situation()
        self._random_id = random_id
        self._pending: dict[Hashable, _Query] = {}
        self._by_attempt: dict[int, _Query] = {}
        self._next_attempt = 0
        self._suspects: dict[str, float] = {}
        self._answering: bool | None = None
        self._events: deque[Event] = deque()

    @property
    def pending(self) -> int:
        """Number of queries under way."""
        return len(self._pending)

    def set_situation(self, situation: Situation, now: float) -> None:
        """Obey a new situation, also for the queries under way."""
        if situation == self.situation:
            return
        self.situation = situation
        self._suspects.clear()
        for query in list(self._pending.values()):
            route = self._route(query.message)
            if route != query.route:
                self._close_attempts(query)
                query.start_over(route)
                self._place(query, now)

    def receive_query(
        self, data: bytes, client: Hashable, transport: Transport, now: float
    ) -> None:
        """Take a query; ``client`` comes back with the answer."""
        try:
            message = parse_message(data)
        except WireError:
            self._refuse(data, client, FORMERR)
            return
        if message.response:
            return
        if message.opcode:
            self._refuse(data, client, NOTIMP)
            return
        query = _Query(data, message, client, transport, now, self._route(message))
        if query.key in self._pending:
            # The client asks again because we are slow; the answer will reach it.
            return
        if len(self._pending) >= MAXIMUM_PENDING:
            self._refuse(data, client, SERVFAIL, "too many queries")
            return
        self._pending[query.key] = query
        self._place(query, now)

    def receive_answer(self, attempt: int, data: bytes, address: str, now: float) -> None:
        """Take what came on the socket of an attempt; what does not fit is dropped."""
        if (query := self._by_attempt.get(attempt)) is None:
            return
        server, identifier = query.attempts[attempt]
        try:
            message = parse_message(data)
        except WireError:
            return
        fits = message.response and message.id == identifier
        if not fits or message.question != query.message.question:
            return
        if _host(address) != _host(server):
            return
        answer = with_id(data, query.message.id)
        self._suspects.pop(server, None)
        if query.route.intranet:
            self._say_answering(True, query.route.servers)
        if message.rcode in {SERVFAIL, NOTIMP, REFUSED}:
            query.refusal = answer
            query.refused_by.add(server)
            if not query.refused_by.issuperset(query.route.servers):
                self._fail(attempt, query, now)
                return
        query.advance(Input.ANSWERED)
        self._end(query, answer)

    def receive_failure(self, attempt: int, now: float) -> None:
        """The attempt cannot succeed any more: refused, unreachable, connection closed."""
        if (query := self._by_attempt.get(attempt)) is None:
            return
        self._suspects[query.attempts[attempt][0]] = now + SUSPECT_TIME
        self._fail(attempt, query, now)

    def forget_client(self, client: Hashable) -> None:
        """The client is gone; drop what it asked."""
        for query in list(self._pending.values()):
            if query.client == client:
                self._drop(query)

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return min((query.timer_at for query in self._pending.values()), default=None)

    def handle_timer(self, now: float) -> None:
        """Let time pass: ask again, or give up."""
        for query in list(self._pending.values()):
            if now < query.timer_at:
                continue
            if query.state is State.HELD or now >= query.arrived_at + TOTAL_TIME:
                self._give_up(query)
                continue
            for server, _ in query.attempts.values():
                self._suspects[server] = now + SUSPECT_TIME
            query.advance(Input.ATTEMPT_FAILED)
            query.failed.clear()
            self._ask(query, now)

    def _route(self, message: Message) -> _Route:
        situation = self.situation
        rule = situation.table.match(message.question.labels) if situation.effective else None
        if rule is None or rule.exemption:
            servers = situation.local_servers
            return _Route(servers, False, Input.ROUTE_OPEN if servers else Input.ROUTE_CLOSED)
        states = {
            TunnelState.UP: Input.ROUTE_OPEN,
            TunnelState.CONNECTING: Input.ROUTE_COMING,
            TunnelState.DOWN: Input.ROUTE_CLOSED,
        }
        return _Route(rule.servers, True, states[situation.intranet])

    def _place(self, query: _Query, now: float) -> None:
        query.advance(query.route.state)
        if query.state is State.ASKED:
            self._ask(query, now)
        elif query.state is State.HELD:
            query.timer_at = query.arrived_at + HOLD_TIME
        else:
            self._end(query, self._refusal(query))

    def _ask(self, query: _Query, now: float) -> None:
        def order(server: str) -> tuple[bool, bool, int]:
            suspect = self._suspects.get(server, 0.0) > now
            return server in query.failed, suspect, query.asked.get(server, 0)

        willing = [s for s in query.route.servers if s not in query.refused_by]
        server = min(willing, key=order)
        query.asked[server] = query.asked.get(server, 0) + 1
        while len(query.attempts) >= MAXIMUM_OPEN_ATTEMPTS:
            self._close_attempt(query, next(iter(query.attempts)))
        attempt, identifier = self._next_attempt, self._random_id()
        self._next_attempt += 1
        query.attempts[attempt] = (server, identifier)
        self._by_attempt[attempt] = query
        pause = UDP_ATTEMPT_TIME if query.transport is Transport.UDP else TCP_ATTEMPT_TIME
        query.timer_at = min(now + pause, query.arrived_at + TOTAL_TIME)
        data = with_id(query.data, identifier)
        self._events.append(
            AttemptStarted(attempt, server, data, query.transport, query.route.intranet)
        )

    def _fail(self, attempt: int, query: _Query, now: float) -> None:
        """Ask the next server at once, but not in circles: a second round waits for the timer."""
        server, _ = query.attempts[attempt]
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
            self._give_up(query)

    def _give_up(self, query: _Query) -> None:
        silent = query.state is State.ASKED and not query.refused_by
        if query.route.intranet and silent:
            self._say_answering(False, query.route.servers)
        query.advance(Input.TIME_SPENT)
        self._end(query, query.refusal or self._refusal(query))

    def _end(self, query: _Query, answer: bytes | None) -> None:
        self._drop(query)
        if answer is not None:
            self._events.append(AnswerReady(query.client, answer))

    def _drop(self, query: _Query) -> None:
        self._close_attempts(query)
        del self._pending[query.key]

    def _close_attempts(self, query: _Query) -> None:
        for attempt in list(query.attempts):
            self._close_attempt(query, attempt)

    def _close_attempt(self, query: _Query, attempt: int) -> None:
        del query.attempts[attempt], self._by_attempt[attempt]
        self._events.append(AttemptEnded(attempt))

    def _refuse(self, data: bytes, client: Hashable, rcode: int, text: str = "") -> None:
        answer = build_refusal(data, rcode, text)
        if answer is not None:
            self._events.append(AnswerReady(client, answer))

    def _refusal(self, query: _Query) -> bytes | None:
        return build_refusal(query.data, SERVFAIL, _why(query.route))

    def _say_answering(self, answering: bool, servers: tuple[str, ...]) -> None:
        if answering is not self._answering:
            self._answering = answering
            self._events.append(IntranetServersChanged(answering, servers))


def _why(route: _Route) -> str:
    if not route.intranet:
        return "the local DNS servers do not answer" if route.servers else "no local DNS server"
    if route.state is Input.ROUTE_OPEN:
        return "the intranet DNS servers do not answer"
    return "the infrastructure tunnel is down"


def _host(address: str) -> IPv4Address | IPv6Address:
    # Answers from link-local servers carry no zone in their address.
    return ip_address(address.partition("%")[0])
