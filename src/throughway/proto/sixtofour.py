"""6to4 between a client and its gateway: what may pass, and whether the way there is proven.

Driven by :mod:`throughway.net.sixtofour`. RFC 3056 (encapsulation, section 5.3: what to refuse),
RFC 3964 (section 5: the checks), RFC 4213 (section 3: encapsulation). Neither end is a relay: a
client takes packets of its gateway's endpoints alone, a gateway takes those for its endpoints
alone, of any public address. So nobody's packets are carried on to third parties.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from throughway.model.errors import LocalProtocolError, WireError
from throughway.wire.icmpv6 import ECHO_REPLY, ECHO_REQUEST, Echo, build_icmpv6, parse_icmpv6
from throughway.wire.ip import ESP, ICMPV6, UDP
from throughway.wire.ipv6 import (
    FRAGMENT,
    HEADER_LENGTH,
    SOURCE_OFFSET,
    VERSION,
    is_multicast,
    parse_packet,
)
from throughway.wire.sixtofour import PREFIX, embedded_address, is_sixtofour, is_usable

OUTER_LENGTH = 20
"""Bytes of the outer header; one with options is refused, nobody who is sound sends those."""
FLOWS = 4096
"""Pairs of addresses that were looked at and found good; all are forgotten when there are more."""
ICMP_TYPES = frozenset({1, 2, 3, 4, ECHO_REQUEST, ECHO_REPLY})
"""Errors (RFC 4443, section 2.1) and echo; neighbour discovery has nobody to discover here."""

_WHOLE = 0x45
_PASSING = frozenset({UDP, ESP})


class Drop(StrEnum):
    """Why a packet goes no further."""

    MALFORMED = "malformed"
    """Outer header with options, inner one that is none or whose length is wrong."""
    NOT_PUBLIC = "source-not-public"
    """Outer source private, loopback, multicast, broadcast, shared or reserved."""
    OWN = "own-source"
    """Outer source is an address of ours, or the broadcast address of a network of ours."""
    SPOOFED = "spoofed"
    """The inner source is not the outer one's (RFC 3964, section 5.2)."""
    STRANGER = "stranger"
    """Not from the gateway; at the client only."""
    RELAY = "not-for-us"
    """For somebody else: this is no relay."""
    PROTOCOL = "protocol"
    """Neither IKE nor ESP nor ICMPv6."""
    ICMP_TYPE = "icmp-type"
    ICMP_LIMIT = "icmp-limit"
    WRONG_SOURCE = "wrong-source"
    """On the way out: not from an endpoint of ours."""
    WRONG_DESTINATION = "wrong-destination"
    """On the way out: not for a 6to4 address that may be reached."""
    UNSENT = "unsent"
    """The network refused it."""


class Budget:
    """How much ICMPv6 is let in: of one source, and of all (token buckets)."""

    PER_SOURCE, BURST = 10.0, 20.0
    """A second, and at once: a client that probes sends four a second."""
    TOTAL = 1000.0
    """A second, of all sources, which may be invented ones."""
    SOURCES = 4096
    """Sources that are remembered; the one that was seen first makes room."""

    def __init__(self) -> None:
        self._sources: dict[bytes, tuple[float, float]] = {}
        self._total = (self.TOTAL, 0.0)

    def take(self, source: bytes, now: float) -> bool:
        """Take one packet of a source out of the budget; False when it is used up."""
        tokens, filled = self._sources.get(source, (self.BURST, now))
        tokens = min(self.BURST, tokens + max(0.0, now - filled) * self.PER_SOURCE)
        total, since = self._total
        total = min(self.TOTAL, total + max(0.0, now - since) * self.TOTAL)
        fits = tokens >= 1 and total >= 1
        if source not in self._sources and len(self._sources) >= self.SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[source] = (tokens - fits, now)
        self._total = (total - fits, now)
        return fits


class Gate:
    """What comes in and what goes out; ``own`` are our endpoints by their IPv4 addresses.

    ``peers`` (at a client) are the only addresses to talk with; None (at a gateway) means
    everybody with a public address. ``refused`` are IPv4 addresses that cannot be anybody else's.
    """

    def __init__(
        self,
        own: Mapping[bytes, bytes],
        *,
        peers: frozenset[bytes] | None = None,
        refused: frozenset[bytes] = frozenset(),
        budget: Budget | None = None,
    ) -> None:
        self.drops: Counter[Drop] = Counter()
        self._own = dict(own)
        self._sources = {inner: outer for outer, inner in own.items()}
        self._peers = peers
        self._refused = refused | frozenset(own)
        self._budget = budget
        self._inward: set[bytes] = set()
        self._outward: dict[bytes, tuple[bytes, bytes]] = {}

    def admit(
        self, outer: bytes | bytearray, inner: bytes | bytearray, start: int, end: int, now: float
    ) -> bool:
        """Whether the packet ``inner[start:end]``, come behind the header ``outer``, may enter."""
        reason = self._judge(outer, inner, start, end, now)
        if reason is not None:
            self.drops[reason] += 1
        return reason is None

    def _judge(
        self, outer: bytes | bytearray, inner: bytes | bytearray, start: int, end: int, now: float
    ) -> Drop | None:
        size = end - start
        if (
            size < HEADER_LENGTH
            or outer[0] != _WHOLE
            or inner[start] >> 4 != VERSION
            or size != HEADER_LENGTH + (inner[start + 4] << 8 | inner[start + 5])
        ):
            return Drop.MALFORMED
        addresses = bytes(outer[12:20]) + inner[start + SOURCE_OFFSET : start + HEADER_LENGTH]
        if addresses not in self._inward:
            if (reason := self._judge_addresses(addresses)) is not None:
                return reason
            if len(self._inward) >= FLOWS:
                self._inward.clear()
            self._inward.add(addresses)
        kind = inner[start + 6]
        if kind in _PASSING:
            return None
        return self._judge_protocol(kind, addresses[:4], inner[start:end], now)

    def _judge_addresses(self, addresses: bytes) -> Drop | None:
        source, destination = addresses[:4], addresses[4:8]
        inner_source, inner_destination = addresses[8:24], addresses[24:]
        # What costs least is asked first: whoever floods invents his sources.
        if inner_source[:6] != PREFIX + source:
            return Drop.SPOOFED
        if source in self._refused:
            return Drop.OWN
        if not is_usable(source):
            return Drop.NOT_PUBLIC
        if self._peers is not None and inner_source not in self._peers:
            return Drop.STRANGER
        if self._own.get(destination) != inner_destination:
            return Drop.RELAY
        return None

    def _judge_protocol(
        self, kind: int, source: bytes, packet: bytes | bytearray, now: float
    ) -> Drop | None:
        first = HEADER_LENGTH
        if kind == FRAGMENT and len(packet) >= HEADER_LENGTH + 8:
            # Full-size ESP comes in two; no headers but this one may stand before it.
            kind, first = packet[HEADER_LENGTH], HEADER_LENGTH + 8
            if kind in _PASSING:
                return None
        if kind != ICMPV6 or len(packet) <= first:
            return Drop.PROTOCOL
        if first == HEADER_LENGTH and packet[first] not in ICMP_TYPES:
            return Drop.ICMP_TYPE
        if self._budget is not None and not self._budget.take(source, now):
            return Drop.ICMP_LIMIT
        return None

    def route(self, packet: bytes | bytearray | memoryview, start: int) -> tuple[bytes, bytes]:
        """Return the outer addresses for a packet that leaves, ``(b"", b"")`` when it may not."""
        addresses = bytes(packet[start + SOURCE_OFFSET : start + HEADER_LENGTH])
        found = self._outward.get(addresses)
        if found is not None:
            return found
        source, destination = addresses[:16], addresses[16:]
        if is_multicast(destination):
            return b"", b""  # the kernel's own, such as listener reports: there is nobody to hear
        if source not in self._sources:
            self.drops[Drop.WRONG_SOURCE] += 1
            return b"", b""
        if not self._reaches(destination):
            self.drops[Drop.WRONG_DESTINATION] += 1
            return b"", b""
        if len(self._outward) >= FLOWS:
            self._outward.clear()
        found = self._outward[addresses] = self._sources[source], embedded_address(destination)
        return found

    def _reaches(self, destination: bytes) -> bool:
        if self._peers is not None:
            return destination in self._peers
        if not is_sixtofour(destination):
            return False
        outer = embedded_address(destination)
        return outer not in self._refused and is_usable(outer)


# The proof

ATTEMPTS = (0.0, 0.25, 0.6, 1.1)
"""Seconds from the begin of a proof at which each endpoint is asked."""
PROOF_TIMEOUT = 1.7
"""Seconds after which a proof has failed: an address that only looks public must be noticed within
two; the slowest path, by satellite, answers the third question still."""
KEEPALIVE = 10.0
"""Seconds between two questions once it is proven; more are asked only without an answer."""
RETRIES = (5.0, 5.0, 10.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds from a failed proof to the next one: the gateway may have been started again. A change
of network asks at once."""
NONCE_LENGTH = 16


class State(StrEnum):
    """Of the proof."""

    IDLE = "idle"
    UNUSABLE = "unusable"
    """There is no public IPv4 address."""
    PROVING = "proving"
    PROVEN = "proven"
    DOUBTED = "doubted"
    """It was proven, and a question is unanswered."""
    FAILED = "failed"


class Input(Enum):
    """What can happen to it."""

    ADDRESS_FOUND = auto()
    ADDRESS_MISSING = auto()
    STOP = auto()
    ANSWERED = auto()
    """By all endpoints."""
    ASK = auto()
    TIMED_OUT = auto()


TRANSITIONS: dict[tuple[State, Input], State] = (
    {(state, what): state for state in State for what in Input}
    | {(state, Input.ADDRESS_FOUND): State.PROVING for state in State}
    | {(state, Input.ADDRESS_MISSING): State.UNUSABLE for state in State}
    | {(state, Input.STOP): State.IDLE for state in State}
    | {
        (State.PROVING, Input.ANSWERED): State.PROVEN,
        (State.DOUBTED, Input.ANSWERED): State.PROVEN,
        (State.PROVEN, Input.ASK): State.DOUBTED,
        (State.FAILED, Input.ASK): State.PROVING,
        (State.PROVING, Input.TIMED_OUT): State.FAILED,
        (State.DOUBTED, Input.TIMED_OUT): State.FAILED,
    }
)


class Cause(StrEnum):
    """Why a proof has failed."""

    SILENCE = "silence"
    """No answer ever came: the address is behind a NAT, or protocol 41 is dropped."""
    REFUSAL = "refusal"
    """The network said so by ICMP."""
    LOSS = "loss"
    """There were answers before."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state is another one."""

    state: State


class Prover:
    """Asks the gateway's endpoints by ICMPv6 echo, and goes on asking.

    All of them must answer: each has an IPv4 address of its own. ``nonce`` is random, so that
    nobody who does not see our packets can answer in their place.
    """

    def __init__(self, endpoints: tuple[bytes, ...], *, nonce: bytes) -> None:
        if len(nonce) != NONCE_LENGTH or not endpoints:
            raise LocalProtocolError(f"{NONCE_LENGTH} random bytes and an endpoint are needed")
        self.state = State.IDLE
        self.address = b""
        """Ours, as the proof has it; b"" while there is none."""
        self.cause: Cause | None = None
        """Why the last proof has failed."""
        self.refusal = ""
        """What the network said last, in words."""
        self.round_trip = 0.0
        """Seconds that the last answer took."""
        self._endpoints = endpoints
        self._identifier = int.from_bytes(nonce[:2])
        self._nonce = nonce[2:]
        self._sequence = 0
        self._unanswered: set[bytes] = set()
        self._asked: dict[int, float] = {}
        self._attempt = 0
        self._began = 0.0
        self._heard_at = -1.0
        self._failures = 0
        self._ever = False
        """Whether this address was proven before."""
        self._timer: float | None = None
        self._packets: list[bytes] = []
        self._events: deque[StateChanged] = deque()

    @property
    def proven(self) -> bool:
        """Whether packets pass, as far as is known."""
        return self.state in {State.PROVEN, State.DOUBTED}

    def use(self, address: bytes | None, now: float) -> None:
        """Begin anew with an address of ours, or learn that there is no public one."""
        self._packets.clear()
        self._failures, self.cause, self.refusal = 0, None, ""
        self._ever = self._ever and address == self.address
        self.address = address or b""
        self._timer = None
        self._advance(Input.ADDRESS_MISSING if address is None else Input.ADDRESS_FOUND)
        if address is not None:
            self._begin(now)

    def check(self, now: float) -> None:
        """Look again at once, with the same address: the network around it has changed."""
        if self.state is State.PROVEN:
            self._doubt(now)
        elif self.state is State.FAILED:
            self.use(self.address, now)

    def stop(self) -> None:
        """Ask no more."""
        self._packets.clear()
        self._timer, self.address, self._ever = None, b"", False
        self._advance(Input.STOP)

    def receive_packet(self, packet: bytes, now: float) -> bool:
        """Take an ICMPv6 packet that was admitted; whether it was an answer to us."""
        try:
            parsed = parse_packet(packet)
            message = parse_icmpv6(parsed)
        except WireError:
            return False
        ours = (
            isinstance(message, Echo)
            and message.reply
            and message.identifier == self._identifier
            and message.data == self._nonce
            and parsed.destination == self.address
        )
        if not ours or not isinstance(message, Echo):
            return False
        self._answered(parsed.source, message.sequence, now)
        return True

    def receive_refusal(self, reason: str, now: float) -> None:
        """Take what the network says of our packets (ICMP).

        Anybody may have written it: it does not end a proof, it only makes us ask at once.
        """
        self.refusal = reason
        if self.state is State.PROVEN:
            self._doubt(now)

    def traffic_received(self, now: float) -> None:
        """Hear that packets of the gateway came in: what is late then is only our answer."""
        self._heard_at = now

    def packets_to_send(self) -> list[bytes]:
        """Return the questions that are due, whole IPv6 packets."""
        packets, self._packets = self._packets, []
        return packets

    def next_event(self) -> StateChanged | None:
        """Return the next event, None when there is no more."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, None for never."""
        return self._timer

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._timer is None or now < self._timer:
            return
        match self.state:
            case State.PROVEN:
                self._doubt(now)
            case State.FAILED:
                self._advance(Input.ASK)
                self._begin(now)
            case State.PROVING | State.DOUBTED if now < self._began + PROOF_TIMEOUT:
                self._ask(now)
            case State.DOUBTED if self._heard_at >= self._began:
                self._settle(now)
            case State.PROVING | State.DOUBTED:
                self._fail(now)

    def _doubt(self, now: float) -> None:
        self._advance(Input.ASK)
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._unanswered = set(self._endpoints)
        self._asked.clear()
        self._attempt, self._began = 0, now
        self._ask(now)

    def _ask(self, now: float) -> None:
        """Ask those that have not answered yet."""
        while self._attempt < len(ATTEMPTS) and self._began + ATTEMPTS[self._attempt] <= now:
            self._attempt += 1
        self._sequence = self._sequence + 1 & 0xFFFF
        self._asked[self._sequence] = now
        question = Echo(
            reply=False, identifier=self._identifier, sequence=self._sequence, data=self._nonce
        )
        self._packets += [
            build_icmpv6(question, source=self.address, destination=endpoint)
            for endpoint in self._endpoints
            if endpoint in self._unanswered
        ]
        last = self._attempt == len(ATTEMPTS)
        self._timer = self._began + (PROOF_TIMEOUT if last else ATTEMPTS[self._attempt])

    def _answered(self, endpoint: bytes, sequence: int, now: float) -> None:
        asked = self._asked.get(sequence)
        if asked is None or endpoint not in self._unanswered:
            return
        self.round_trip = now - asked
        self._unanswered.discard(endpoint)
        if not self._unanswered:
            self._settle(now)

    def _settle(self, now: float) -> None:
        self._asked.clear()
        self._failures, self._ever, self.cause, self.refusal = 0, True, None, ""
        self._timer = now + KEEPALIVE
        self._advance(Input.ANSWERED)

    def _fail(self, now: float) -> None:
        lost = Cause.LOSS if self._ever else Cause.SILENCE
        self.cause = Cause.REFUSAL if self.refusal else lost
        self._timer = now + RETRIES[min(self._failures, len(RETRIES) - 1)]
        self._failures += 1
        self._advance(Input.TIMED_OUT)

    def _advance(self, what: Input) -> None:
        before, self.state = self.state, TRANSITIONS[self.state, what]
        if self.state is not before:
            self._events.append(StateChanged(self.state))
