"""Checks that look again and again, and what the tracker hears of them."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.patience import PATIENCE
from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.location import NLS_UNREACHABLE_INSIDE
from throughway.health.checking import HISTORY_LENGTH, CannotTell, Check, Checker, Found
from throughway.health.log_limit import BURST, Limiter
from throughway.health.tracker import HISTORY_LENGTH as REMEMBERED
from throughway.health.tracker import Change, Tracker
from throughway.model.findings import Component
from throughway.model.status import CheckStatus, ComponentState

TURNS = 400
"""More than anything remembers."""


async def until(seen: Callable[[], bool]) -> None:
    """Let the checker's tasks run until something is seen."""
    async with asyncio.timeout(PATIENCE):
        while not seen():  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.001)


class Part:
    """A part that is as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.answer: Iterable[Found] | str = "well"
        self.error: Exception | None = None
        self.unwanted = ""
        self.looks = 0
        self.gate: asyncio.Event | None = None
        self.bugs: list[str] = []
        self.tracker = Tracker(lambda: self.now)
        self.checker = Checker(
            self.tracker, lambda: self.now, on_bug=lambda where, _: self.bugs.append(where)
        )

    def check(self, *, interval: float = 3600.0, timeout: float = PATIENCE) -> Check:
        return Check(
            name="location-server",
            title="Network Location Server",
            component=Component.LOCATION,
            problems=(NLS_UNREACHABLE_INSIDE,),
            look=self.look,
            interval=interval,
            timeout=timeout,
            wanted=lambda: self.unwanted,
        )

    async def look(self) -> Iterable[Found] | str:
        self.looks += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.answer

    @property
    def status(self) -> CheckStatus:
        (status,) = self.checker.status()
        return status

    @property
    def shown(self) -> list[tuple[str, str]]:
        return [(c.code, c.detail) for c in self.tracker.current()]


def test_what_is_found_is_set_and_what_is_gone_is_cleared() -> None:
    async def run() -> None:
        part = Part()
        part.checker.start([part.check()])
        assert part.status.state is ComponentState.UNKNOWN
        await part.checker.look()
        assert (part.status.state, part.status.detail) == (ComponentState.OK, "well")
        assert part.tracker.component(Component.LOCATION).state is ComponentState.OK
        part.now, part.answer = 1010.0, [Found(NLS_UNREACHABLE_INSIDE, "refused", "a")]
        await part.checker.look(["location-server"])
        assert part.shown == [("nls-unreachable-inside", "refused")]
        assert part.status.problems == ("nls-unreachable-inside",)
        assert (part.status.state, part.status.since) == (ComponentState.WARNING, 1010.0)
        part.now, part.answer = 1020.0, [Found(NLS_UNREACHABLE_INSIDE, "silent", "b")]
        await part.checker.look()
        assert part.shown == [("nls-unreachable-inside", "silent")]
        assert part.status.since == 1010.0, "it is no better and no worse"
        part.now, part.answer = 1030.0, []
        await part.checker.look()
        assert part.shown == []
        assert [change.state for change in part.status.history][-2:] == ["warning", "ok"]
        await part.checker.stop()

    asyncio.run(run())


def test_while_something_is_wrong_it_is_looked_at_more_often() -> None:
    async def run() -> None:
        part = Part()
        part.answer = [Found(NLS_UNREACHABLE_INSIDE, "refused")]
        part.checker.start([replace(part.check(), again=0.001)])
        await until(lambda: part.looks > 3)
        part.answer = "well"
        await until(lambda: part.status.state is ComponentState.OK)
        assert part.shown == []
        await part.checker.stop()

    asyncio.run(run())


def test_what_others_say_of_the_same_problem_stays() -> None:
    async def run() -> None:
        part = Part()
        part.tracker.set(NLS_UNREACHABLE_INSIDE, "somebody else's", key="other")
        part.tracker.set(CLOCK_SKEW, "an hour")
        part.checker.start([part.check()])
        part.answer = [Found(NLS_UNREACHABLE_INSIDE, "mine", "mine")]
        await part.checker.look()
        part.answer = []
        await part.checker.look()
        assert part.tracker.holds(NLS_UNREACHABLE_INSIDE)
        assert part.tracker.holds(CLOCK_SKEW)
        await part.checker.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "detail", "bugs"),
    [
        (CannotTell("nobody to ask"), "nobody to ask", []),
        (KeyError("x"), "KeyError: 'x'", ["check location-server"]),
    ],
)
def test_a_look_without_result_leaves_what_was_known(
    error: Exception, detail: str, bugs: list[str]
) -> None:
    async def run() -> None:
        part = Part()
        part.checker.start([part.check()])
        part.answer = [Found(NLS_UNREACHABLE_INSIDE, "refused")]
        await part.checker.look()
        part.error = error
        await part.checker.look()
        assert (part.status.state, part.status.detail) == (ComponentState.UNKNOWN, detail)
        assert part.shown == [("nls-unreachable-inside", "refused")]
        assert part.bugs == bugs
        part.error, part.answer = None, "well"
        await part.checker.look()
        assert part.shown == []
        await part.checker.stop()

    asyncio.run(run())


def test_a_look_that_hangs_is_given_up_and_the_next_one_comes() -> None:
    async def run() -> None:
        part = Part()
        part.gate = asyncio.Event()
        part.checker.start([part.check(interval=0.001, timeout=0.01)])
        await until(lambda: part.looks >= 3)
        assert part.status.state is ComponentState.UNKNOWN
        assert part.status.detail == "no answer within 0.01 s"
        part.gate.set()
        await until(lambda: part.status.state is ComponentState.OK)
        await part.checker.stop()

    asyncio.run(run())


def test_a_check_that_is_not_wanted_is_disabled_and_finds_nothing() -> None:
    async def run() -> None:
        part = Part()
        part.checker.start([part.check()])
        part.answer = [Found(NLS_UNREACHABLE_INSIDE, "refused")]
        await part.checker.look()
        part.unwanted = "not configured"
        looks = part.looks
        await part.checker.look()
        assert part.looks == looks
        assert (part.status.state, part.status.detail) == (
            ComponentState.DISABLED,
            "not configured",
        )
        assert part.shown == []
        await part.checker.stop()

    asyncio.run(run())


def test_an_event_is_looked_at_at_once() -> None:
    async def run() -> None:
        part = Part()
        part.checker.start([part.check()])
        await until(lambda: part.looks >= 1)
        part.checker.soon("location-server", "no such check")
        await until(lambda: part.looks >= 2)
        await part.checker.stop()

    asyncio.run(run())


def test_what_flaps_does_not_grow() -> None:
    async def run() -> None:
        part = Part()
        part.checker.start([part.check()])
        for turn in range(3 * HISTORY_LENGTH):
            part.answer = "well" if turn % 2 else [Found(NLS_UNREACHABLE_INSIDE, "refused")]
            await part.checker.look()
        assert len(part.status.history) == HISTORY_LENGTH
        await part.checker.stop()

    asyncio.run(run())


def test_a_component_of_which_nothing_is_wanted_is_disabled_until_something_is() -> None:
    async def run() -> None:
        part = Part()
        part.unwanted = "the policy names none"
        part.checker.start([part.check()])
        await part.checker.look()
        row = part.tracker.component(Component.LOCATION)
        assert (row.state, row.detail) == (ComponentState.DISABLED, "the policy names none")
        part.unwanted, part.answer = "", [Found(NLS_UNREACHABLE_INSIDE, "refused")]
        await part.checker.look()
        assert part.shown == [("nls-unreachable-inside", "refused")]
        assert part.tracker.component(Component.LOCATION).state is ComponentState.WARNING
        await part.checker.stop()

    asyncio.run(run())


def test_a_component_that_speaks_for_itself_is_not_disabled() -> None:
    async def run() -> None:
        part = Part()
        part.tracker.ok(Component.LOCATION, "it serves")
        part.unwanted = "the policy names none"
        part.checker.start([part.check()])
        await part.checker.look()
        assert part.tracker.component(Component.LOCATION).state is ComponentState.OK
        await part.checker.stop()

    asyncio.run(run())


def test_a_component_is_in_use_while_one_of_its_checks_is_wanted() -> None:
    async def run() -> None:
        part = Part()
        part.unwanted = "the policy names none"
        other = replace(part.check(), name="other", wanted=lambda: "")
        part.checker.start([part.check(), other])
        await part.checker.look()
        assert part.tracker.component(Component.LOCATION).state is ComponentState.OK
        await part.checker.stop()

    asyncio.run(run())


def test_what_flaps_fills_neither_history_nor_log() -> None:
    async def run() -> None:
        part = Part()
        limiter, passed, told = Limiter(), [], 0

        def write(change: Change) -> None:
            nonlocal told
            told += 1
            event = {"event": "problem" if change.held else "problem over", "code": change.code}
            if limiter.take(event, part.now):
                passed.append(event)

        part.tracker.subscribe(write)
        part.checker.start([part.check()])
        for turn in range(TURNS):
            part.now += 1.0
            part.answer = [Found(NLS_UNREACHABLE_INSIDE, "refused")] if turn % 2 else []
            await part.checker.look()
        assert told >= TURNS - 1, "the tracker hears of every turn"
        assert len(part.status.history) == HISTORY_LENGTH
        assert part.status.history[-1].at == part.now, "the last ones are remembered"
        assert len(part.tracker.history) == REMEMBERED
        assert len(part.tracker.current()) == 1
        assert len(passed) == 2 * BURST, "of each kind as many as a window takes"
        assert limiter.left_out == told - 2 * BURST
        await part.checker.stop()

    asyncio.run(run())
