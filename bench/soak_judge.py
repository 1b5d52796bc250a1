"""What a soak makes of what it saw: which alarms are false, what grew, what leaked.

Nothing here touches a lab. An alarm is anything that would make somebody look: a problem, a
component, check or stage that is not well, a line of the log at warning or above, a refusal in the
audit. It is false unless what was done to the computer just then explains it, by :data:`EXPLAINED`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

NOTICED = 10.0
"""Seconds that the end of a cause may take to be noticed: what recovery is allowed, too."""
GROWTH = 4.0
"""MiB that a process may be larger at the end."""
DESCRIPTORS = 4
"""Descriptors that a process may have more at the end."""
KEPT = 8.0
"""MiB an hour by which what a host keeps may grow: a day of that is no disk."""
UNPLUGGED, PORTAL, ORDINARY = "unplugged", "portal", "ordinary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A place, and when the roaming computer came there, in seconds since 1970."""

    place: str
    kind: str = ORDINARY
    begun: float
    """The cable of the place before was pulled then, or later."""
    plugged: float
    """Cable and addresses were there then."""
    cured: float = 0.0
    """When what stood in the way was gone: somebody had signed in, the cable was back."""
    settled: float = 0.0
    """The intranet was there for its user then."""
    ended: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that was shown, from its first sight to its last."""

    who: str
    where: str
    """``problem``, ``component``, ``check``, ``stage``, ``log``, ``event``, ``user``."""
    name: str
    """The code, or what it is called."""
    detail: str = ""
    first: float
    last: float
    """Of a line in a log both are the same."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What may be shown by whom, while what stands in the way is there."""

    kind: str
    """Of the stay."""
    names: frozenset[str]
    why: str


EXPLAINED = (
    Explanation(
        UNPLUGGED,
        frozenset({"internet-down"}),
        "the cable was out, and it says so",
    ),
    Explanation(
        PORTAL,
        frozenset({"captive-portal"}),
        "a portal was there, until somebody signed in",
    ),
)
ROOTS = frozenset({"problem", "log", "event"})
"""Where codes are shown; components and stages only repeat what the problem says."""


def explained(alarm: Alarm, stays: Iterable[Stay], roaming: str) -> str:
    """Return why an alarm is a true one, "" when nothing explains it."""
    if alarm.who != roaming:
        return ""
    for stay in stays:
        for one in EXPLAINED:
            there = stay.begun <= alarm.first and alarm.last <= _over(stay)
            said = alarm.name in one.names if alarm.where in ROOTS else True
            if stay.kind == one.kind and there and said:
                return one.why
    return ""


def _over(stay: Stay) -> float:
    """Return when what a stay explains must have been taken back."""
    return (stay.cured or stay.ended or float("inf")) + NOTICED


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that a user wanted."""

    who: str
    at: float
    what: str
    came: bool
    took: float


def broken(attempts: Iterable[Attempt], stays: Sequence[Stay], roaming: str) -> list[Alarm]:
    """Return what a user wanted and did not get, though the computer had settled, as alarms."""
    found = []
    for attempt in attempts:
        if attempt.came or (attempt.who == roaming and not _calm(attempt, stays)):
            continue
        found.append(
            Alarm(
                who=attempt.who,
                where="user",
                name=attempt.what,
                detail=f"did not come in {attempt.took:.1f} s",
                first=attempt.at,
                last=attempt.at + attempt.took,
            )
        )
    return found


def _calm(attempt: Attempt, stays: Sequence[Stay]) -> bool:
    """Whether it began and ended between two moves."""
    return any(
        stay.settled and stay.settled <= attempt.at and attempt.at + attempt.took <= stay.ended
        for stay in stays
    )


def counted(
    attempts: Iterable[Attempt], stays: Sequence[Stay], roaming: str
) -> dict[str, dict[str, tuple[int, int]]]:
    """Count what each user wanted between moves, and what came of it."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for attempt in attempts:
        if attempt.who != roaming or _calm(attempt, stays):
            kinds = found.setdefault(attempt.who, {})
            tried, came = kinds.get(attempt.what, (0, 0))
            kinds[attempt.what] = (tried + 1, came + attempt.came)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A process at one moment."""

    rss: float
    """MiB."""
    descriptors: int
    cpu: float
    """Seconds since it began."""


Weights = Mapping[str, Weight]
"""Of every process of a host, by a name that tells it apart."""


def grown(before: Weights, after: Weights) -> list[str]:
    """Return what holds more than it may."""
    words = []
    for name, end in after.items():
        if not (begin := before.get(name)):
            continue
        if end.rss - begin.rss > GROWTH:
            words.append(f"{name}: {begin.rss:.1f} MiB became {end.rss:.1f} MiB")
        if end.descriptors - begin.descriptors > DESCRIPTORS:
            words.append(f"{name}: {begin.descriptors} descriptors became {end.descriptors}")
    words += [f"{name}: ended" for name in before if name not in after]
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What everything weighed at one moment, the roaming computer always being at home then."""

    at: float
    weights: Mapping[str, Weights]
    """Of each host."""
    kept: Mapping[str, int]
    """Bytes of logs and state of each host."""


@dataclass(slots=True, kw_only=True)
class Result:
    """Everything that came of a soak."""

    taken: str
    seed: int
    cores: int
    load: tuple[float, float]
    """Of the machine, before and after."""
    minutes: float = 0.0
    """That it really took."""
    stays: list[Stay] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    """The false ones."""
    true: dict[str, int] = field(default_factory=dict)
    """How many were explained, by what explains them."""
    doubts: dict[str, int] = field(default_factory=dict)
    """Looks at checks whose last one had come to no result."""
    leaks: list[str] = field(default_factory=list)
    attempts: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Of each user: what was wanted, how often, how often it came; between moves."""
    scales: list[Scale] = field(default_factory=list)
    """After each time through all places, and at the very beginning."""

    def compared(self) -> tuple[Scale, Scale]:
        """Return the first weights after all has been used once, and the last ones."""
        return self.scales[1 if len(self.scales) > 2 else 0], self.scales[-1]

    def grown(self) -> list[str]:
        """Return what grew more than it may."""
        if not self.scales:
            return []
        first, last = self.compared()
        words = [
            f"{host} {line}"
            for host, after in last.weights.items()
            for line in grown(first.weights[host], after)
        ]
        allowed = KEPT * max(1.0, (last.at - first.at) / 3600)
        for host, size in last.kept.items():
            if (more := (size - first.kept[host]) / 2**20) > allowed:
                words.append(f"{host}: keeps {more:.1f} MiB more")
        return words

    def well(self) -> bool:
        """Whether there was nothing to complain of."""
        return not (self.alarms or self.leaks or self.grown())
