"""Which transport carries the tunnels: the best one that is proven, as soon as there is one.

Driven by :mod:`throughway.client.transports`. Transports are tried best first; the next one starts
after a head start, or at once when those before it say that they cannot (in the manner of
RFC 8305). The first proven one carries. A better one that proves itself later takes over when it
has stood for a while; the worse one is let go only then. One that is lost again and again is
passed over for a while. What worked and what failed is remembered for the network
(:mod:`throughway.proto.experience`), so that the next visit begins with it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from throughway.model.errors import LocalProtocolError
from throughway.model.status import TransportKind
from throughway.proto.experience import Experience

HEAD_START = {
    TransportKind.NATIVE: 0.15,
    TransportKind.SIXTOFOUR: 0.15,
    TransportKind.TEREDO: 0.25,
    TransportKind.IPHTTPS: 0.0,
}
"""Seconds before the next one is tried too: a round trip's worth for those that need one, two for
Teredo, so that IP-HTTPS has begun after half a second wherever the others are silent."""
KNOWN_HEAD_START = 0.8
"""Seconds for one that worked in this network before: worth more than to begin with a worse one
and to change soon, and still within the second in which something should work."""
STAND_TIME = 2.0
"""Seconds that a better transport must be proven before it takes over from one that carries."""
YOUNG_TIME = 1.0
"""Seconds after its choice in which a better one replaces a transport at once: nothing has been
built on it yet."""
DOUBT_TIME = 2.0
"""Seconds in another network in which the next ones are tried beside the one that carries: that it
works was true elsewhere, and to find out that it does not takes longer than to be ready for it."""
LINGER_TIME = 5.0
"""Seconds that a worse transport stays up when a better one has taken over."""
FLAP_LIMIT = 3
"""Losses within :data:`FLAP_WINDOW` after which a transport is passed over."""
FLAP_WINDOW = 120.0
FIRST_HOLD, LAST_HOLD = 60.0, 900.0
"""Seconds that a flapping transport is passed over; doubled each time."""
FIRST_RETRY, LAST_RETRY = 60.0, 3600.0
"""Seconds until one that failed is tried again beside a worse one that carries; doubled."""


class State(Enum):
    """A transport, as the selection sees it."""

    RESTING = auto()
    TRYING = auto()
    FAILED = auto()
    """Started, and has said that it cannot; it may yet find that it can."""
    STANDING = auto()
    """Proven, but does not carry."""
    CARRYING = auto()


class Input(Enum):
    """What befalls a transport."""

    STARTED = auto()
    PROVEN = auto()
    REFUSED = auto()
    """It said that it cannot."""
    LOST = auto()
    """It was proven, and is not any more."""
    CHOSEN = auto()
    DISPLACED = auto()
    STOPPED = auto()


TRANSITIONS: dict[tuple[State, Input], State] = {
    (State.RESTING, Input.STARTED): State.TRYING,
    (State.RESTING, Input.STOPPED): State.RESTING,
    (State.TRYING, Input.PROVEN): State.STANDING,
    (State.TRYING, Input.REFUSED): State.FAILED,
    (State.TRYING, Input.STOPPED): State.RESTING,
    (State.FAILED, Input.PROVEN): State.STANDING,
    (State.FAILED, Input.REFUSED): State.FAILED,
    (State.FAILED, Input.STARTED): State.TRYING,
    (State.FAILED, Input.STOPPED): State.RESTING,
    (State.STANDING, Input.CHOSEN): State.CARRYING,
    (State.STANDING, Input.LOST): State.TRYING,
    (State.STANDING, Input.STOPPED): State.RESTING,
    (State.CARRYING, Input.DISPLACED): State.STANDING,
    (State.CARRYING, Input.LOST): State.TRYING,
    (State.CARRYING, Input.STOPPED): State.RESTING,
}

PROVEN_STATES = frozenset({State.STANDING, State.CARRYING})


@dataclass(frozen=True, slots=True)
class TransportWanted:
    """Start it."""

    kind: TransportKind


@dataclass(frozen=True, slots=True)
class TransportUnwanted:
    """Stop it."""

    kind: TransportKind


@dataclass(frozen=True, slots=True)
class TransportChosen:
    """This one carries from now on, or none."""

    kind: TransportKind | None


Event = TransportWanted | TransportUnwanted | TransportChosen


@dataclass(slots=True)
class _Candidate:
    kind: TransportKind
    state: State = State.RESTING
    since: float = 0.0
    """When it took this state."""
    started_at: float = 0.0
    due: float | None = None
    """When it is to be started."""
    reason: str = ""
    """Why it failed or was lost last."""
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=FLAP_LIMIT))
    held_until: float = 0.0
    hold: float = FIRST_HOLD
    retry: float = FIRST_RETRY
    retry_at: float = 0.0
    """Not before this is it tried beside a worse one that carries."""
    release_at: float | None = None
    """When it is stopped, since a better one carries."""

    @property
    def up(self) -> bool:
        return self.state in PROVEN_STATES

    @property
    def running(self) -> bool:
        return self.state is not State.RESTING


class Selection:
    """Decides which transports run and which one carries."""

    def __init__(
        self, kinds: Iterable[TransportKind], experience: Experience | None = None
    ) -> None:
        """``kinds``: what the policy allows, best first."""
        self.chosen: TransportKind | None = None
        self.chosen_at = 0.0
        self.experience = experience if experience is not None else Experience()
        self.network = ""
        self._active = False
        self._settled_at = 0.0
        self._moved_at = -DOUBT_TIME
        self._recognised = True
        self._unlearned = False
        """Whether the choice was made before it was known in which network."""
        self._candidates = {kind: _Candidate(kind) for kind in kinds}
        self._events: deque[Event] = deque()

    @property
    def kinds(self) -> tuple[TransportKind, ...]:
        """What may be used, best first."""
        return tuple(self._candidates)

    def start(self, network: str, now: float) -> None:
        """A transport is wanted, in this network; "" where it has nothing to be known by."""
        if self._active:
            return
        self._active, self.network, self._recognised = True, network, True
        self._recall(now)
        self._settle(now)

    def stop(self, now: float) -> None:
        """No transport is wanted."""
        self._active = False
        for candidate in self._candidates.values():
            self._release(candidate, now)
        self._choose(None, now)

    def set_kinds(self, kinds: Iterable[TransportKind], now: float) -> None:
        """Take another order, or other transports: the policy is a new one."""
        kinds = tuple(kinds)
        if kinds == self.kinds:
            return
        old = self._candidates
        for kind in old.keys() - set(kinds):
            self._release(old[kind], now)
        self._candidates = {kind: old.get(kind) or _Candidate(kind) for kind in kinds}
        if self.chosen is not None and self.chosen not in self._candidates:
            self._choose(None, now)
        self._settle(now)

    def network_doubted(self) -> None:
        """Something has changed: what fails or works now is not learned of the network before.

        :meth:`network_changed` follows, when it is known where this is.
        """
        self._recognised = False

    def network_changed(self, network: str, now: float) -> None:
        """Addresses or routes are others than before, or this is another network altogether."""
        moved = network != self.network
        self.network, self._recognised = network, True
        if self._unlearned and self.chosen is not None:
            self._learn_success(self.chosen)
        for candidate in self._candidates.values():
            # What was true there need not be true here; what still works will go on to say so.
            candidate.retry_at, candidate.retry = 0.0, FIRST_RETRY
            if moved:
                candidate.held_until, candidate.hold = 0.0, FIRST_HOLD
                candidate.losses.clear()
            if candidate.state is State.FAILED:
                self._advance(candidate, Input.STARTED, now)
                candidate.started_at = now
        if moved:
            self._moved_at = now
            self._recall(now)
        self._settle(now)

    def receive_proven(self, kind: TransportKind, now: float) -> None:
        """The gateway has answered over it."""
        candidate = self._candidates.get(kind)
        if candidate is None or not candidate.running or candidate.up:
            return
        candidate.reason = ""
        self._advance(candidate, Input.PROVEN, now)
        self._settle(now)

    def receive_lost(self, kind: TransportKind, reason: str, now: float) -> None:
        """It was proven, and is not any more."""
        candidate = self._candidates.get(kind)
        if candidate is None or not candidate.up:
            return
        candidate.reason = reason
        candidate.started_at = now - KNOWN_HEAD_START  # the others need not wait for it
        self._advance(candidate, Input.LOST, now)
        candidate.losses.append(now)
        if len(candidate.losses) == FLAP_LIMIT and now - candidate.losses[0] < FLAP_WINDOW:
            candidate.held_until = now + candidate.hold
            candidate.hold = min(LAST_HOLD, candidate.hold * 2)
            candidate.losses.clear()
        self._settle(now)

    def receive_failed(self, kind: TransportKind, reason: str, now: float) -> None:
        """It says that it cannot; one that was proven is lost, too."""
        candidate = self._candidates.get(kind)
        if candidate is None or not candidate.running:
            return
        if candidate.up:
            self.receive_lost(kind, reason, now)
        if candidate.state in {State.TRYING, State.FAILED}:
            candidate.reason = reason
            self._advance(candidate, Input.REFUSED, now)
            self._settle(now)

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        times: list[float] = []
        carrier = self._carrier()
        for candidate in self._candidates.values() if self._active else ():
            times += [t for t in (candidate.due, candidate.release_at) if t is not None]
            stands = carrier is not None and candidate.state is State.STANDING
            if stands and carrier is not None and self._better(candidate, carrier):
                times.append(max(candidate.since + STAND_TIME, candidate.held_until))
        # What was due then was done then, or another one stood before it.
        return min((time for time in times if time > self._settled_at), default=None)

    def handle_timer(self, now: float) -> None:
        """Let time pass."""
        self._settle(now)

    def state(self, kind: TransportKind) -> State:
        """Return what the selection makes of a transport."""
        candidate = self._candidates.get(kind)
        return State.RESTING if candidate is None else candidate.state

    def explain(self, kind: TransportKind, now: float) -> str:
        """Say why a transport carries, or why it does not."""
        candidate, carrier = self._candidates.get(kind), self._carrier()
        if candidate is None:
            return "not allowed by the policy"
        if not self._active:
            return "not needed"
        if candidate is carrier:
            return "carries the tunnels"
        why = f": {candidate.reason}" if candidate.reason else ""
        if candidate.held_until > now:
            return f"passed over for {candidate.held_until - now:.0f} s, lost too often{why}"
        if candidate.state is State.STANDING:
            return self._explain_standing(candidate, carrier)
        if candidate.state is State.FAILED:
            return f"does not work here{why}"
        if candidate.state is State.TRYING:
            return f"being tried{why}"
        if carrier is not None and not self._better(candidate, carrier):
            return f"not needed: {carrier.kind} is better"
        if candidate.retry_at > now:
            return f"tried again in {candidate.retry_at - now:.0f} s{why}"
        return "waits while better ones have a head start"

    def _explain_standing(self, candidate: _Candidate, carrier: _Candidate | None) -> str:
        if carrier is not None and self._better(candidate, carrier):
            return f"works, takes over from {carrier.kind} when it has stood {STAND_TIME:g} s"
        return "works, stands by"

    # Decisions

    def _settle(self, now: float) -> None:
        """Bring everything in step: who carries, who runs, who waits."""
        if not self._active:
            return
        self._settled_at = now
        self._take_best(now)
        self._start_due(now)
        self._release_due(now)

    def _take_best(self, now: float) -> None:
        best, carrier = self._best(now), self._carrier()
        if best is None or best is carrier:
            if carrier is None:
                self._choose(None, now)
        elif carrier is None:
            self._choose(best, now)
        elif self._better(best, carrier):
            stood = now >= best.since + STAND_TIME
            if stood or now < self.chosen_at + YOUNG_TIME:
                self._choose(best, now)

    def _best(self, now: float) -> _Candidate | None:
        """Return the best proven one; a flapping one only where there is no other."""
        proven = [c for c in self._candidates.values() if c.up]
        steady = [c for c in proven if c.held_until <= now]
        return next(iter(steady or proven), None)

    def _choose(self, candidate: _Candidate | None, now: float) -> None:
        kind = None if candidate is None else candidate.kind
        if kind is self.chosen:
            return
        carrier = self._carrier()
        if carrier is not None:
            self._advance(carrier, Input.DISPLACED, now)
        self.chosen, self.chosen_at = kind, now
        if candidate is not None:
            self._advance(candidate, Input.CHOSEN, now)
            self._learn_success(candidate.kind)
        self._events.append(TransportChosen(kind))

    def _learn_success(self, kind: TransportKind) -> None:
        self._unlearned = not self._recognised or not self.network
        if not self._unlearned:
            self.experience.learn_success(self.network, kind)

    def _start_due(self, now: float) -> None:
        carrier, at, early = self._carrier(), now, self._carrier() is not None
        last = next(reversed(self._candidates.values()), None)
        for candidate in self._candidates.values():
            candidate.due = None
        for candidate in self._candidates.values():
            if candidate is carrier:
                if now >= self._moved_at + DOUBT_TIME:
                    return
                at, early = max(now, self._moved_at + self._head_start(candidate)), False
                continue
            if candidate.running:
                if candidate.state is State.TRYING:
                    at = max(at, candidate.started_at + self._head_start(candidate))
                continue
            # One that failed here lately is no reason to wait, unless nothing else is left.
            if candidate.retry_at > now and candidate is not last:
                candidate.due = candidate.retry_at
                continue
            begin = now if early else at
            if begin <= now:
                self._start(candidate, now)
            else:
                candidate.due = begin
            at = max(at, begin + self._head_start(candidate))

    def _start(self, candidate: _Candidate, now: float) -> None:
        candidate.started_at, candidate.release_at = now, None
        self._advance(candidate, Input.STARTED, now)
        self._events.append(TransportWanted(candidate.kind))

    def _head_start(self, candidate: _Candidate) -> float:
        if self.experience.works(self.network, candidate.kind):
            return max(HEAD_START[candidate.kind], KNOWN_HEAD_START)
        return HEAD_START[candidate.kind]

    def _release_due(self, now: float) -> None:
        """Let those go that are of no use while another one carries."""
        carrier = self._carrier()
        for candidate in self._candidates.values():
            if carrier is None or candidate is carrier or not candidate.running:
                candidate.release_at = None
            elif self._better(carrier, candidate):
                candidate.release_at = candidate.release_at or now + LINGER_TIME
                if candidate.release_at <= now:
                    self._release(candidate, now)
            elif candidate.state is State.FAILED and self._recognised:
                self.experience.learn_failure(self.network, candidate.kind, candidate.reason, now)
                candidate.retry_at = candidate.due = now + candidate.retry
                candidate.retry = min(LAST_RETRY, candidate.retry * 2)
                self._release(candidate, now)

    def _release(self, candidate: _Candidate, now: float) -> None:
        candidate.release_at = None
        if candidate.running:
            if candidate.kind is self.chosen:
                self._choose(None, now)
            self._advance(candidate, Input.STOPPED, now)
            self._events.append(TransportUnwanted(candidate.kind))

    def _recall(self, now: float) -> None:
        """Begin with what is known of the network."""
        for candidate in self._candidates.values():
            failure = self.experience.failure(self.network, candidate.kind, now)
            if failure is not None and not candidate.running:
                candidate.reason = failure.reason
                candidate.retry_at = failure.until
            elif not candidate.running:
                candidate.reason = ""

    def _carrier(self) -> _Candidate | None:
        candidate = None if self.chosen is None else self._candidates.get(self.chosen)
        return candidate if candidate is not None and candidate.up else None

    def _better(self, one: _Candidate, other: _Candidate) -> bool:
        order = self.kinds
        return order.index(one.kind) < order.index(other.kind)

    def _advance(self, candidate: _Candidate, what: Input, now: float) -> None:
        try:
            state = TRANSITIONS[candidate.state, what]
        except KeyError:
            where = f"{candidate.kind}: {what.name} while {candidate.state.name}"
            raise LocalProtocolError(where) from None
        if (candidate.state in PROVEN_STATES) != (state in PROVEN_STATES) or (
            state not in PROVEN_STATES and state is not candidate.state
        ):
            candidate.since = now
        candidate.state = state
