"""One entry of the server's client table, [MS-IPHTTPS] 3.2.1."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING

from throughway.proto.router import SolicitationBudget

if TYPE_CHECKING:
    from throughway.proto.iphttps.http import RequestReader
    from throughway.wire.proxy_protocol import ClientTLS


class SessionState(StrEnum):
    """Where a connection from a client is in its life."""

    HALF_OPEN = "half-open"
    """TLS handshake and request are still to come."""
    OPEN = "open"
    CLOSED = "closed"


class SessionInput(Enum):
    """What can happen to the connection."""

    ACCEPT = auto()
    CLOSE = auto()


# A connection which is closed stays closed; it can be told so any number of times.
SESSION_TRANSITIONS: dict[tuple[SessionState, SessionInput], SessionState] = {
    (SessionState.HALF_OPEN, SessionInput.ACCEPT): SessionState.OPEN,
    (SessionState.HALF_OPEN, SessionInput.CLOSE): SessionState.CLOSED,
    (SessionState.OPEN, SessionInput.CLOSE): SessionState.CLOSED,
    (SessionState.CLOSED, SessionInput.CLOSE): SessionState.CLOSED,
}


PACKET_BURST, PACKET_RATE = 512, 256
"""Packets of a session, at once and each second, that are looked at one by one. Honest clients
send a few in a minute; each costs as much as ten others, and everybody waits meanwhile."""


@dataclass(slots=True)
class PacketBudget:
    """How many packets of a session may still be looked at one by one (a token bucket)."""

    tokens: float = PACKET_BURST
    filled_at: float = 0.0

    @property
    def used_up(self) -> bool:
        """Whether the last packet took the rest."""
        return self.tokens < 1

    def take(self, now: float) -> bool:
        """Take one packet out of the budget; False when it is used up."""
        if self.tokens < 1:
            gained = max(0.0, now - self.filled_at) * PACKET_RATE
            if gained < 1:
                return False
            self.tokens, self.filled_at = min(float(PACKET_BURST), self.tokens + gained), now
        self.tokens -= 1
        return True


class Drop(StrEnum):
    """Why a packet of a session went no further."""

    SPOOFED = "spoofed"
    """Its source is not an address of this link, or another session's."""
    CONTESTED = "contested"
    """Its source is another session's, which is being asked whether it lives."""
    TOO_MANY_ADDRESSES = "too-many-addresses"
    LINK_LOCAL = "link-local"
    MULTICAST = "multicast"
    CLIENT_TO_CLIENT = "client-to-client"
    ADVERTISEMENT = "advertisement"
    """Only the gateway is a router here."""
    MALFORMED = "malformed"
    TOO_OFTEN = "too-often"
    QUEUE_FULL = "queue-full"
    NOBODY = "nobody"
    """From the host, to an address that no session owns."""
    REFUSED = "refused"
    """By the kernel of the gateway, which did not take it."""
    UNREADABLE = "unreadable"
    """From the host: not of IPv6, or a super-packet that cannot be cut."""


class Session:
    """A connection from a client: half-open, then a session of the link.

    There are thousands: what most of them never need is made when it is needed first.
    """

    __slots__ = (
        "_drops",
        "_totals",
        "accepted_at",
        "adc",
        "certificate",
        "fingerprint",
        "heard_at",
        "key",
        "number",
        "outgoing",
        "own",
        "owned",
        "peer",
        "reader",
        "serial",
        "slow",
        "solicitations",
        "source",
        "state",
        "suite",
        "tls",
    )

    def __init__(
        self,
        number: int,
        peer: str,
        source: str,
        *,
        now: float,
        totals: Counter[Drop] | None = None,
        adc: bool = False,
        own: bool = False,
    ) -> None:
        """``totals`` count drops as well, beyond the session's end."""
        self.own = own
        """Whether it comes from this machine itself, that looks whether the listener serves."""
        self.adc = adc
        """Whether it comes over a device that ends TLS, whose words are believed."""
        self.tls: ClientTLS | None = None
        """What the device says of TLS."""
        self.number = number
        self.peer = peer
        """Address and port, for people."""
        self.source = source
        """What the limit per source counts: an IPv4 address or an IPv6 /64; "": it counts not."""
        self.state = SessionState.HALF_OPEN
        self.reader: RequestReader | None = None
        """While a request is being read."""
        self.key = ""
        self.certificate = ""
        """The subject of the client's certificate; empty: none was shown."""
        self.fingerprint = ""
        """What tells that certificate from all others."""
        self.serial = ""
        """Its serial number, as revocation lists name it."""
        self.suite = ""
        """Of TLS, with its version."""
        self.accepted_at = now
        self.heard_at = now
        """When bytes came last; the driver keeps it."""
        self.owned: dict[bytes, float] = {}
        """The addresses of the link that it may send from, and since when."""
        self.solicitations = SolicitationBudget(filled_at=now)
        self.slow = PacketBudget(filled_at=now)
        self.outgoing = b""
        """HTTP heads; packets go by events and by the driver's batches."""
        self._drops: Counter[Drop] | None = None
        self._totals = totals

    @property
    def drops(self) -> Counter[Drop]:
        """Return how many of its packets were dropped, by reason; :meth:`drop` counts."""
        return Counter() if self._drops is None else self._drops

    def drop(self, reason: Drop, packets: int = 1) -> None:
        """Count packets which go no further."""
        if self._drops is None:
            self._drops = Counter()
        self._drops[reason] += packets
        if self._totals is not None:
            self._totals[reason] += packets

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes of HTTP which are due to the client."""
        data, self.outgoing = self.outgoing, b""
        return data

    def advance(self, what: SessionInput) -> None:
        """Go to the next state."""
        self.state = SESSION_TRANSITIONS[self.state, what]


SILENT_GRACE, HALF_OPEN_GRACE = 0.5, 2.0
"""Seconds which a connection has before it makes room for another, while it has said nothing and
after: in a rush those behind wait, in a flood those who finish nothing hold up nobody longer."""


class HalfOpen:
    """Connections without a request, in the order in which they came; the silent ones apart.

    Whoever has said something is never pushed out as long as there is one who has not: a flood of
    silent connections pushes itself out.
    """

    def __init__(self) -> None:
        self._all: dict[int, Session] = {}
        self._silent: dict[int, Session] = {}
        self._of_source: dict[str, tuple[dict[int, Session], dict[int, Session]]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._all.values()))

    def of(self, source: str) -> int:
        """Return how many there are from a source."""
        return len(self._of_source[source][0]) if source in self._of_source else 0

    def add(self, session: Session) -> None:
        """Enter a new connection."""
        own = self._of_source.setdefault(session.source, ({}, {}))
        for table in (self._all, self._silent, *own):
            table[session.number] = session

    def spoke(self, session: Session) -> None:
        """Take note that it said something."""
        if self._silent.pop(session.number, None) is not None:
            self._of_source[session.source][1].pop(session.number)

    def remove(self, session: Session) -> None:
        """Forget a connection."""
        self.spoke(session)
        del self._all[session.number]
        own = self._of_source[session.source][0]
        del own[session.number]
        if not own:
            del self._of_source[session.source]

    def move(self, session: Session, source: str) -> None:
        """Take note of its real source; its place in the order stays."""
        old, silent = self._of_source[session.source][0], session.number in self._silent
        del old[session.number]
        self._of_source[session.source][1].pop(session.number, None)
        if not old:
            del self._of_source[session.source]
        session.source = source
        every, quiet = self._of_source.setdefault(source, ({}, {}))
        every[session.number] = session
        if silent:
            quiet[session.number] = session

    def oldest(self) -> Session | None:
        """Return the one whose time is up first."""
        return next(iter(self._all.values()), None)

    def overdue(self, now: float, source: str | None = None) -> Session | None:
        """Return the one that goes when there is one too many, if any has had its time."""
        every, silent = (self._all, self._silent) if source is None else self._of_source[source]
        for table, grace in ((silent, SILENT_GRACE), (every, HALF_OPEN_GRACE)):
            oldest = next(iter(table.values()), None)
            if oldest is not None and now - oldest.accepted_at >= grace:
                return oldest
        return None

    def least(self, now: float, source: str) -> Session:
        """Return the one that goes of a source: it cannot wait, others are behind it."""
        every, silent = self._of_source[source]
        return self.overdue(now, source) or next(iter((silent or every).values()))
