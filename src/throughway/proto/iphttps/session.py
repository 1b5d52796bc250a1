"""One entry of the server's client table, [MS-IPHTTPS] 3.2.1."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from throughway.proto.iphttps.http import RequestReader
from throughway.proto.router import SolicitationBudget


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


class Session:
    """A connection from a client: half-open, then a session of the link."""

    def __init__(
        self, number: int, peer: str, source: str, reader: RequestReader, *, now: float
    ) -> None:
        self.number = number
        self.peer = peer
        """Address and port, for people."""
        self.source = source
        """What the limit per source counts: an IPv4 address or an IPv6 /64."""
        self.state = SessionState.HALF_OPEN
        self.reader = reader
        self.key = ""
        self.certificate = ""
        """The subject of the client's certificate; empty: none was shown."""
        self.accepted_at = now
        self.heard_at = now
        """When bytes came last; the driver keeps it."""
        self.owned: dict[bytes, float] = {}
        """The addresses of the link that it may send from, and since when."""
        self.drops: Counter[Drop] = Counter()
        self.solicitations = SolicitationBudget(filled_at=now)
        self.slow = PacketBudget(filled_at=now)
        self.outgoing = b""
        """HTTP heads; packets go by events and by the driver's batches."""

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes of HTTP which are due to the client."""
        data, self.outgoing = self.outgoing, b""
        return data

    def advance(self, what: SessionInput) -> None:
        """Go to the next state."""
        self.state = SESSION_TRANSITIONS[self.state, what]
