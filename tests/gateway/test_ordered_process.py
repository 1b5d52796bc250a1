"""A process with orders: how it ends, and what it says before."""

import asyncio
import socket

import pytest

from throughway.gateway.channel import Channel, Failed, Message, Stop
from throughway.gateway.ordered_process import EXIT_FAILED, EXIT_WELL, OrderedProcess


class Serving(OrderedProcess):
    what = "a test"
    closed = False

    def _take(self, message: Message) -> None:
        if isinstance(message, Stop):
            self._end(EXIT_WELL)
        else:
            self._fail("I cannot")

    async def _close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("order", "code", "told"),
    [
        (Stop(), EXIT_WELL, []),
        (Failed("x", "anything"), EXIT_FAILED, [Failed("a test", "I cannot", fatal=True)]),
        (None, EXIT_FAILED, []),
    ],
    ids=["told to", "cannot go on", "orphaned"],
)
def test_how_it_ends(order: Message | None, code: int, told: list[Message]) -> None:
    heard: list[Message] = []

    async def scenario() -> tuple[int, bool]:
        ours, its = socket.socketpair()
        over = asyncio.Event()
        channel = Channel(ours, heard.append, over.set)
        process = Serving(its.detach())
        running = asyncio.ensure_future(process.run())
        if order is None:
            channel.close()
        else:
            channel.send(order)
        ended = await running
        if order is not None:
            await over.wait()
            channel.close()
        return ended, process.closed

    assert asyncio.run(scenario()) == (code, True)
    assert heard == told
