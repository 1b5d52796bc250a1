"""Problems in the log as status shows them: what does not last long enough to be shown is quiet.

What wakes people reads the log. A problem whose catalogue entry says that it must last for some
seconds is therefore told when it has lasted them, and only then is its end worth a line, too.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from throughway.catalogue import find
from throughway.health.log import tell_change
from throughway.health.tracker import Change


@dataclass(slots=True)
class _Waiting:
    """A problem that is there, and not told yet."""

    timer: asyncio.TimerHandle
    last: Change
    """What was said of it last."""


class ProblemLog:
    """Takes the changes of a tracker; outside an event loop nothing waits."""

    def __init__(self, logger: Any) -> None:  # noqa: ANN401 - structlog's lazy proxy
        self._logger = logger
        self._told: set[tuple[str, str]] = set()
        self._waiting: dict[tuple[str, str], _Waiting] = {}

    def changed(self, change: Change) -> None:
        """Tell of it now, once it has lasted, or never."""
        name = change.code, change.key
        if change.held:
            self._begun(name, change)
        elif waiting := self._waiting.pop(name, None):
            waiting.timer.cancel()
            self._logger.debug("problem did not last", code=change.code, detail=change.detail)
        else:
            self._told.discard(name)
            tell_change(self._logger, change)

    def _begun(self, name: tuple[str, str], change: Change) -> None:
        if waiting := self._waiting.get(name):
            waiting.last = change
            return
        patience = find(change.code).visible_after
        if patience and name not in self._told:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                pass
            else:
                timer = loop.call_later(patience, self._lasted, name)
                self._waiting[name] = _Waiting(timer, change)
                return
        self._told.add(name)
        tell_change(self._logger, change)

    def _lasted(self, name: tuple[str, str]) -> None:
        self._told.add(name)
        tell_change(self._logger, self._waiting.pop(name).last)
