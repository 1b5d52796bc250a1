"""How many lines of one kind a log takes: what flaps, or what strangers make, must not fill it.

The first lines of a kind pass as they come. Beyond that they are counted, and when the window is
over one line says how many more there were and what the last one said. While a kind goes on like
that its windows become longer and fewer lines pass; a quiet window makes it new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BURST = 30
"""Lines of one kind that pass in a window: a person who does something by hand makes fewer."""
WINDOW = 60.0
"""Seconds."""
AFTER = 3
"""Lines that pass in a window that follows one with too many."""
LONGEST = 300.0
"""Seconds of the longest window."""
MAX_KINDS = 1000
"""The catalogue and our own events are half as many."""
KIND_FIELDS = ("component", "event", "code", "problem", "tunnel", "kind", "worker")
"""What tells kinds apart; none of it is a stranger's word."""

Kind = tuple[str, ...]


def kind_of(event: Mapping[str, Any]) -> Kind:
    """Return the kind of an event."""
    return tuple(str(event.get(name, "")) for name in KIND_FIELDS)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines that did not pass."""

    count: int
    seconds: float
    """In which they came."""
    last: Mapping[str, Any]


@dataclass(slots=True)
class _Window:
    begun: float
    length: float
    quota: int = BURST
    count: int = 0
    last: Mapping[str, Any] | None = None

    @property
    def end(self) -> float:
        return self.begun + self.length


class Limiter:
    """Says of each event whether it passes; :meth:`due` is to be asked before, and at times."""

    length = WINDOW
    """Seconds of a new kind's window."""

    def __init__(self) -> None:
        self._windows: dict[Kind, _Window] = {}
        self._next = float("inf")
        self.left_out = 0
        """Lines, since the start."""

    def take(self, event: Mapping[str, Any], now: float) -> bool:
        """Count an event; say whether it passes."""
        kind = kind_of(event)
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= MAX_KINDS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[kind] = _Window(now, self.length)
            self._next = min(self._next, window.end)
        window.count += 1
        if window.count <= window.quota:
            return True
        window.last = event
        self.left_out += 1
        return False

    def due(self, now: float) -> list[LeftOut]:
        """Return what was left out in windows that are over."""
        if now < self._next:
            return []
        told = [self._end(kind, now) for kind, one in list(self._windows.items()) if now >= one.end]
        self._next = min((one.end for one in self._windows.values()), default=float("inf"))
        return [one for one in told if one is not None]

    def timer_at(self) -> float | None:
        """Return when there is something to be told, None while there is not."""
        return min((one.end for one in self._windows.values() if one.last), default=None)

    def _end(self, kind: Kind, now: float) -> LeftOut | None:
        over = self._windows.pop(kind)
        if over.last is None:
            return None
        length = min(LONGEST, over.length * 2)
        self._windows[kind] = _Window(now, length=length, quota=AFTER)
        return LeftOut(over.count - over.quota, now - over.begun, over.last)
