"""Steps: told of, timed, also when they are broken off."""

import asyncio
import contextlib

from throughway.model.probing import Outcome, Step
from throughway.probe.steps import Listener, Steps


def test_each_outcome() -> None:
    started: list[str] = []
    ended: list[Step] = []

    async def work(words: str, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        return words

    async def scenario() -> None:
        steps = Steps(Listener(started.append, ended.append))
        await steps.do("one", work(""))
        await steps.do("two", work("no"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await steps.do("three", work("", 60))
        assert steps.done == ended

    asyncio.run(scenario())
    assert started == ["one", "two", "three"]
    outcomes = [step.outcome for step in ended]
    assert outcomes == [Outcome.DONE, Outcome.FAILED, Outcome.UNFINISHED]
