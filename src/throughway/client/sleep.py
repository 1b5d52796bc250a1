"""Notice that the computer was asleep: no timer has run meanwhile."""

import asyncio
import time
from collections.abc import Callable

SLEEP_INTERVAL = 1.0
"""Seconds between two looks at the clocks, and the shortest sleep that counts as one."""


async def watch_sleep(on_woken: Callable[[float], None]) -> None:
    """Tell of each sleep, for ever, with its seconds."""
    asleep = slept()
    while True:
        await asyncio.sleep(SLEEP_INTERVAL)
        before, asleep = asleep, slept()
        if asleep > before + SLEEP_INTERVAL:
            on_woken(asleep - before)


def slept() -> float:
    """Return how long the computer has slept since it was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
