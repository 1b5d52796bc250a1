"""The IP-HTTPS client, [MS-IPHTTPS] 3.1.

Driven by :mod:`throughway.net.iphttps_client`. The machine says when a connection is wanted and
learns of its fate; it speaks the HTTP exchange and then steps aside: with the link up, packets
go between stream and TUN device in batches (:mod:`throughway.proto.iphttps.stream`).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from throughway.model.errors import (
    LocalProtocolError,
    NetworkLeftError,
    RemoteProtocolError,
    Stage,
    TransportError,
)
from throughway.proto.iphttps.adc import CERTIFICATE_PROBLEMS, EXPIRED, NO_CERTIFICATE
from throughway.proto.iphttps.http import (
    CONTENT_LENGTH,
    SERVER,
    SIGNED_LENGTH,
    URL,
    Response,
    ResponseReader,
    build_request,
)
from throughway.wire.icmpv6 import RouterSolicitation, build_icmpv6
from throughway.wire.ipv6 import ALL_ROUTERS, UNSPECIFIED

RESPONSE_TIMEOUT = 10.0
"""Seconds for the head of the response: a captive portal or a wrong server may never answer."""
PROBE_TIMEOUT = 1.5
"""Seconds in which a link must give a sign of life after the network changed: long enough for
satellites, short enough to be back within three seconds."""
SILENT_AFTER = 2.0
"""Seconds without an answer to anything that was sent, after which a sign of life is asked for."""
SILENT_TIMEOUT = 4.0
"""Seconds for that sign: nothing has changed here, and a line that loses much needs its time."""

HTTP_STATUS_CODE = 0x80190000
"""Windows shows an HTTP status as this plus the status."""
WAIT_TIMEOUT_CODE = 0x274C
INVALID_TOKEN_CODE = 0x80090308
SOLICITATION = build_icmpv6(RouterSolicitation(), source=UNSPECIFIED, destination=ALL_ROUTERS)
"""From the unspecified address, so that any server answers it in the stream."""


class State(StrEnum):
    """Of [MS-IPHTTPS] 3.1.1."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    LINK_DOWN = "link-down"
    ESTABLISHED = "established"
    LINK_UP = "link-up"


class Input(Enum):
    """What can happen to the client."""

    ENABLE = auto()
    INITIALIZE = auto()
    DISABLE = auto()
    CONNECTION_MADE = auto()
    RESPONSE_ACCEPTED = auto()
    CONNECTION_LOST = auto()
    RECONNECT = auto()


OWN = frozenset({Input.ENABLE, Input.INITIALIZE, Input.DISABLE})
"""What only our own caller does, and what can therefore be refused."""

# Every transition there is. What the network or the clock does is allowed in every state.
TRANSITIONS: dict[tuple[State, Input], State] = (
    {(state, what): state for state in State for what in Input if what not in OWN}
    | {
        (State.DISABLED, Input.ENABLE): State.ENABLED,
        (State.ENABLED, Input.INITIALIZE): State.LINK_DOWN,
        (State.LINK_DOWN, Input.CONNECTION_MADE): State.ESTABLISHED,
        (State.ESTABLISHED, Input.RESPONSE_ACCEPTED): State.LINK_UP,
        (State.ESTABLISHED, Input.CONNECTION_LOST): State.LINK_DOWN,
        (State.LINK_UP, Input.CONNECTION_LOST): State.LINK_DOWN,
    }
    | {(state, Input.DISABLE): State.DISABLED for state in State}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectPolicy:
    """When to try again.

    The specification waits 30 seconds after the first failure, then as long as has passed since
    the first failure, at most 15 minutes (3.1.2.1). Most losses are over in a moment (another
    access point, a gateway that restarts), so we try at short intervals within the first
    ``quick_spell``, and every minute from there on: who waits for a quarter of an hour when all
    is well again calls the help desk. Two thousand clients make 33 connections a second of that.
    """

    quick: tuple[float, ...] = (0.25, 0.5, 1.0, 1.0, *(2.0,) * 15, 4.0, 6.0)
    """Seconds before each try of the quick spell; the last one goes on. A link which was up and
    is lost is tried again at once before these."""
    quick_spell: float = 900.0
    """Seconds since the first failure."""
    first: float = 30.0
    """Seconds; the specification's first timeout, for a policy without a quick spell."""
    maximum: float = 60.0
    """Seconds."""
    stable_after: float = 5.0
    """Seconds a link must last to be a success; one which falls at once does not start the
    schedule anew, or two computers with the same key would throw each other out for ever."""
    spread: float = 0.25
    """Part of a delay by which it may be longer, at random: a restarted gateway should not meet
    all its clients in the same moment."""

    def delay(self, failures: int, failing_for: float) -> float:
        """Return the seconds to wait after so many failures in a row, for so long."""
        if failing_for < self.quick_spell and self.quick:
            return self.quick[min(failures, len(self.quick)) - 1]
        return min(max(failing_for, self.first), self.maximum)


SPECIFIED = ReconnectPolicy(quick=(), maximum=900.0, stable_after=0.0, spread=0.0)
"""The specification's schedule to the letter, but for the first retry of a link that was up."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state is another one; ``error`` says why, where something failed."""

    state: State
    error: TransportError | None = None


@dataclass(frozen=True, slots=True)
class ConnectionWanted:
    """Connect, and say how it went."""


@dataclass(frozen=True, slots=True)
class ConnectionUnwanted:
    """Drop the connection, or the attempt at one; say nothing of it."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """The stream begins; these bytes of it are here already."""

    remainder: bytes


@dataclass(frozen=True, slots=True)
class PacketQueued:
    """A packet of the machine's own goes into the stream."""

    packet: bytes


Event = StateChanged | ConnectionWanted | ConnectionUnwanted | LinkOpened | PacketQueued


class Client:
    """One IP-HTTPS link of a client."""

    def __init__(
        self,
        url: URL,
        *,
        session: str = "",
        policy: ReconnectPolicy | None = None,
        random: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.state = State.DISABLED
        self.url = url
        self.retry_at: float | None = None
        """When the next attempt is made, while none is under way."""
        self._session = session
        self._length = CONTENT_LENGTH
        self._policy = policy or ReconnectPolicy()
        self._random = random
        self._events: deque[Event] = deque()
        self._outgoing = b""
        self._reader = ResponseReader()
        self._deadline: float | None = None
        """For the response in Established, for a sign of life in LinkUp."""
        self._unanswered: float | None = None
        """Since when, in LinkUp, nothing has come, though something was sent."""
        self.doubted = False
        """Whether a sign of life is being waited for, because nothing comes."""
        self._up_since = 0.0
        self._failing_since: float | None = None
        self._failures = 0

    def enable(self) -> None:
        """Allow the link ([MS-IPHTTPS] 3.1.4.1)."""
        self._advance(Input.ENABLE)

    def initialize(self) -> None:
        """Bring the link up: policy or the user wants it (3.1.3)."""
        self._advance(Input.INITIALIZE)
        self._events.append(ConnectionWanted())

    def disable(self) -> None:
        """End the link (3.1.4.2)."""
        if self.state is not State.DISABLED:
            self._events.append(ConnectionUnwanted())
        self._advance(Input.DISABLE)
        self._reset()
        self.retry_at = self._deadline = self._unanswered = None
        self.doubted = False

    def network_changed(self, now: float) -> None:
        """Take note that the machine has another address or route, or was asleep.

        What waits is tried at once and from a clean slate; what is under way is begun anew, for
        its packets may go nowhere; a link that is up is asked for a sign of life.
        """
        if self.state is State.LINK_UP:
            self._deadline = now + PROBE_TIMEOUT if self._deadline is None else self._deadline
            self._events.append(PacketQueued(SOLICITATION))
        elif self.state in (State.LINK_DOWN, State.ESTABLISHED):
            self._reset()
            if self.retry_at is None:
                self._events.append(ConnectionUnwanted())
            if self.state is State.ESTABLISHED:
                self._advance(Input.CONNECTION_LOST)
            self._reconnect()

    def connection_made(self, now: float) -> None:
        """Take note that the HTTPS connection stands: ask for the session (3.1.5.2)."""
        if self.state is not State.LINK_DOWN:
            return
        self._advance(Input.CONNECTION_MADE)
        self._reader = ResponseReader()
        self._outgoing = build_request(self.url, self._session, self._length)
        self._deadline = now + RESPONSE_TIMEOUT

    def connection_lost(self, error: TransportError, now: float) -> None:
        """Take note that the connection failed or ended; it is gone already."""
        if self.state not in (State.LINK_DOWN, State.ESTABLISHED, State.LINK_UP):
            return
        was_up = self.state is State.LINK_UP
        self._outgoing = b""
        self._deadline = self._unanswered = None
        self.doubted = False
        if was_up and now - self._up_since >= self._policy.stable_after:
            self._reset()
        self._advance(Input.CONNECTION_LOST, error)
        first = self._failing_since is None
        self._failing_since = now if self._failing_since is None else self._failing_since
        if was_up and first:
            self.retry_at = now
            return
        self._failures += 1
        delay = self._policy.delay(self._failures, now - self._failing_since)
        self.retry_at = now + delay * (1 + self._policy.spread * self._random())

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the server until the link is up; ``b""`` is the end of the stream."""
        if self.state is not State.ESTABLISHED:
            return
        if not data:
            self._drop(_http_error("the server closed the connection without an answer"), now)
            return
        try:
            response = self._reader.receive_data(data)
        except RemoteProtocolError as error:
            self._drop(_http_error(str(error), INVALID_TOKEN_CODE, "iphttps-wrong-server"), now)
            return
        if response is None:
            return
        if response.status != 200:
            if response.status == 400 and response.server != SERVER:
                # A proxy that cannot count so far (nginx); the gateway behind it takes either.
                self._length = SIGNED_LENGTH + CONTENT_LENGTH - self._length
            self._drop(_refusal(response), now)
            return
        self._up_since, self._deadline = now, None
        self._advance(Input.RESPONSE_ACCEPTED)
        self._events.append(LinkOpened(response.remainder))
        self._events.append(PacketQueued(SOLICITATION))

    def receive_garbage(self, error: RemoteProtocolError, now: float) -> None:
        """Take note that the stream is out of step; it is ended."""
        if self.state is State.LINK_UP:
            self._drop(TransportError(Stage.LINK, str(error), problem="iphttps-wrong-server"), now)

    def packets_sent(self, now: float) -> None:
        """Take note that something was sent through the link: most of it is answered."""
        if self._unanswered is None and self.state is State.LINK_UP:
            self._unanswered = now

    def sign_of_life(self) -> None:
        """Take note that something came through the link."""
        if self.state is State.LINK_UP:
            self._deadline = self._unanswered = None
            self.doubted = False

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes which are due to the server."""
        data, self._outgoing = self._outgoing, b""
        return data

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        if self.retry_at is not None or self._deadline is not None:
            return self.retry_at if self.retry_at is not None else self._deadline
        return None if self._unanswered is None else self._unanswered + SILENT_AFTER

    def handle_timer(self, now: float) -> None:
        """Let time pass."""
        if self.retry_at is not None and now >= self.retry_at:
            self._reconnect()
        elif self._deadline is not None:
            if now >= self._deadline:
                self._drop(self._overdue(), now)
        elif self._unanswered is not None and now >= self._unanswered + SILENT_AFTER:
            self._deadline, self.doubted = now + SILENT_TIMEOUT, True
            self._events.append(PacketQueued(SOLICITATION))

    def _overdue(self) -> TransportError:
        if self.state is State.LINK_UP:
            if self.doubted:
                text = "nothing was answered and the link gives no sign of life"
                problem = "iphttps-port-blocked"
                return TransportError(
                    Stage.LINK, text, windows_code=WAIT_TIMEOUT_CODE, problem=problem
                )
            text = "the network changed and the link gives no sign of life"
            return NetworkLeftError(Stage.LINK, text, windows_code=WAIT_TIMEOUT_CODE)
        text = f"the server did not answer the request within {RESPONSE_TIMEOUT:g} s"
        return _http_error(text, WAIT_TIMEOUT_CODE)

    def _drop(self, error: TransportError, now: float) -> None:
        """End a connection for our own reasons."""
        self._events.append(ConnectionUnwanted())
        self.connection_lost(error, now)

    def _reconnect(self) -> None:
        self.retry_at = None
        self._advance(Input.RECONNECT)
        self._events.append(ConnectionWanted())

    def _reset(self) -> None:
        self._failing_since, self._failures = None, 0
        self._outgoing, self._deadline = b"", None

    def _advance(self, what: Input, error: TransportError | None = None) -> None:
        before = self.state
        try:
            self.state = TRANSITIONS[before, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} in state {before.name}") from None
        if self.state is not before or error is not None:
            self._events.append(StateChanged(self.state, error))


def _refusal(response: Response) -> TransportError:
    """Say why there is no session; a gateway of ours says more than a status."""
    code, _, words = response.refusal.partition(" ")
    if code in CERTIFICATE_PROBLEMS:
        none = code == NO_CERTIFICATE
        return TransportError(
            Stage.TLS,
            f"the gateway refuses this client: {words}",
            windows_code=0x90320 if none else 0x80090328 if code == EXPIRED else 0x80090327,
            problem="iphttps-client-cert-required" if none else "iphttps-client-cert-rejected",
        )
    text = f"the server answers {response.status} {response.reason}"
    text += f" ({response.server})" if response.server else ""
    return _http_error(text, HTTP_STATUS_CODE + response.status)


def _http_error(
    text: str, windows_code: int = 0, problem: str = "iphttps-http-refused"
) -> TransportError:
    return TransportError(Stage.HTTP, text, windows_code=windows_code, problem=problem)
