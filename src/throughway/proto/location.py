"""Inside or outside: probes of the Network Location Servers, judged.

A client is inside when one of the location URLs answers over https with a certificate that
proves its name; it is outside when none does. Everything but a verified answer counts as
"outside", because a client that wrongly believes to be inside would send intranet traffic in
plain. Driven by the client daemon with :func:`throughway.net.fetch.probe`.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from throughway.model.errors import LocalProtocolError
from throughway.model.status import Location

PROBE_TIME = 1.5
"""Seconds a location URL has to answer; a location server is near or not there at all."""
OUTSIDE_INTERVAL = 60.0
"""Seconds between probes outside, for networks that change without a trace on this machine."""
INSIDE_INTERVAL = 30.0
"""Seconds between probes inside."""
DOUBT_INTERVAL = 3.0
"""Seconds until a failed probe inside is repeated; the second failure counts."""
FAILURES_TO_LEAVE = 2
"""Failed rounds in a row before an unmoved client is outside: a restart of the location
server must not throw everybody out."""
MAXIMUM_RESTARTS = 3
"""Rounds that changes of network may cut short before one is carried to its end."""
FLAP_LIMIT = 20
"""Changes of location within :data:`FLAP_WINDOW` after which probes are delayed."""
FLAP_WINDOW = 60.0
FLAP_DELAY = 3.0
"""Seconds a restless network has to settle before it is probed."""


class Input(Enum):
    """What the location is judged by."""

    VERIFIED = auto()
    """A location server has proved itself."""
    REFUTED = auto()
    """None has, and that counts."""
    DOUBTED = auto()
    """None has, once."""
    NETWORK_CHANGED = auto()
    """Addresses or default routes are others than before."""


# A network that changed may be any network: until a probe has an answer, an inside client must
# not go on as if it were inside. An outside client is safe where it is.
TRANSITIONS: dict[tuple[Location, Input], Location] = {
    (Location.UNKNOWN, Input.VERIFIED): Location.INSIDE,
    (Location.UNKNOWN, Input.REFUTED): Location.OUTSIDE,
    (Location.UNKNOWN, Input.NETWORK_CHANGED): Location.UNKNOWN,
    (Location.INSIDE, Input.VERIFIED): Location.INSIDE,
    (Location.INSIDE, Input.REFUTED): Location.OUTSIDE,
    (Location.INSIDE, Input.DOUBTED): Location.INSIDE,
    (Location.INSIDE, Input.NETWORK_CHANGED): Location.UNKNOWN,
    (Location.OUTSIDE, Input.VERIFIED): Location.INSIDE,
    (Location.OUTSIDE, Input.REFUTED): Location.OUTSIDE,
    (Location.OUTSIDE, Input.NETWORK_CHANGED): Location.OUTSIDE,
}


@dataclass(frozen=True, slots=True)
class ProbesStarted:
    """Probe all URLs at once; give each result back with the number of the round."""

    round: int
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbesEnded:
    """What still runs of the round is of no interest any more."""

    round: int


@dataclass(frozen=True, slots=True)
class LocationJudged:
    """The location, or the reason for it, is another one."""

    location: Location
    reason: str


Event = ProbesStarted | ProbesEnded | LocationJudged


class LocationJudge:
    """Where the client is; starts with a round of probes once :meth:`start` is called."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self.location = Location.UNKNOWN
        self.reason = "not probed yet"
        self.connected = False
        self._urls = urls
        self._round = 0
        self._pending: dict[str, str] | None = None
        """Results of the running round by URL, "" while waited for; None between rounds."""
        self._timer: float | None = None
        self._failures = 0
        self._restarts = 0
        self._moved = True
        """Whether the network has changed since the last judgement."""
        self._stale = False
        """Whether it has changed since the running round began."""
        self._changes: deque[float] = deque(maxlen=FLAP_LIMIT)
        self._events: deque[Event] = deque()

    def start(self, connected: bool, now: float) -> None:
        """Begin; ``connected`` says whether there is any network at all."""
        self.connected = connected
        self._begin(now)

    def set_urls(self, urls: tuple[str, ...], now: float) -> None:
        """Probe other URLs from now on: a new policy has come."""
        if urls != self._urls:
            self._urls = urls
            self._moved = True
            self._begin(now)

    def refresh(self, now: float) -> None:
        """Look again now, because somebody asks."""
        self._moved = True
        self._begin(now)

    def network_changed(self, connected: bool, now: float) -> None:
        """Addresses or default routes have changed; ``connected``: there still are some."""
        self.connected = connected
        self._moved = True
        self._advance(Input.NETWORK_CHANGED, "the network has changed", now)
        if self._pending is not None and connected:
            self._restarts += 1
            if self._restarts > MAXIMUM_RESTARTS:
                self._stale = True
                return
        if connected and self._restless(now):
            self._end_round()
            soonest = now + FLAP_DELAY
            self._timer = soonest if self._timer is None else min(self._timer, soonest)
            return
        self._begin(now)

    def receive_verified(self, number: int, url: str, now: float) -> None:
        """A URL has answered, its certificate proved its name."""
        if not self._expected(number, url):
            return
        if self._stale:
            # The answer may have come over the network before; it proves nothing of this one.
            self._begin(now)
        else:
            self._judge(Input.VERIFIED, f"{url} has answered", now)

    def receive_failed(self, number: int, url: str, reason: str, now: float) -> None:
        """A URL has not answered, or its answer proves nothing."""
        if not self._expected(number, url):
            return
        assert self._pending is not None
        self._pending[url] = reason or "failed"
        if all(self._pending.values()):
            self._refute(now)

    def next_event(self) -> Event | None:
        """Return the next event, or None when there is none."""
        return self._events.popleft() if self._events else None

    def timer_at(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return self._timer

    def handle_timer(self, now: float) -> None:
        """Let time pass: end a round that hangs, begin the next one."""
        if self._timer is None or now < self._timer:
            return
        if self._pending is None:
            self._begin(now)
            return
        for url, result in self._pending.items():
            self._pending[url] = result or f"no answer within {PROBE_TIME:g} s"
        self._refute(now)

    def _begin(self, now: float) -> None:
        self._end_round()
        self._timer, self._stale = None, False
        if not self.connected:
            # Without a network nothing can leak; the next change of network begins a round.
            self._say(self.location, "no network")
            return
        if not self._urls:
            self._judge(Input.REFUTED, "the policy names no location server", now)
            self._timer = None
            return
        self._round += 1
        self._pending = dict.fromkeys(self._urls, "")
        self._timer = now + PROBE_TIME
        self._events.append(ProbesStarted(self._round, tuple(self._pending)))

    def _end_round(self) -> None:
        if self._pending is not None:
            self._pending = None
            self._events.append(ProbesEnded(self._round))

    def _expected(self, number: int, url: str) -> bool:
        return number == self._round and self._pending is not None and not self._pending.get(url, 1)

    def _refute(self, now: float) -> None:
        assert self._pending is not None
        reasons = "; ".join(f"{url}: {result}" for url, result in self._pending.items())
        self._failures += 1
        unmoved_inside = self.location is Location.INSIDE and not self._moved
        if unmoved_inside and self._failures < FAILURES_TO_LEAVE:
            self._end_round()
            self._advance(Input.DOUBTED, f"doubtful: {reasons}", now)
            self._timer = now + DOUBT_INTERVAL
            return
        self._judge(Input.REFUTED, reasons, now)

    def _judge(self, what: Input, reason: str, now: float) -> None:
        interval = INSIDE_INTERVAL if what is Input.VERIFIED else OUTSIDE_INTERVAL
        # A round that was carried to its end across a change says too little: look again soon.
        self._timer = now + (DOUBT_INTERVAL if self._stale else interval)
        self._end_round()
        self._failures = self._restarts = 0
        self._moved = False
        self._advance(what, reason, now)

    def _advance(self, what: Input, reason: str, now: float) -> None:
        try:
            location = TRANSITIONS[self.location, what]
        except KeyError:
            raise LocalProtocolError(f"{what.name} while {self.location.name}") from None
        if location is not self.location:
            self._changes.append(now)
            self._say(location, reason)
        elif what is not Input.NETWORK_CHANGED:
            self._say(location, reason)

    def _say(self, location: Location, reason: str) -> None:
        if (location, reason) != (self.location, self.reason):
            self.location, self.reason = location, reason
            self._events.append(LocationJudged(location, reason))

    def _restless(self, now: float) -> bool:
        return len(self._changes) == FLAP_LIMIT and now - self._changes[0] < FLAP_WINDOW
