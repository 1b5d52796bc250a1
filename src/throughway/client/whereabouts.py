"""Drive a :class:`throughway.proto.location.LocationJudge`: run its probes and its timer."""

import asyncio
from collections.abc import Awaitable, Callable

from throughway.model.errors import ThroughwayError
from throughway.model.status import Location
from throughway.proto.location import (
    PROBE_TIME,
    LocationJudge,
    LocationJudged,
    ProbesEnded,
    ProbesStarted,
)

Probe = Callable[[str], Awaitable[None]]
"""Probes a URL; returns when it has proved itself, raises a ThroughwayError when not."""


class Whereabouts:
    """Knows the location; ``on_change(location, reason)`` tells of every new judgement.

    ``on_probe(url, error)`` tells how each probe ended, with None for one that proved itself.
    """

    def __init__(
        self,
        urls: tuple[str, ...],
        probe: Probe,
        on_change: Callable[[Location, str], None],
        on_probe: Callable[[str, ThroughwayError | None], None] = lambda url, error: None,
    ) -> None:
        self._judge = LocationJudge(urls)
        self._probe = probe
        self._on_change = on_change
        self._on_probe = on_probe
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._probes: set[asyncio.Task[None]] = set()

    @property
    def location(self) -> Location:
        """Where the client is, as far as it is known."""
        return self._judge.location

    @property
    def reason(self) -> str:
        """What that judgement stands on."""
        return self._judge.reason

    def start(self, connected: bool) -> None:
        """Begin to probe."""
        self._judge.start(connected, self._loop.time())
        self._pump()

    def network_changed(self, connected: bool) -> None:
        """Tell that addresses or routes changed."""
        self._judge.network_changed(connected, self._loop.time())
        self._pump()

    def set_urls(self, urls: tuple[str, ...]) -> None:
        """Probe other URLs from now on."""
        self._judge.set_urls(urls, self._loop.time())
        self._pump()

    def refresh(self) -> None:
        """Look again now."""
        self._judge.refresh(self._loop.time())
        self._pump()

    async def close(self) -> None:
        """Stop probing."""
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._probes):
            task.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    def _pump(self) -> None:
        while event := self._judge.next_event():
            match event:
                case ProbesStarted(number, urls):
                    for url in urls:
                        task = self._loop.create_task(self._run(number, url))
                        self._probes.add(task)
                        task.add_done_callback(self._probes.discard)
                case ProbesEnded():
                    for task in self._probes:
                        if task is not asyncio.current_task():
                            task.cancel()
                case LocationJudged(location, reason):
                    self._on_change(location, reason)
        if self._timer is not None:
            self._timer.cancel()
        due = self._judge.timer_at()
        self._timer = None if due is None else self._loop.call_at(due, self._timer_due)

    def _timer_due(self) -> None:
        self._judge.handle_timer(self._loop.time())
        self._pump()

    async def _run(self, number: int, url: str) -> None:
        try:
            # Longer than the judge waits: it is the judge who ends a round.
            async with asyncio.timeout(PROBE_TIME * 2):
                await self._probe(url)
        except (ThroughwayError, TimeoutError) as error:
            failure = error if isinstance(error, ThroughwayError) else None
            self._on_probe(url, failure or ThroughwayError("no answer"))
            self._judge.receive_failed(number, url, str(error), self._loop.time())
        else:
            self._on_probe(url, None)
            self._judge.receive_verified(number, url, self._loop.time())
        self._pump()
