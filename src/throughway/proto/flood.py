"""How much one source, and all together, may write into the audit in a minute.

Whoever is refused a thousand times is recorded ten times and then counted; the count follows as
a record of its own when the minute is over. So a flood fills no disk; and one that comes from
fewer than :data:`TOTAL` / :data:`PER_SOURCE` networks hides nobody else.
"""

from collections import OrderedDict
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds in which a source's records are counted, from its first."""
PER_SOURCE = 10
"""Records of one source in that time: a client of ours that is refused tries every 15 seconds."""
TOTAL = 300
"""Records of all sources in that time; what else comes is counted with its source."""
MAX_SOURCES = 1000
"""Sources that are counted one by one; beyond that the oldest are told as one."""
EVERYBODY = "many sources"


@dataclass(slots=True)
class _Source:
    until: float
    admitted: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A source, and how many of its events were not recorded."""

    source: str
    count: int


class FloodGate:
    """Asked before each record that a stranger can bring about."""

    def __init__(
        self, *, per_source: int = PER_SOURCE, total: int = TOTAL, max_sources: int = MAX_SOURCES
    ) -> None:
        self._per_source = per_source
        self._total = total
        self._max_sources = max_sources
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._all = _Source(0.0)
        self._evicted = 0

    def admits(self, source: str, now: float) -> bool:
        """Say whether the event is to be recorded; else it is counted."""
        if now >= self._all.until:
            self._all = _Source(now + WINDOW)
        entry = self._sources.get(source)
        if entry is None or (now >= entry.until and not entry.left_out):
            self._sources.pop(source, None)
            entry = self._sources[source] = _Source(now + WINDOW)
            while len(self._sources) > self._max_sources:
                self._evicted += self._sources.popitem(last=False)[1].left_out
        if entry.admitted >= self._per_source or self._all.admitted >= self._total:
            entry.left_out += 1
            return False
        entry.admitted += 1
        self._all.admitted += 1
        return True

    def due(self, now: float, *, everything: bool = False) -> tuple[LeftOut, ...]:
        """Return what was left out of minutes that are over, and forget those sources."""
        over = [name for name, s in self._sources.items() if everything or now >= s.until]
        told = [
            LeftOut(name, entry.left_out)
            for name in over
            if (entry := self._sources.pop(name)).left_out
        ]
        if self._evicted:
            told.append(LeftOut(EVERYBODY, self._evicted))
            self._evicted = 0
        return tuple(told)
