"""Peers of a Teredo node: what is known of them, and what waits for them (RFC 4380, 5.2.2).

Used by :mod:`throughway.proto.teredo.client` and :mod:`throughway.proto.teredo.relay`. A peer is
trusted when something has come from it that only it could send; until then packets for it wait,
while it is asked by a bubble or, a native one, by an echo.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from throughway.wire.teredo import Mapping

PEER_LIFETIME = 30.0
"""Seconds without a packet from a peer after which it must prove itself again (5.2.4): a NAT may
have given its mapping to another by then."""
MAX_TRIES = 4
"""Bubbles or echoes to a peer before it counts as unreachable (5.2.6)."""
TRY_INTERVAL = 2.0
"""Seconds between them (5.2.6)."""
FIRST_TRY_INTERVAL = 1.0
"""Seconds before the second one: the first is the likeliest to be lost, while NATs open."""
UNREACHABLE_FOR = 10.0
"""Seconds for which an unreachable peer is left alone. The specification wants 300 after four
bubbles; here a peer is the gateway, or a client that it has to reach."""
MAX_QUEUED = 8
"""Packets that wait for a peer: the first ones of a handshake; more would be late anyway."""
MAX_QUEUED_BYTES = 16 * 1024
"""Bytes of them."""


class PeerState(StrEnum):
    """What a peer is to us."""

    UNTRUSTED = "untrusted"
    TESTING = "testing"
    TRUSTED = "trusted"
    UNREACHABLE = "unreachable"


class PeerInput(Enum):
    """What can happen to a peer."""

    TEST = auto()
    ANSWERED = auto()
    UNANSWERED = auto()
    EXPIRED = auto()


# Every transition there is; what is not here leaves the state as it is.
TRANSITIONS: dict[tuple[PeerState, PeerInput], PeerState] = (
    {(state, what): state for state in PeerState for what in PeerInput}
    | {(state, PeerInput.ANSWERED): PeerState.TRUSTED for state in PeerState}
    | {
        (PeerState.UNTRUSTED, PeerInput.TEST): PeerState.TESTING,
        (PeerState.TRUSTED, PeerInput.EXPIRED): PeerState.UNTRUSTED,
        (PeerState.TESTING, PeerInput.UNANSWERED): PeerState.UNREACHABLE,
        (PeerState.TRUSTED, PeerInput.UNANSWERED): PeerState.UNREACHABLE,
        (PeerState.UNREACHABLE, PeerInput.EXPIRED): PeerState.UNTRUSTED,
    }
)


@dataclass(slots=True)
class Peer:
    """One peer."""

    address: bytes
    state: PeerState = PeerState.UNTRUSTED
    mapping: Mapping | None = None
    """Where its packets come from; of a trusted one."""
    last_received: float = 0.0
    nonce: bytes = b""
    """Of the echo that is under way."""
    tries: int = 0
    next_try: float | None = None
    """When it is asked again, or the last question counts as unanswered."""
    queued: list[bytes] = field(default_factory=list)
    """Packets for it."""

    def advance(self, what: PeerInput) -> None:
        """Make the transition."""
        self.state = TRANSITIONS[self.state, what]

    def look(self, now: float) -> PeerState:
        """Return the state as it is by now."""
        silent = now - self.last_received
        if (self.state is PeerState.TRUSTED and silent >= PEER_LIFETIME) or (
            self.state is PeerState.UNREACHABLE and silent >= UNREACHABLE_FOR
        ):
            self.advance(PeerInput.EXPIRED)
        return self.state

    def queue(self, packet: bytes) -> bool:
        """Let a packet wait; say whether there was room."""
        size = sum(map(len, self.queued)) + len(packet)
        if len(self.queued) >= MAX_QUEUED or size > MAX_QUEUED_BYTES:
            return False
        self.queued.append(packet)
        return True

    def trust(self, mapping: Mapping, now: float) -> list[bytes]:
        """Take note that the peer is at the mapping; return what has waited for it."""
        self.advance(PeerInput.ANSWERED)
        self.mapping, self.last_received = mapping, now
        self.tries, self.next_try, self.nonce = 0, None, b""
        queued, self.queued = self.queued, []
        return queued

    def is_trusted_at(self, mapping: Mapping, now: float) -> bool:
        """Whether a packet from there is the peer's."""
        return self.look(now) is PeerState.TRUSTED and self.mapping == mapping

    def begin(self, now: float) -> bool:
        """Begin to ask, unless it is being asked, is trusted or was in vain a moment ago."""
        if self.look(now) is not PeerState.UNTRUSTED:
            return False
        self.advance(PeerInput.TEST)
        self.tries = 0
        self.ask(now)
        return True

    def ask(self, now: float) -> None:
        """Count one question."""
        self.tries += 1
        self.next_try = now + (FIRST_TRY_INTERVAL if self.tries == 1 else TRY_INTERVAL)

    def give_up(self, now: float) -> int:
        """Take note that it does not answer; return how many packets are lost with that."""
        self.advance(PeerInput.UNANSWERED)
        self.next_try, self.last_received, self.nonce = None, now, b""
        lost, self.queued = len(self.queued), []
        return lost


class Peers:
    """A bounded table: the peer that was used least recently makes room."""

    def __init__(self, limit: int, on_evicted: Callable[[Peer], None] | None = None) -> None:
        self._limit = limit
        self._on_evicted = on_evicted
        self._peers: OrderedDict[bytes, Peer] = OrderedDict()
        self._testing: dict[bytes, Peer] = {}
        """Those with a time; few, so that looking for the next one is cheap."""

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def find(self, address: bytes) -> Peer | None:
        """Return the peer of this address, if there is one."""
        peer = self._peers.get(address)
        if peer is not None:
            self._peers.move_to_end(address)
        return peer

    def get(self, address: bytes) -> Peer:
        """Return the peer of this address, made where there is none."""
        peer = self.find(address)
        if peer is None:
            while len(self._peers) >= self._limit:
                old, gone = self._peers.popitem(last=False)
                self._testing.pop(old, None)
                if self._on_evicted is not None:
                    self._on_evicted(gone)
            peer = self._peers[address] = Peer(address)
        return peer

    def clear(self) -> None:
        """Forget all."""
        self._peers.clear()
        self._testing.clear()

    def test(self, peer: Peer, now: float) -> bool:
        """Begin to ask the peer; say whether it is to be asked now."""
        if not peer.begin(now):
            return False
        self.follow(peer)
        return True

    def follow(self, peer: Peer) -> None:
        """Keep its time."""
        self._testing[peer.address] = peer

    def timer_at(self) -> float | None:
        """Return when :meth:`due` has something, or None."""
        self._sweep()
        times = (peer.next_try for peer in self._testing.values())
        return min((at for at in times if at is not None), default=None)

    def due(self, now: float) -> tuple[Peer, ...]:
        """Return the peers whose time has come."""
        self._sweep()
        return tuple(
            p for p in self._testing.values() if p.next_try is not None and p.next_try <= now
        )

    def _sweep(self) -> None:
        for address in [a for a, p in self._testing.items() if p.next_try is None]:
            del self._testing[address]
