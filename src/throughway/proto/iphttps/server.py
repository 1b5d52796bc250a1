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
from throughway.proto.iphttps.adc import ADC, NO_CERTIFICATE, ClientRefusedError, refuse_claims
from throughway.proto.iphttps.http import (
    URL,
    Request,
    RequestError,
    RequestReader,
    build_refusal,
    build_response,
)
from throughway.proto.iphttps.neighbours import Neighbours
from throughway.proto.iphttps.session import (
    Drop,
    HalfOpen,
    Session,
    SessionInput,
    SessionState,
)
from throughway.proto.iphttps.slowpath import PacketForClient, PacketForHost, SlowPath
from throughway.proto.router import Router

MAX_HALF_OPEN = 4096
"""Connections without a request yet, besides the sessions: all clients come back at once after a
failure, and one over a slow path takes a second. With a TLS handshake begun each holds some 45
KiB, before that 2."""

ADVERTISEMENT_BATCH = 128
"""Clients that are told at once what is told to all of them: two milliseconds of work."""
ADVERTISEMENT_PAUSE = 0.05
"""Seconds until the next ones are: ten thousand within four seconds."""


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
    CERTIFICATE = "certificate"
    """No client certificate, or one that is not accepted."""
    ADC = "adc"
    """Not from a configured ADC, without its PROXY header, or with words that only it may say."""


LOOKED = frozenset({Refusal.CLOSED, Refusal.HANDSHAKE})
"""How connections end by which a machine looks whether its own listener serves."""


class _NoRoomError(RequestError):
    """A request which is as it must be, at a limit."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(503, "This gateway has as many sessions as it may have. Try again.")
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one server takes on."""

    max_sessions: int = 2000
    max_sessions_per_source: int = 64
    """And as many half-open ones. 0: no limit, for a server behind a device that ends TLS, where
    all clients have one source."""
    max_half_open: int = MAX_HALF_OPEN
    max_addresses_per_session: int = 8
    head_timeout: float = 10.0
    """Seconds for TLS handshake and HTTP head together."""
    client_to_client: bool = False
    sessions_per_certificate: int = 1
    """0: any number."""


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


@dataclass(frozen=True, slots=True)
class LimitReached:
    """There was one too many from this source, or in all."""

    source: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class ClientRefused:
    """A client was refused for who it is, or for what it claims to be."""

    peer: str
    problem: str
    """The catalogue's code."""
    reason: str


Event = (
    SessionOpened | SessionClosed | ClientRefused | LimitReached | PacketForClient | PacketForHost
)


class Server:
    """The server of one link."""

    def __init__(
        self,
        url: URL,
        router: Router,
        *,
        authentication: AuthenticationMode = AuthenticationMode.NONE,
        limits: Limits | None = None,
        adc: ADC | None = None,
        wall_clock: Callable[[], float],
    ) -> None:
        self.state = State.STOPPED
        self.url = url
        self.limits = limits or Limits()
        self.adc = adc
        """By what the words of devices that end TLS are taken; None: nobody is believed."""
        self.refusals: Counter[Refusal] = Counter()
        self.drops: Counter[Drop] = Counter()
        """Packets which went no further, of all sessions there ever were."""
        self.sessions: dict[int, Session] = {}
        """Open ones, by number."""
        self.neighbours = Neighbours(
            router.link, max_addresses=self.limits.max_addresses_per_session
        )
        self._half_open = HalfOpen()
        self._by_key: dict[tuple[str, str], Session] = {}
        self._by_certificate: dict[str, list[Session]] = {}
        """Open ones, oldest first."""
        self.suites: Counter[str] = Counter()
        """Open sessions, by cipher suite."""
        self._sources: Counter[str] = Counter()
        """Of open sessions."""
        self._router = router
        self._wall_clock = wall_clock
        self._number = 0
        self._unadvertised: list[int] = []
        """Sessions to which the advertisement that is due to all has still to go, last first."""
        self._advertise_at = 0.0
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

    def may_accept(self, now: float) -> bool:
        """Whether one more connection is not better left to wait in the kernel."""
        if len(self._half_open) < self.limits.max_half_open or self.state is not State.LISTEN:
            return True
        return self._half_open.overdue(now) is not None

    def accept(
        self,
        address: str,
        port: int,
        source: str,
        now: float,
        *,
        adc: bool = False,
        own: bool = False,
    ) -> Session | None:
        """Enter a new connection, half-open; None: it must be closed, see :meth:`may_accept`.

        ``adc``: it comes from a device whose words are believed; ``source`` "" counts not.
        ``own``: it comes from this machine, and is no refusal when it ends without a word.
        When there are too many half-open ones, of the source or in all, another one makes room:
        a client that comes back must get as far as its request, which says who it is.
        """
        if self.state is not State.LISTEN:
            self.refusals[Refusal.NOT_LISTENING] += 1
            return None
        share = self.limits.max_sessions_per_source
        if source and 0 < share <= self._half_open.of(source):
            self._push_out(self._half_open.least(now, source), source, Refusal.SOURCE_LIMIT)
        elif len(self._half_open) >= self.limits.max_half_open:
            overdue = self._half_open.overdue(now)
            if overdue is None:
                self.refusals[Refusal.HALF_OPEN_LIMIT] += 1
                return None
            self._push_out(overdue, source, Refusal.HALF_OPEN_LIMIT)
        self._number += 1
        peer = _peer(address, port)
        session = Session(self._number, peer, source, now=now, totals=self.drops, adc=adc, own=own)
        self._half_open.add(session)
        return session

    def peer_spoke(self, session: Session) -> None:
        """Take note that a client has said its first word, of TLS too."""
        if session.state is SessionState.HALF_OPEN:
            self._half_open.spoke(session)

    def peer_named(
        self, session: Session, address: str, port: int, source: str, now: float
    ) -> None:
        """Take note whose connection a device has passed on."""
        if session.state is not SessionState.HALF_OPEN:
            return
        share = self.limits.max_sessions_per_source
        if 0 < share <= self._half_open.of(source):
            self._push_out(self._half_open.least(now, source), source, Refusal.SOURCE_LIMIT)
        session.peer, session.own = _peer(address, port), False
        self._half_open.move(session, source)

    def turn_away(self, address: str, port: int, problem: str, reason: str) -> None:
        """Take note of a connection that is closed at once: nobody there may make one."""
        self.refusals[Refusal.ADC] += 1
        self._events.append(ClientRefused(_peer(address, port), problem, reason))

    def client_refused(
        self, session: Session, problem: str, reason: str, refusal: Refusal = Refusal.CERTIFICATE
    ) -> None:
        """Take note that a connection ended since the client is not who it must be."""
        if session.state is SessionState.HALF_OPEN:
            self._events.append(ClientRefused(session.peer, problem, reason))
            self._close(session, reason, refusal)

    def drop_session(self, number: int, reason: str) -> None:
        """Drop one client, if it is still there."""
        if number in self.sessions:
            self._close(self.sessions[number], reason)

    def drop_suites(self, part: str, reason: str) -> None:
        """Drop the clients whose cipher suite has this in its name."""
        if any(part in suite for suite in self.suites):
            for session in tuple(self.sessions.values()):
                if part in session.suite:
                    self._close(session, reason)

    def receive_data(self, session: Session, data: bytes, now: float) -> None:
        """Take bytes of a request; the stream behind it comes with :class:`SessionOpened`.

        Once a session is open its stream is the driver's; this is then not called any more.
        """
        session.heard_at = now
        if session.state is not SessionState.HALF_OPEN:
            return
        self._half_open.spoke(session)
        if session.reader is None:
            session.reader = RequestReader(self.url, self.adc.headers if self.adc else ())
        try:
            request = session.reader.receive_data(data)
            if request is not None:
                self._admit(session, request)
        except ClientRefusedError as error:
            text, status = str(error), error.status
            session.outgoing = build_refusal(status, text, self._wall_clock(), error.problem)
            kind = Refusal.CERTIFICATE if status == 403 else Refusal.ADC
            self.client_refused(session, error.problem, text, kind)
        except RequestError as error:
            refusal = error.refusal if isinstance(error, _NoRoomError) else Refusal.REQUEST
            session.outgoing = build_refusal(error.status, str(error), self._wall_clock())
            self._close(session, f"{error.status} {error}", refusal)

    def receive_slow(self, session: Session, packet: bytes, now: float) -> None:
        """Take a packet which does not pass in bulk."""
        if session.state is not SessionState.OPEN:
            return
        if session.slow.take(now):
            self._slow_path.receive(session, packet, self.sessions.values(), now)
        else:
            session.drop(Drop.TOO_OFTEN)

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
        while (slowest := self._half_open.oldest()) and now >= self._deadline(slowest):
            self._close(slowest, "no request in time", Refusal.TIMEOUT)
        self.neighbours.handle_timer(now)
        if self._router.handle_timer(now):
            self._unadvertised = [*reversed(self.sessions)]
        if self._unadvertised:
            self._advertise(now)

    def _advertise(self, now: float) -> None:
        """Send what is due to every client to some of them; the others have their turn soon."""
        packet, left = self._router.advertisement(), self._unadvertised
        for number in reversed(left[-ADVERTISEMENT_BATCH:]):
            if number in self.sessions:
                self._events.append(PacketForClient(self.sessions[number], packet))
        del left[-ADVERTISEMENT_BATCH:]
        self._advertise_at = now + ADVERTISEMENT_PAUSE

    def _timers(self) -> Iterator[float]:
        yield self._router.timer_at()
        if self._unadvertised:
            yield self._advertise_at
        contest = self.neighbours.timer_at()
        if contest is not None:
            yield contest
        slowest = self._half_open.oldest()  # all have the same time
        if slowest is not None:
            yield self._deadline(slowest)

    def _deadline(self, session: Session) -> float:
        return session.accepted_at + self.limits.head_timeout

    def _push_out(self, session: Session, source: str, refusal: Refusal) -> None:
        self._close(session, "too many connections without a request", refusal)
        self._events.append(LimitReached(source, refusal))

    def _check_room(self, session: Session, old: Session | None) -> None:
        """Refuse one session too many; one that takes another's place is not."""
        limits, refusal = self.limits, None
        own = self._sources[session.source] - (old is not None and old.source == session.source)
        if len(self.sessions) - (old is not None) >= limits.max_sessions:
            refusal = Refusal.SESSION_LIMIT
        elif session.source and 0 < limits.max_sessions_per_source <= own:
            refusal = Refusal.SOURCE_LIMIT
        if refusal is not None:
            self._events.append(LimitReached(session.source, refusal))
            raise _NoRoomError(refusal)

    def _admit(self, session: Session, request: Request) -> None:
        """Open the session (3.2.5.1); one with the same key makes way."""
        self._identify(session, request)
        session.key = request.session
        key = (session.fingerprint or session.certificate, session.key)
        old = self._by_key.get(key) if session.key else None
        if old is None and self.limits.sessions_per_certificate == 1:
            # Of a client that came back with another key, or without one.
            old = next(iter(self._by_certificate.get(session.fingerprint, ())), None)
        self._check_room(session, old)
        if old is not None:
            self.neighbours.inherit(old, session)
            self._close(old, "its client came back over a new connection")
        self._make_way(session)
        if session.key:
            self._by_key[key] = session
        self._half_open.remove(session)
        session.advance(SessionInput.ACCEPT)
        session.reader = None
        self.sessions[session.number] = session
        self._sources[session.source] += 1
        self.suites[session.suite] += 1
        session.outgoing = build_response(self._wall_clock())
        self._events.append(SessionOpened(session, request.remainder))
        self._events.append(PacketForClient(session, self._router.advertisement()))

    def _identify(self, session: Session, request: Request) -> None:
        """Find out who the client is, where something before us has ended TLS."""
        asked = self.authentication is AuthenticationMode.CERTIFICATES
        if self.adc is not None:
            if not session.adc or self.adc.config.tls:
                refuse_claims(request.watched)
            elif asked:
                verdict = self.adc.identify(session.tls, request.watched)
                session.certificate, session.fingerprint = verdict.subject, verdict.fingerprint
                session.serial = verdict.serial
        if asked and not (session.certificate or session.fingerprint):
            raise ClientRefusedError(NO_CERTIFICATE, "a client certificate is needed here")

    def _make_way(self, session: Session) -> None:
        """Close the oldest sessions of a certificate that has too many."""
        if not session.fingerprint:
            return
        own = self._by_certificate.setdefault(session.fingerprint, [])
        allowed = self.limits.sessions_per_certificate
        while 0 < allowed <= len(own):
            self._close(own[0], "its certificate opened another session")
            own = self._by_certificate.setdefault(session.fingerprint, [])
        own.append(session)

    def _close(self, session: Session, reason: str, refusal: Refusal = Refusal.CLOSED) -> None:
        if session.state is SessionState.CLOSED:
            return
        was_open = session.state is SessionState.OPEN
        session.advance(SessionInput.CLOSE)
        session.reader = None
        if was_open:
            del self.sessions[session.number]
            self._sources[session.source] -= 1
            if not self._sources[session.source]:
                del self._sources[session.source]
            self.suites[session.suite] -= 1
            if not self.suites[session.suite]:
                del self.suites[session.suite]
            self.neighbours.release(session)
            self._forget_certificate(session)
            key = (session.fingerprint or session.certificate, session.key)
            if self._by_key.get(key) is session:
                del self._by_key[key]
        else:
            self._half_open.remove(session)
            if not (session.own and refusal in LOOKED):
                self.refusals[refusal] += 1
        self._events.append(SessionClosed(session, reason, was_open))

    def _forget_certificate(self, session: Session) -> None:
        own = self._by_certificate.get(session.fingerprint)
        if own is not None:
            own.remove(session)
            if not own:
                del self._by_certificate[session.fingerprint]

    def _close_all(self, reason: str) -> None:
        for session in (*self._half_open, *self.sessions.values()):
            self._close(session, reason)

    def _advance(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {self.state.name}") from None


def _peer(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
