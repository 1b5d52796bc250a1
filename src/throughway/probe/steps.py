"""Steps that are timed, told of and remembered."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from throughway.model.probing import Outcome, Step


@dataclass(frozen=True, slots=True)
class Listener:
    """Hears of each step."""

    started: Callable[[str], None] = field(default=lambda _: None)
    ended: Callable[[Step], None] = field(default=lambda _: None)


class Steps:
    """What was done, in the order in which it ended."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.done: list[Step] = []
        self._listener = listener or Listener()

    async def do(self, name: str, work: Awaitable[str]) -> None:
        """Do one; the work returns what went wrong, "" for nothing. Cancelled, it is unfinished."""
        begin = time.monotonic()
        self._listener.started(name)
        step = Step(name=name, outcome=Outcome.UNFINISHED, seconds=0.0)
        try:
            said = await work
            step = replace(step, outcome=Outcome.FAILED if said else Outcome.DONE, words=said)
        finally:
            step = replace(step, seconds=time.monotonic() - begin)
            self.done.append(step)
            self._listener.ended(step)
