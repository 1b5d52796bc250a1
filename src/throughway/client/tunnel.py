"""Keep one tunnel up that is wanted: try, try again, and tell who waits for it."""

import asyncio
from collections.abc import Awaitable, Callable

from throughway.model.errors import IPsecError, ThroughwayError

FIRST_BACKOFF, LAST_BACKOFF = 0.25, 5.0
"""Seconds between attempts; a new address or link begins anew."""

Failure = Callable[[str, str, str], None]
"""Called with name, reason and problem."""


class Tunnel:
    """One tunnel that is wanted or not, and the task that sees to it."""

    def __init__(
        self,
        name: str,
        bring_up: Callable[[str], Awaitable[None]],
        on_failure: Failure,
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self.up = asyncio.Event()
        self.last_error = ""
        self.trying = False
        self._bring_up = bring_up
        self._on_failure = on_failure
        self._on_change = on_change
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the tunnel is to be up."""
        return self._task is not None

    async def bring_up(self) -> None:
        """Want the tunnel, try at once, and return when it is up; retries go on if it fails."""
        self._settle(IPsecError(f"another attempt at the {self.name} tunnel was asked for"))
        self._first = first = asyncio.get_running_loop().create_future()
        self._restart()
        await asyncio.shield(first)

    async def under_way(self) -> bool:
        """Say whether it is up; if an attempt is being made, wait for its end."""
        if self._first is not None and not self._first.done():
            await asyncio.shield(self._first)
        return self.up.is_set()

    async def release(self) -> None:
        """Want the tunnel no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self._settle(IPsecError(f"the {self.name} tunnel is not wanted any more"))
        self.up.clear()
        self.trying, self.last_error = False, ""

    def retry(self) -> None:
        """If it is wanted, begin anew at once: what it went over has changed."""
        if self.wanted:
            self._restart()

    def hurry(self) -> None:
        """If the next attempt is being waited for, make it now."""
        if self.wanted and not self.trying and not self.up.is_set():
            self._restart()

    def lost(self) -> None:
        """It is not up any more."""
        self.up.clear()
        self._lost.set()

    def _restart(self) -> None:
        self.up.clear()
        before = self._task
        if before is not None:
            before.cancel()
        self._task = asyncio.create_task(self._keep(before), name=f"{self.name} tunnel")
        self._task.add_done_callback(self._ended)

    async def _keep(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        backoff = FIRST_BACKOFF
        while True:
            self._lost.clear()
            self.trying = True
            self._on_change()
            try:
                await self._bring_up(self.name)
            except ThroughwayError as error:
                self._failed(error)
                await asyncio.sleep(backoff)
                backoff = min(LAST_BACKOFF, backoff * 2)
                continue
            backoff = FIRST_BACKOFF
            self.trying, self.last_error = False, ""
            self.up.set()
            self._settle(None)
            self._on_change()
            await self._lost.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let a bug be seen, by whoever waits and by the loop's handler."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._settle(error)
            message = f"the keeper of the {self.name} tunnel failed"
            task.get_loop().call_exception_handler({"message": message, "exception": error})

    def _failed(self, error: ThroughwayError) -> None:
        self.trying, self.last_error = False, str(error)
        self._on_failure(self.name, str(error), getattr(error, "problem", ""))
        self._settle(error)
        self._on_change()

    def _settle(self, error: BaseException | None) -> None:
        first, self._first = self._first, None
        if first is None or first.done():
            return
        if error is None:
            first.set_result(None)
        else:
            first.set_exception(error)
            first.exception()  # its asker may be gone already
