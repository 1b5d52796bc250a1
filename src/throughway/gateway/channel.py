"""What the gateway and its workers tell each other: objects, each a line of JSON, over a socket.

Both ends are ours: what does not parse is a bug. A worker's end is full only while the gateway
hangs; then news of sessions are dropped, since nobody could do anything about them.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from throughway.control.codec import decode_line, encode_line, from_json, to_json
from throughway.model.audit import Reason
from throughway.model.config import IPHTTPSServerConfig
from throughway.model.errors import WireError
from throughway.model.statement import Judged, StatementOfHealth
from throughway.model.status import SessionStatus
from throughway.net.tls import Credentials

MAX_LINE = 4 * 1024 * 1024
"""Bytes of one message: a page of sessions, or a configuration with its certificates."""
QUEUE_LIMIT = 4 * 1024 * 1024
"""Bytes which wait for the other end; behind them news are dropped."""
CHUNK = 256 * 1024
"""Bytes read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """The first order: file descriptors are those that the worker was born with."""

    config: IPHTTPSServerConfig
    """With the worker's own /64 as prefix."""
    credentials: Credentials
    routes: tuple[str, ...]
    interface: str
    udp: bool
    """Whether the device takes super-packets of UDP."""
    tun: int
    listeners: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """The first order to a process that carries 6to4 (:mod:`throughway.gateway.sixtofour`)."""

    interface: str
    udp: bool
    """Whether the device takes super-packets of UDP."""
    tun: int
    endpoints: tuple[tuple[str, str, int], ...]
    """IPv4 address, IPv6 address and the socket of each."""
    refused: tuple[str, ...]
    """IPv4 addresses that nobody else can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeTeredo:
    """The first order to a process that serves Teredo (:mod:`throughway.gateway.teredo`)."""

    address: str
    """The first of the two."""
    endpoints: tuple[str, ...]
    interface: str
    udp: bool
    """Whether the device takes super-packets of UDP."""
    tun: int
    sockets: tuple[tuple[str, int], ...]
    """By their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeReasons:
    """The first order to a process that answers clients (:mod:`throughway.gateway.reasons`)."""

    listener: int
    credentials: Credentials
    """Clients must have a certificate of ``client_ca``; it may have expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyRefused:
    """Asked by that process: why was this certificate refused?"""

    number: int
    thumbprint: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """The answer to :class:`WhyRefused` of that number."""

    number: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateHealth:
    """Told by that process: what a computer states, whose key TLS has proven."""

    number: int
    certificate: str
    """DER, hexadecimal."""
    statement: StatementOfHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthJudged:
    """The answer to :class:`StateHealth` of that number."""

    number: int
    judged: Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another configuration."""

    config: IPHTTPSServerConfig
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class LimitSessions:
    """Have no more sessions than this."""

    count: int


@dataclass(frozen=True, slots=True)
class DropSession:
    """Drop one client: its certificate has opened another session elsewhere."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class DropAll:
    """Drop all clients."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a report, with the sessions or without."""

    number: int
    sessions: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End in order."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker serves."""

    pump: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A session was opened."""

    session: SessionStatus


@dataclass(frozen=True, slots=True)
class Closed:
    """A session was closed."""

    session: SessionStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A client was refused for who it is, or for what it claims to be."""

    peer: str
    problem: str
    reason: str


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A source wanted one more connection than it may have, or than there may be."""

    source: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong that nothing else has caught."""

    what: str
    error: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Sessions:
    """Some of the open sessions; the :class:`Report` of that number follows the last of them."""

    number: int
    sessions: tuple[SessionStatus, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a worker has counted since it started."""

    opened: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    drops: tuple[tuple[str, int], ...] = ()
    refusals: tuple[tuple[str, int], ...] = ()
    advertised: int = 0
    """Router Advertisements."""
    opening: float = 0.0
    """Seconds, from accepted connections to their sessions."""

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.opened + other.opened,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            _added(self.drops, other.drops),
            _added(self.refusals, other.refusals),
            self.advertised + other.advertised,
            self.opening + other.opening,
        )


def _added(
    one: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((Counter(dict(one)) + Counter(dict(other))).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer to :class:`Ask` of that number."""

    number: int
    state: str
    count: int
    """Of open sessions."""
    totals: Totals
    suites: tuple[tuple[str, int], ...] = ()
    """Open sessions, by cipher suite."""


Order = Serve | Carry | ServeTeredo | Change | LimitSessions | DropSession | DropAll | Ask | Stop
Reasons = ServeReasons | WhyRefused | Because | StateHealth | HealthJudged
News = Ready | Opened | Closed | Refused | LimitReached | Failed | Sessions | Report
Message = Order | News | Reasons
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


class Channel:
    """One end of the socket."""

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        """``on_lost`` is called once, when the other end is gone."""
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._on_message = on_message
        self._on_lost = on_lost
        self._received = bytearray()
        self._unsent = bytearray()
        self.lost = 0
        """News that were dropped."""
        sock.setblocking(False)
        self._loop.add_reader(sock, self._read)

    @property
    def closed(self) -> bool:
        """Whether this end is closed."""
        return self._socket.fileno() < 0

    def send(self, message: Message, *, news: bool = False) -> None:
        """Send a message; news are dropped when too much waits already."""
        if self.closed:
            return
        if news and len(self._unsent) > QUEUE_LIMIT:
            self.lost += 1
            return
        waits = bool(self._unsent)
        self._unsent += encode_line([type(message).__name__, to_json(message)])
        if not waits:
            self._write()

    def close(self) -> None:
        """Close this end; the other one hears of it."""
        if not self.closed:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _write(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._lose()
            return
        if self._unsent:
            self._loop.add_writer(self._socket, self._write)
        else:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        seen = len(self._received)
        self._received += data
        while (end := self._received.find(b"\n", seen)) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            seen = 0
            self._on_message(parse(line))
        if len(self._received) > MAX_LINE:
            self._received.clear()
            self._lose()  # who has been taken over must not fill the gateway's memory, too
            raise WireError("a message between gateway and worker has no end")

    def _lose(self) -> None:
        self.close()
        self._on_lost()


def parse(line: bytes) -> Message:
    """Read a message; WireError when it is none."""
    match decode_line(line):
        case [str(name), value] if name in _KINDS:
            return from_json(_KINDS[name], value)
    raise WireError("not a message between gateway and worker")


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)


def adopt(descriptor: int) -> socket.socket:
    """Return the socket of a descriptor that this process was born with."""
    sock = socket.socket(fileno=descriptor)
    with contextlib.suppress(OSError):
        sock.set_inheritable(False)
    return sock
