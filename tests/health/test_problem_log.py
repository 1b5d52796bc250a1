"""What the log hears of problems: those that last, and how they end."""

import asyncio
from collections.abc import Callable
from typing import Any

from throughway.catalogue import find
from throughway.health.problem_log import ProblemLog
from throughway.health.tracker import Tracker

AT_ONCE, PATIENT = find("clock-skew"), find("internet-down")


class Logger:
    """Keeps what is logged, as (level, event, detail)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self.told = asyncio.Event()

    def __getattr__(self, level: str) -> Callable[..., None]:
        def say(event: str, **values: str) -> None:
            self.lines.append((level, event, values["detail"]))
            self.told.set()

        return say


def tracked() -> tuple[Tracker, Logger]:
    logger, tracker = Logger(), Tracker(lambda: 1.0)
    tracker.subscribe(ProblemLog(logger).changed)
    return tracker, logger


def test_what_need_not_last_is_told_at_once() -> None:
    async def run() -> None:
        tracker, logger = tracked()
        tracker.set(AT_ONCE, "7 minutes")
        tracker.clear(AT_ONCE)
        assert logger.lines == [
            ("error", "problem", "7 minutes"),
            ("info", "problem is over", "7 minutes"),
        ]

    assert AT_ONCE.visible_after == 0.0
    asyncio.run(run())


def test_what_ends_before_it_is_shown_makes_nobody_look() -> None:
    async def run() -> None:
        tracker, logger = tracked()
        tracker.set(PATIENT, "no network")
        tracker.set(PATIENT, "still none")
        assert logger.lines == []
        tracker.clear(PATIENT)
        assert logger.lines == [("debug", "problem did not last", "still none")]

    asyncio.run(run())


def test_what_lasts_is_told_as_it_is_then_and_its_end_too() -> None:
    async def run() -> None:
        tracker, logger = tracked()
        loop = asyncio.get_running_loop()
        ahead: list[Any] = []
        later = loop.call_later
        loop.call_later = lambda delay, *do: ahead.append((delay, do)) or later(3600, *do)  # type: ignore[method-assign, func-returns-value]
        tracker.set(PATIENT, "no network")
        tracker.set(PATIENT, "still none")
        (delay, (lasted, *words)) = ahead.pop()
        assert delay == PATIENT.visible_after
        lasted(*words)
        assert logger.lines == [("error", "problem", "still none")]
        tracker.set(PATIENT, "another reason")
        tracker.clear(PATIENT)
        tracker.set(PATIENT, "again")
        assert logger.lines[1:] == [
            ("error", "problem", "another reason"),
            ("info", "problem is over", "another reason"),
        ]

    asyncio.run(run())


def test_outside_a_loop_nothing_waits() -> None:
    tracker, logger = tracked()
    tracker.set(PATIENT, "no network")
    assert logger.lines == [("error", "problem", "no network")]
