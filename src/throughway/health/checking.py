"""Live checks: each part is looked at again and again, and the tracker hears what was found.

A check is asked at its interval (with jitter, so that not all are asked at once), with a limit of
time, and at once on demand. What it finds is set, what it may find and did not is cleared; when it
could not tell, what was known before stands and the check is *unknown*. Nothing here knows what is
being checked.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from throughway.health.tracker import STATE_OF, Tracker, worst
from throughway.model.findings import Component, Problem
from throughway.model.status import CheckChange, CheckStatus, ComponentState

INTERVAL = 5.0
"""Seconds between two looks, where a check does not say otherwise: noticed within ten."""
TIMEOUT = 4.0
"""Seconds that a look may take."""
JITTER = 0.2
"""Share of the interval by which a look is earlier or later."""
HISTORY_LENGTH = 32
"""Changes of state that are remembered of each check."""
MAX_FOUND = 32
"""Problems of one look."""


@dataclass(frozen=True, slots=True)
class Found:
    """A problem that a look has found; ``key`` tells instances apart, such as two servers."""

    problem: Problem
    detail: str = ""
    key: str = ""
    interface: str = ""
    """What INTERFACE means in the problem's commands, where it is this one's own."""


class CannotTell(Exception):
    """The look came to no result, in words for a person; what was known before stands."""


Look = Callable[[], Awaitable[Iterable[Found] | str]]
"""Returns what was found; a text is what is well, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How one part is looked at."""

    name: str
    """Kebab-case, as it is asked for by name."""
    title: str
    component: Component
    problems: tuple[Problem, ...]
    """What it may find."""
    look: Look
    interval: float = INTERVAL
    again: float = 0.0
    """Seconds between two looks while there is something to find; 0: as ever."""
    timeout: float = TIMEOUT
    wanted: Callable[[], str] = lambda: ""
    """Why it is not looked at, such as "not configured"; "" when it is."""


@dataclass(slots=True)
class _Known:
    """What is known of a check."""

    state: ComponentState = ComponentState.UNKNOWN
    since: float = 0.0
    looked_at: float = 0.0
    took: float = 0.0
    detail: str = ""
    found: tuple[Found, ...] = ()
    history: deque[CheckChange] = field(default_factory=lambda: deque(maxlen=HISTORY_LENGTH))
    again: asyncio.Event = field(default_factory=asyncio.Event)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Checker:
    """Runs checks from :meth:`start` to :meth:`stop`; ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        tracker: Tracker,
        clock: Callable[[], float],
        *,
        on_bug: Callable[[str, BaseException], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._tracker = tracker
        self._clock = clock
        self._on_bug = on_bug
        self._chance = chance
        self._checks: dict[str, Check] = {}
        self._known: dict[str, _Known] = {}
        self._unused: set[Component] = set()
        """Components of which nothing is looked at, and that say nothing of themselves."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, checks: Iterable[Check]) -> None:
        """Begin to look."""
        for check in checks:
            self._checks[check.name] = check
            self._known[check.name] = _Known()
            task = asyncio.get_running_loop().create_task(self._again_and_again(check))
            self._tasks.append(task)

    async def stop(self) -> None:
        """Look no more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self, names: Iterable[str] = ()) -> None:
        """Look now at the checks of these names, or at all; return when all have been."""
        wanted = [self._checks[name] for name in names] or list(self._checks.values())
        await asyncio.gather(*(self._look(check) for check in wanted))

    def soon(self, *names: str) -> None:
        """Look at these checks as soon as may be: something has happened to what they look at."""
        for name in names:
            if known := self._known.get(name):
                known.again.set()

    def status(self) -> tuple[CheckStatus, ...]:
        """Return every check, in the order in which they were given."""
        return tuple(self._status(check) for check in self._checks.values())

    def _status(self, check: Check) -> CheckStatus:
        known = self._known[check.name]
        return CheckStatus(
            name=check.name,
            title=check.title,
            component=check.component,
            state=known.state,
            since=known.since,
            detail=known.detail,
            looked_at=known.looked_at,
            took=known.took,
            interval=check.interval,
            problems=tuple(dict.fromkeys(found.problem.code for found in known.found)),
            history=tuple(known.history),
        )

    async def _again_and_again(self, check: Check) -> None:
        known = self._known[check.name]
        while True:
            known.again.clear()
            await self._look(check)
            interval = check.again if known.found and check.again else check.interval
            pause = interval * (1 + JITTER * (2 * self._chance() - 1))
            # wait_for() of Python 3.11 may swallow a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await known.again.wait()

    async def _look(self, check: Check) -> None:
        known = self._known[check.name]
        async with known.looking:
            if why := check.wanted():
                self._take(check, (), ComponentState.DISABLED, why)
                self._leave_out(check.component, why)
                return
            if check.component in self._unused:
                self._unused.remove(check.component)
                self._tracker.forget(check.component)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            try:
                async with asyncio.timeout(check.timeout):
                    answer = await check.look()
            except TimeoutError:
                self._doubt(check, f"no answer within {check.timeout:g} s")
            except CannotTell as error:
                self._doubt(check, str(error))
            except Exception as error:  # whatever it was, the other checks go on and so does this
                self._on_bug(f"check {check.name}", error)
                self._doubt(check, f"{type(error).__name__}: {error}")
            else:
                found = () if isinstance(answer, str) else tuple(answer)[:MAX_FOUND]
                words = answer if isinstance(answer, str) else ""
                self._take(check, found, _state(found), words or _words(found))
            known.took = loop.time() - begun

    def _take(
        self, check: Check, found: tuple[Found, ...], state: ComponentState, words: str
    ) -> None:
        """Set what was found, clear what was not."""
        known = self._known[check.name]
        for one in found:
            values = {"INTERFACE": one.interface} if one.interface else None
            self._tracker.set(one.problem, one.detail, key=one.key, values=values)
        there = {(one.problem.code, one.key) for one in found}
        for before in known.found:
            if (before.problem.code, before.key) not in there:
                self._tracker.clear(before.problem, key=before.key)
        known.found = found
        self._become(check, state, words)
        if state is ComponentState.OK:
            self._tracker.seen(check.component)

    def _leave_out(self, component: Component, why: str) -> None:
        """Call a component disabled when no check of it is wanted, and nobody else speaks of it."""
        its = (self._known[c.name] for c in self._checks.values() if c.component is component)
        if any(known.state is not ComponentState.DISABLED for known in its):
            return
        if self._tracker.component(component).state is ComponentState.UNKNOWN:
            self._unused.add(component)
            self._tracker.disable(component, why)

    def _doubt(self, check: Check, why: str) -> None:
        self._become(check, ComponentState.UNKNOWN, why)

    def _become(self, check: Check, state: ComponentState, words: str) -> None:
        known, now = self._known[check.name], self._clock()
        known.looked_at = now
        if state is not known.state or not known.since:
            known.state, known.since = state, now
            known.history.append(CheckChange(at=now, state=state, detail=words))
        known.detail = words


def _state(found: tuple[Found, ...]) -> ComponentState:
    return worst(STATE_OF[one.problem.severity] for one in found) if found else ComponentState.OK


def _words(found: tuple[Found, ...]) -> str:
    return "; ".join(one.detail or one.problem.title for one in found)
