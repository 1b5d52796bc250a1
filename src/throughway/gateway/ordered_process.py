"""What every process of the gateway is that gets its orders over a channel.

It begins with nothing, does what it is ordered, and ends when it is told to, when it cannot go on,
or when the gateway is gone.
"""

import asyncio
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from throughway.gateway.channel import Channel, Failed, Message, adopt

EXIT_WELL, EXIT_FAILED = 0, 1


class Runs(Protocol):
    """What :func:`main` runs."""

    async def run(self) -> int:
        """Live, and return the exit code."""


class OrderedProcess(ABC):
    """The process, from its first order to the end of the channel; ``what`` names it in words."""

    what = ""

    def __init__(self, descriptor: int) -> None:
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel = Channel(adopt(descriptor), self._take, lambda: self._end(EXIT_FAILED))

    async def run(self) -> int:
        """Serve until told to stop, or until the gateway is gone; return the exit code."""
        code = await self._over
        await self._close()
        self._channel.close()
        return code

    @abstractmethod
    def _take(self, message: Message) -> None:
        """Do what is ordered."""

    @abstractmethod
    async def _close(self) -> None:
        """End what was begun."""

    def _fail(self, why: str) -> None:
        """Tell the gateway why there is no going on, and end."""
        self._channel.send(Failed(self.what, why, fatal=True))
        self._end(EXIT_FAILED)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)


def main(make: Callable[[int], Runs]) -> int:
    """Run a process on the channel whose descriptor is its only argument.

    What ends the gateway from a terminal is for the gateway to pass on.
    """

    async def live() -> int:
        return await make(int(sys.argv[1])).run()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    return asyncio.run(live())
