"""CONNECT through an HTTP proxy: RFC 9110, section 9.3.6, with every scheme of ``schemes``.

Driven by :mod:`throughway.net.proxy`. One machine is one tunnel: it may take several requests
and several connections until the proxy lets us through, or says that it does not. h11 reads and
writes, and the machine knows when to connect anew: a refusal is read to its end where the
connection is worth it.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

import h11

from throughway.model.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    Stage,
    TransportError,
)
from throughway.proto.proxy import digest, schemes
from throughway.proto.proxy.challenges import Challenge, parse_challenges
from throughway.proto.proxy.schemes import Credentials, Means, Memory, Scheme

ANSWER_TIME = 20.0
"""Seconds for one answer: the proxy resolves and connects before it can give it."""
MAXIMUM_REQUESTS = 8
"""Of one tunnel: two legs each of four schemes; a proxy that wants more goes round in circles."""
MAXIMUM_HEAD = 32 * 1024
"""Bytes of an answer's head; tokens of large domains are in it."""
MAXIMUM_BODY = 256 * 1024
"""Bytes of a refusal that are read to keep the connection; beyond it a new one is cheaper."""
AUTHENTICATION_REQUIRED = 407

REQUIRED = "proxy-authentication-required"
REFUSED = "proxy-credentials-refused"
BLOCKED = "proxy-blocks-iphttps"
UNREACHABLE = "proxy-unreachable"
SILENT = "iphttps-port-blocked"
"""Where the proxy is there, and what it was to connect to is not."""


class State(StrEnum):
    """How far the tunnel is."""

    IDLE = "idle"
    CONNECTING = "connecting"
    THINKING = "thinking"
    """A ticket is being asked for."""
    ASKED = "asked"
    DRAINING = "draining"
    """The body of a challenge is read."""
    OPEN = "open"
    FAILED = "failed"


class Input(Enum):
    """What moves it."""

    TICKET_NEEDED = auto()
    CONNECTION_NEEDED = auto()
    REQUEST_SENT = auto()
    CHALLENGED = auto()
    GRANTED = auto()
    FAILED = auto()


_LIVE = (State.IDLE, State.CONNECTING, State.THINKING, State.ASKED, State.DRAINING)
TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.IDLE, Input.TICKET_NEEDED): State.THINKING,
    (State.IDLE, Input.CONNECTION_NEEDED): State.CONNECTING,
    (State.THINKING, Input.CONNECTION_NEEDED): State.CONNECTING,
    (State.THINKING, Input.REQUEST_SENT): State.ASKED,
    (State.CONNECTING, Input.REQUEST_SENT): State.ASKED,
    (State.ASKED, Input.CHALLENGED): State.DRAINING,
    (State.ASKED, Input.CONNECTION_NEEDED): State.CONNECTING,
    (State.ASKED, Input.GRANTED): State.OPEN,
    (State.DRAINING, Input.TICKET_NEEDED): State.THINKING,
    (State.DRAINING, Input.CONNECTION_NEEDED): State.CONNECTING,
    (State.DRAINING, Input.REQUEST_SENT): State.ASKED,
    (State.THINKING, Input.TICKET_NEEDED): State.THINKING,
    **{(state, Input.FAILED): State.FAILED for state in _LIVE},
}


@dataclass(frozen=True, slots=True)
class ConnectionWanted:
    """Connect to the proxy; end the connection that there is, if any."""


@dataclass(frozen=True, slots=True)
class TicketWanted:
    """Ask for a Kerberos ticket for the proxy; give it to :meth:`Tunnel.receive_ticket`."""


@dataclass(frozen=True, slots=True)
class TunnelOpened:
    """From here on the connection is one to the target."""

    scheme: str
    """How we proved ourselves; "" where nobody asked."""


@dataclass(frozen=True, slots=True)
class TunnelFailed:
    """There will be none."""

    error: TransportError


Event = ConnectionWanted | TicketWanted | TunnelOpened | TunnelFailed


class Tunnel:
    """One tunnel to ``host`` and ``port`` through a proxy.

    ``memory`` is of that proxy: it makes the next tunnel begin with what worked before.
    """

    def __init__(
        self, host: str, port: int, *, credentials: Credentials, memory: Memory, means: Means
    ) -> None:
        self.state = State.IDLE
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._who, self._memory, self._means = credentials, memory, means
        self._scheme: Scheme | None = None
        self._header = ""
        """``Proxy-Authorization`` of the next request."""
        self._midway = False
        """Whether that is worth something on this connection only."""
        self._challenges: tuple[Challenge, ...] = ()
        self._given_up: list[str] = []
        """Schemes in which the proxy has refused us, or that we cannot carry out."""
        self._reasons: list[str] = []
        self._answer: _Answer | None = None
        self._requests = 0
        self._requests_here = 0
        """On this connection; 0: there is none."""
        self._deadline: float | None = None
        self._outgoing = b""
        self._events: deque[Event] = deque()

    def start(self, now: float) -> None:
        """Begin, with what let us in the last time."""
        if self._memory.scheme and schemes.permitted(self._memory.scheme, self._who):
            self._begin(self._memory.scheme, None, now)
        else:
            self._ask(now)

    def connection_made(self, now: float) -> None:
        """The connection to the proxy stands."""
        if self.state is State.CONNECTING:
            self._send(now)

    def receive_data(self, data: bytes, now: float) -> None:
        """Take what the proxy sends; b"" is the end of the connection."""
        if self.state not in (State.ASKED, State.DRAINING) or self._answer is None:
            if not data:
                self._requests_here = 0
            return
        try:
            self._answer.receive_data(data)
            self._read(self._answer, now)
            if not data and self.state is State.ASKED:
                raise h11.RemoteProtocolError("it ends the connection")
        except h11.RemoteProtocolError as error:
            self._garbled(error, ended=not data, now=now)

    def connection_lost(self, error: TransportError, now: float) -> None:
        """The connection was lost, or could not be made."""
        kept_alive, self._requests_here = self._requests_here > 1, 0
        match self.state:
            case State.CONNECTING:
                self._fail(error)
            case State.ASKED if kept_alive and not self._midway:
                # It was kept alive in words only; the same request may go on a new one.
                self._ask(now)
            case State.ASKED:
                words = "the proxy ends the connection instead of answering"
                self._fail(_error(words, BLOCKED, error.windows_code or 0x2746))
            case State.DRAINING:
                self._choose(now)

    def receive_ticket(self, token: bytes, now: float) -> None:
        """Take the ticket that :class:`TicketWanted` asked for."""
        if self.state is State.THINKING and isinstance(self._scheme, schemes.Kerberos):
            self._header = self._scheme.take(token)
            self._ask(now)

    def ticket_failed(self, reason: str, now: float) -> None:
        """Go on in another scheme: there is no ticket."""
        if self.state is State.THINKING:
            self._give_up(schemes.KERBEROS, f"no Kerberos ticket for it: {reason}")
            self._scheme = None
            if self._challenges:
                self._choose(now)
            else:
                self._ask(now)

    def data_to_send(self) -> bytes:
        """Return what the proxy must get."""
        data, self._outgoing = self._outgoing, b""
        return data

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Let time pass: end a silence.

        Whether the proxy itself is there is for the driver to ask; it asks before that.
        """
        if self._deadline is not None and now >= self._deadline:
            words = f"the proxy has no connection to {self._authority} within {ANSWER_TIME:g} s"
            self._fail(_error(words, SILENT, 0x274C))

    # Asking

    def _ask(self, now: float) -> None:
        """Send the request: on this connection, or on a new one."""
        if self._requests_here:
            self._send(now)
        else:
            self._deadline = None
            self._advance(Input.CONNECTION_NEEDED)
            self._events.append(ConnectionWanted())

    def _send(self, now: float) -> None:
        if self._requests == MAXIMUM_REQUESTS:
            words = f"the proxy refuses {MAXIMUM_REQUESTS} requests one after the other"
            self._fail(_error(words, REFUSED, 0x80190000 + AUTHENTICATION_REQUIRED))
            return
        self._requests += 1
        self._requests_here += 1
        self._answer = _Answer()
        try:
            self._outgoing += self._answer.request(self._authority, self._header)
        except h11.LocalProtocolError:
            # Said without what h11 says of it, which holds the header.
            words = "the user's name has characters that cannot be told to a proxy"
            self._fail(_error(words, REFUSED))
            return
        self._deadline = now + ANSWER_TIME
        self._advance(Input.REQUEST_SENT)

    # Reading

    def _read(self, answer: "_Answer", now: float) -> None:
        if self.state is State.ASKED and answer.status:
            if 200 <= answer.status < 300:
                self._open(answer)
                return
            if answer.status != AUTHENTICATION_REQUIRED:
                self._fail(_refusal(answer))
                return
            self._challenges = parse_challenges(answer.challenges)
            self._advance(Input.CHALLENGED)
        if self.state is State.DRAINING and (answer.ended or not answer.persistent):
            if not answer.persistent:
                self._requests_here = 0
            self._choose(now)

    def _open(self, answer: "_Answer") -> None:
        if answer.trailing():
            words = "the proxy sends something into the tunnel that is not of the gateway"
            self._fail(_error(words, BLOCKED))
            return
        name = self._scheme.name if self._scheme else ""
        self._memory.scheme = name
        if name == schemes.DIGEST and self._memory.session is not None:
            digest.take_next_nonce(self._memory.session, answer.authentication_info)
        self._advance(Input.GRANTED)
        self._deadline = None
        self._events.append(TunnelOpened(name))

    def _garbled(self, error: Exception, *, ended: bool, now: float) -> None:
        if ended:
            self.connection_lost(_error(str(error), BLOCKED, 0x2746), now)
        else:
            self._fail(_error(f"the answer is not that of a proxy: {error}", BLOCKED))

    # Proving who we are

    def _choose(self, now: float) -> None:
        """Answer a challenge: go on as we began, or in the next best scheme."""
        scheme, self._header, self._midway = self._scheme, "", False
        if scheme is not None and (own := schemes.own(scheme, self._challenges)) is not None:
            try:
                header = scheme.answer(own)
            except RemoteProtocolError as error:
                self._give_up(scheme.name, str(error))
                header = None
            if header is not None and scheme.bound and not self._requests_here:
                self._give_up(scheme.name, f"it ends the connection in the midst of {scheme.name}")
                header = None
            if header is not None:
                self._header, self._midway = header, scheme.bound
                self._ask(now)
                return
            self._give_up(scheme.name, f"{scheme.name} is refused")
        self._scheme = None
        self._memory.scheme = ""
        for name, challenge in schemes.ranked(self._challenges, self._who):
            if name not in self._given_up:
                self._begin(name, challenge, now)
                return
        self._fail(self._unauthenticated())

    def _begin(self, name: str, challenge: Challenge | None, now: float) -> None:
        """Begin in a scheme, with a challenge or, from memory, without."""
        scheme = self._scheme = schemes.make(
            name, self._who, self._memory, self._authority, self._means
        )
        if isinstance(scheme, schemes.Kerberos):
            self._deadline = None
            self._advance(Input.TICKET_NEEDED)
            self._events.append(TicketWanted())
            return
        begun_bare = challenge is None or scheme.bound
        header = scheme.opening() if begun_bare or challenge is None else scheme.answer(challenge)
        self._header = header or ""
        self._ask(now)

    def _give_up(self, name: str, reason: str) -> None:
        if name not in self._given_up:
            self._given_up.append(name)
            self._reasons.append(reason)

    def _unauthenticated(self) -> TransportError:
        """Say why nothing that we have satisfies the proxy."""
        code = 0x80190000 + AUTHENTICATION_REQUIRED
        offered = ", ".join(dict.fromkeys(c.scheme for c in self._challenges)) or "nothing known"
        if self._reasons:
            words = f"the proxy does not let us through: {'; '.join(self._reasons)}"
            return _error(words, REFUSED, code)
        if self._who.user and not self._who.disclose:
            words = "credentials are given only to a proxy that the configuration names"
        elif self._who.user:
            words = "we can answer none of these"
        else:
            words = "no credentials for it are configured"
        return _error(f"the proxy asks for authentication ({offered}): {words}", REQUIRED, code)

    def _fail(self, error: TransportError) -> None:
        self._advance(Input.FAILED)
        self._deadline = None
        self._events.append(TunnelFailed(error))

    def _advance(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {self.state.name}") from None


class _Answer:
    """One request and the proxy's answer to it."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAXIMUM_HEAD)
        self._body = self._received = 0
        self.status = 0
        """0 until the head is there."""
        self.reason = ""
        self.server = ""
        self.challenges: tuple[str, ...] = ()
        self.authentication_info = ""
        self.persistent = True
        self.ended = False

    def request(self, authority: str, header: str) -> bytes:
        """Write the request."""
        headers = [(b"Host", authority.encode()), (b"Proxy-Connection", b"keep-alive")]
        if header:
            headers.append((b"Proxy-Authorization", header.encode("latin-1")))
        request = h11.Request(method="CONNECT", target=authority, headers=headers)
        written = self._connection.send(request) or b""
        return written + (self._connection.send(h11.EndOfMessage()) or b"")

    def receive_data(self, data: bytes) -> None:
        """Take bytes; b"" is the end of the connection."""
        self._connection.receive_data(data)
        self._received += len(data)
        while not self.ended:
            event = self._connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if not self.status and self._received > MAXIMUM_HEAD:
                    # "100 Continue" again and again is within h11's own limit.
                    raise h11.RemoteProtocolError("its head has no end")
                return
            if isinstance(event, h11.Response):
                self._take_head(event)
                if 200 <= event.status_code < 300:
                    return
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
                if self._body > MAXIMUM_BODY:
                    self.persistent = False
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                self.ended = True
                self.persistent = self.persistent and not self.trailing()

    def trailing(self) -> bytes:
        """Return what came behind the answer."""
        return self._connection.trailing_data[0]

    def _take_head(self, head: h11.Response) -> None:
        headers = [(name, value.decode("latin-1")) for name, value in head.headers]

        def all_of(name: bytes) -> tuple[str, ...]:
            return tuple(value for key, value in headers if key == name)

        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.server = ", ".join((*all_of(b"server"), *all_of(b"via")))
        self.challenges = all_of(b"proxy-authenticate")
        self.authentication_info = ", ".join(all_of(b"proxy-authentication-info"))
        words = ",".join((*all_of(b"connection"), *all_of(b"proxy-connection"))).lower().split(",")
        options = {word.strip() for word in words}
        kept = "close" not in options and (head.http_version >= b"1.1" or "keep-alive" in options)
        framed = bool(all_of(b"content-length") or all_of(b"transfer-encoding"))
        self.persistent = kept and framed


def _refusal(answer: _Answer) -> TransportError:
    by = f" ({answer.server})" if answer.server else ""
    words = f"the proxy{by} answers {answer.status} {answer.reason}".rstrip()
    return _error(words, BLOCKED, 0x80190000 + answer.status)


def _error(words: str, problem: str, windows_code: int = 0) -> TransportError:
    return TransportError(Stage.PROXY, words, windows_code=windows_code, problem=problem)
