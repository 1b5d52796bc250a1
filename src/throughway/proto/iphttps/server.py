"""The IP-HTTPS server, [MS-IPHTTPS] 3.2.

Driven by :mod:`throughway.net.iphttps_server`. The machine owns the client table, the HTTP
exchange, the addresses of the link and every packet that is unusual; the driver moves all the
others in bulk (:mod:`throughway.proto.iphttps.stream`).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from throughway.model.config import AuthenticationMode
from throughway.model.errors import LocalProtocolError, RemoteProtocolError
from throughway.proto.iphttps.http import (
    URL,
    Request,
    RequestError,
    RequestReader,
    build_refusal,
    build_response,
)
from throughway.proto.iphttps.neighbours import Neighbours
from throughway.proto.iphttps.session import Drop, Session, SessionInput, SessionState
from throughway.proto.iphttps.slowpath import PacketForClient, PacketForHost, SlowPath
from throughway.proto.router import Router

MAX_HALF_OPEN = 512
"""Connections without a request yet; here as at the other limits the oldest goes when there is
one more, so that a flood of them never keeps out a client which speaks at once."""


class State(StrEnum):
    """Of [MS-IPHTTPS] 3.2.1."""

    STOPPED = "stopped"
    LISTEN = "listen"
    DISABLED = "disabled"


class Input(Enum):
    """What our own caller can do to the server."""

    START = auto()
    ENABLE = auto()
    DISABLE = auto()
    SHUT_DOWN = auto()


# Nothing a client does changes the state of the server ([MS-IPHTTPS] 3.2.5.3).
TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.STOPPED, Input.START): State.LISTEN,
    (State.STOPPED, Input.DISABLE): State.DISABLED,
    (State.STOPPED, Input.SHUT_DOWN): State.STOPPED,
    (State.LISTEN, Input.DISABLE): State.DISABLED,
    (State.LISTEN, Input.SHUT_DOWN): State.STOPPED,
    (State.DISABLED, Input.ENABLE): State.LISTEN,
    (State.DISABLED, Input.DISABLE): State.DISABLED,
    (State.DISABLED, Input.SHUT_DOWN): State.STOPPED,
}


class Refusal(StrEnum):
    """Why a connection did not become a session."""

    NOT_LISTENING = "not-listening"
    SESSION_LIMIT = "session-limit"
    SOURCE_LIMIT = "source-limit"
    HALF_OPEN_LIMIT = "half-open-limit"
    TIMEOUT = "timeout"
    """No whole request within the time for TLS handshake and head."""
    HANDSHAKE = "handshake"
    CLOSED = "closed"
    """By the client, before it had sent a request."""
    REQUEST = "request"
    """Not one for a session on our URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one server takes on."""

    max_sessions: int = 2000
    """Half-open ones count."""
    max_sessions_per_source: int = 64
    """Half-open ones count. 0: no limit, for a server behind a device that ends TLS, where all
    clients have one source."""
    max_addresses_per_session: int = 8
    head_timeout: float = 10.0
    """Seconds for TLS handshake and HTTP head together."""
    client_to_client: bool = False


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A client is on the link; these bytes of its stream are here already."""

    session: Session
    remainder: bytes


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A connection has ended or is to be ended, once what is due to it was sent."""

    session: Session
    reason: str
    was_open: bool


Event = SessionOpened | SessionClosed | PacketForClient | PacketForHost


class Server:
    """The server of one link."""

    def __init__(
        self,
        url: URL,
        router: Router,
        *,
        authentication: AuthenticationMode = AuthenticationMode.NONE,
        limits: Limits | None = None,
        wall_clock: Callable[[], float],
    ) -> None:
        self.state = State.STOPPED
        self.url = url
        self.limits = limits or Limits()
        self.refusals: Counter[Refusal] = Counter()
        self.sessions: dict[int, Session] = {}
        """Open ones, by number."""
        self.neighbours = Neighbours(
            router.link, max_addresses=self.limits.max_addresses_per_session
        )
        self._half_open: dict[int, Session] = {}
        self._by_key: dict[tuple[str, str], Session] = {}
        self._sources: Counter[str] = Counter()
        self._router = router
        self._wall_clock = wall_clock
        self._number = 0
        self._events: deque[Event] = deque()
        self._slow_path = SlowPath(router, self.neighbours, self._events.append)
        self._slow_path.authentication = authentication
        self._slow_path.client_to_client = self.limits.client_to_client

    @property
    def authentication(self) -> AuthenticationMode:
        """Return whether clients must show certificates."""
        return self._slow_path.authentication

    def start(self) -> None:
        """Listen (3.2.3)."""
        self._advance(Input.START)

    def enable(self) -> None:
        """Listen again after :meth:`disable` (3.2.4.1)."""
        self._advance(Input.ENABLE)

    def disable(self) -> None:
        """Drop all clients and take no more (3.2.4.2)."""
        self._advance(Input.DISABLE)
        self._close_all("the server was disabled")

    def shut_down(self) -> None:
        """Drop all clients and stop (3.2.7.3)."""
        self._advance(Input.SHUT_DOWN)
        self._close_all("the server shuts down")

    def set_authentication(self, mode: AuthenticationMode) -> None:
        """Change the mode, which drops all clients (3.2.7.1)."""
        if mode is not self.authentication:
            self._slow_path.authentication = mode
            self._close_all("the authentication mode was changed")

    def drop_all(self, reason: str) -> None:
        """Drop all clients; they may come back at once."""
        self._close_all(reason)

    def configure(self, limits: Limits) -> None:
        """Take other limits; sessions which are open stay."""
        self.limits = limits
        self.neighbours.max_addresses = limits.max_addresses_per_session
        self._slow_path.client_to_client = limits.client_to_client

    def at_limit(self, source: str) -> bool:
        """Whether one more connection from there would be one too many."""
        return self._refusal(source) not in (None, Refusal.NOT_LISTENING)

    def accept(self, address: str, port: int, source: str, now: float) -> Session | None:
        """Enter a new connection, half-open; None: it is one too many and must be closed.

        At a limit the oldest connection without a request makes room for the new one.
        """
        while (refusal := self._refusal(source)) is not None:
            if not self._make_room(refusal, source):
                self.refusals[refusal] += 1
                return None
        self._number += 1
        peer = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        session = Session(self._number, peer, source, RequestReader(self.url), now=now)
        self._half_open[session.number] = session
        self._sources[source] += 1
        return session

    def receive_data(self, session: Session, data: bytes, now: float) -> None:
        """Take bytes of a request; the stream behind it comes with :class:`SessionOpened`.

        Once a session is open its stream is the driver's; this is then not called any more.
        """
        session.heard_at = now
        if session.state is not SessionState.HALF_OPEN:
            return
        try:
            request = session.reader.receive_data(data)
            if request is not None:
                self._admit(session, request)
        except RequestError as error:
            session.outgoing = build_refusal(error.status, str(error), self._wall_clock())
            self._close(session, f"{error.status} {error}", Refusal.REQUEST)

    def receive_slow(self, session: Session, packet: bytes, now: float) -> None:
        """Take a packet which does not pass in bulk."""
        if session.state is not SessionState.OPEN:
            return
        if session.slow.take(now):
            self._slow_path.receive(session, packet, self.sessions.values(), now)
        else:
            session.drops[Drop.TOO_OFTEN] += 1

    def receive_garbage(self, session: Session, error: RemoteProtocolError) -> None:
        """Take note that a stream is out of step: the session ends (3.2.5.2.2)."""
        self._close(session, str(error), Refusal.REQUEST)

    def connection_lost(
        self, session: Session, reason: str, refusal: Refusal = Refusal.CLOSED
    ) -> None:
        """Take note that a connection ended (3.2.7.2)."""
        self._close(session, reason, refusal)

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return min(self._timers(), default=None) if self.state is State.LISTEN else None

    def handle_timer(self, now: float) -> None:
        """Let time pass: slow heads, contests for addresses, advertisements."""
        for session in list(self._half_open.values()):
            if now < self._deadline(session):
                break
            self._close(session, "no request in time", Refusal.TIMEOUT)
        self.neighbours.handle_timer(now)
        advertisement = self._router.handle_timer(now)
        if advertisement is not None:
            for session in self.sessions.values():
                self._events.append(PacketForClient(session, advertisement))

    def _timers(self) -> Iterator[float]:
        yield self._router.timer_at()
        contest = self.neighbours.timer_at()
        if contest is not None:
            yield contest
        if self._half_open:  # in the order of their deadlines, since all have the same time
            yield self._deadline(next(iter(self._half_open.values())))

    def _deadline(self, session: Session) -> float:
        return session.accepted_at + self.limits.head_timeout

    def _refusal(self, source: str) -> Refusal | None:
        if self.state is not State.LISTEN:
            return Refusal.NOT_LISTENING
        if len(self.sessions) + len(self._half_open) >= self.limits.max_sessions:
            return Refusal.SESSION_LIMIT
        if 0 < self.limits.max_sessions_per_source <= self._sources[source]:
            return Refusal.SOURCE_LIMIT
        return Refusal.HALF_OPEN_LIMIT if len(self._half_open) >= MAX_HALF_OPEN else None

    def _make_room(self, refusal: Refusal, source: str) -> bool:
        """Close the oldest half-open connection, of the source itself where that is at its limit.

        Else whoever shares a client's NAT could keep it out by connecting and saying nothing.
        """
        if refusal is Refusal.NOT_LISTENING:
            return False
        own = refusal is Refusal.SOURCE_LIMIT
        for session in self._half_open.values():
            if not own or session.source == source:
                self._close(session, "too many connections without a request", refusal)
                return True
        return False

    def _admit(self, session: Session, request: Request) -> None:
        """Open the session (3.2.5.1); one with the same key makes way."""
        if self.authentication is AuthenticationMode.CERTIFICATES and not session.certificate:
            raise RequestError(403, "A client certificate is needed here.")
        session.key = request.session
        key = (session.certificate, session.key)
        old = self._by_key.get(key) if session.key else None
        if old is not None:
            self.neighbours.inherit(old, session)
            self._close(old, "its client came back over a new connection")
        if session.key:
            self._by_key[key] = session
        del self._half_open[session.number]
        session.advance(SessionInput.ACCEPT)
        self.sessions[session.number] = session
        session.outgoing = build_response(self._wall_clock())
        self._events.append(SessionOpened(session, request.remainder))
        self._events.append(PacketForClient(session, self._router.advertisement()))

    def _close(self, session: Session, reason: str, refusal: Refusal = Refusal.CLOSED) -> None:
        if session.state is SessionState.CLOSED:
            return
        was_open = session.state is SessionState.OPEN
        session.advance(SessionInput.CLOSE)
        if was_open:
            del self.sessions[session.number]
            self.neighbours.release(session)
            key = (session.certificate, session.key)
            if self._by_key.get(key) is session:
                del self._by_key[key]
        else:
            del self._half_open[session.number]
            self.refusals[refusal] += 1
        self._sources[session.source] -= 1
        if not self._sources[session.source]:
            del self._sources[session.source]
        self._events.append(SessionClosed(session, reason, was_open))

    def _close_all(self, reason: str) -> None:
        for session in (*self._half_open.values(), *self.sessions.values()):
            self._close(session, reason)

    def _advance(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {self.state.name}") from None
