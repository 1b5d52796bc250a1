"""Connect by whichever way leads out: directly, or through a proxy.

The ways are raced: the likeliest begins, the next one follows when it fails or is slow, and the
first connection that stands is taken. So a proxy that stayed behind in another network costs a
second, and so does a network that lets nobody out directly.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Dial
from throughway.net.proxy import OnSilent, ProxyServer, Ticket, no_ticket, open_tunnel, silence
from throughway.proto.proxy import connect
from throughway.proto.proxy.ways import DIRECT, Ways

LEAD = 1.0
"""Seconds that a way has before the next one is tried beside it."""

FOUND = "found"
"""The name of the way that the network itself offers, whichever proxies that are."""
_TELLING = (connect.REFUSED, connect.REQUIRED, connect.BLOCKED)
"""Problems of a proxy that was reached: they say more than that the other way is closed."""

_OFFERED = (connect.UNREACHABLE, connect.SILENT, "proxy-script-unusable")
"""Problems of what the network itself offers, and of nothing that is not there."""

Routes = tuple[ProxyServer | None, ...]
"""Ways to one target, best first; None is the direct one."""
Choose = Callable[[str, int], Awaitable[Routes]]
"""Return the ways to a host and port, () where there is nothing to say. It may have to run a
script first; TransportError: that cannot be had or is none."""


@dataclass(frozen=True, slots=True)
class _Winner:
    socket: socket.socket
    way: str
    words: str
    proxy: ProxyServer | None = None


class WayDialer:
    """A :data:`throughway.net.dial.Dial` by all ways that there are.

    ``named()`` are the ways that somebody named for this target; the direct one is tried in any
    case, last unless it is among them. Where nobody named any, ``find`` looks for those that the
    network itself offers, beside the direct way. ``on_silent`` hears of proxies that do not seem
    to be there, while they are still waited for.
    """

    def __init__(
        self,
        direct: Dial,
        *,
        named: Choose,
        find: Choose | None = None,
        ticket: Ticket = no_ticket,
        network: Callable[[], str] = str,
        on_silent: OnSilent = lambda error: None,
    ) -> None:
        self._direct, self._named, self._find = direct, named, find
        self._ticket, self._network, self._on_silent = ticket, network, on_silent
        self._ways = Ways()
        self.way = ""
        """How the last connection was made, in words; "" while none was."""
        self._proxy: ProxyServer | None = None
        """Through which the last connection leads."""
        self._last: tuple[str, str] | None = None
        """Network and way of the last connection."""

    async def __call__(self, host: str, port: int) -> socket.socket:
        """Connect by the first way that does."""
        network = self._network()
        errors: dict[str, TransportError] = {}
        try:
            routes = await self._named(host, port)
        except TransportError as error:
            routes, errors["script"] = (), error
        attempts: dict[str, Callable[[], Awaitable[_Winner]]] = {}
        for proxy in (*routes, None):
            if proxy is None:
                attempts.setdefault(DIRECT, _bind(self._straight, host, port))
            else:
                attempts[str(proxy)] = _bind(self._through, (proxy,), host, port)
        if self._find is not None and not routes:
            attempts[FOUND] = _bind(self._found, self._find, host, port)
        order = self._ways.order(network, attempts)
        winner = await _race([(way, attempts[way]) for way in order], errors, host)
        lost = [way for way in errors if way not in (DIRECT, FOUND)]
        self.way = winner.words
        if winner.way == DIRECT and lost:
            self.way += f"; {errors[lost[0]]}"
        self._last, self._proxy = (network, winner.way), winner.proxy
        return winner.socket

    @property
    def direct(self) -> bool:
        """Whether the last connection led through no proxy."""
        return self._last is None or self._last[1] == DIRECT

    async def silence(self) -> TransportError | None:
        """Say what is wrong with the proxy of the last connection, as far as it is not there."""
        return None if self._proxy is None else await silence(self._proxy, self._direct)

    def succeeded(self) -> None:
        """Remember that the last connection led to the gateway."""
        if self._last is not None:
            self._ways.succeeded(*self._last)
            self._last = None  # what ends it later is no fault of the way

    def failed(self) -> None:
        """Remember that it did not."""
        if self._last is not None:
            self._ways.failed(*self._last)

    async def _straight(self, host: str, port: int) -> _Winner:
        return _Winner(await self._direct(host, port), DIRECT, DIRECT)

    async def _through(self, proxies: Sequence[ProxyServer], host: str, port: int) -> _Winner:
        """Connect through the first of these that lets us."""
        failed: TransportError | None = None
        for proxy in proxies:
            try:
                sock = await open_tunnel(
                    proxy,
                    host,
                    port,
                    dial=self._direct,
                    ticket=self._ticket,
                    on_silent=self._on_silent,
                )
            except TransportError as error:
                failed = failed or error
            else:
                how = proxy.memory.scheme or "no authentication"
                words = f"proxy {proxy} ({how}; {proxy.source})"
                return _Winner(sock, str(proxy), words, proxy)
        raise failed or TransportError(Stage.PROXY, "the network offers no proxy")

    async def _found(self, find: Choose, host: str, port: int) -> _Winner:
        proxies = [proxy for proxy in await find(host, port) if proxy is not None]
        winner = await self._through(proxies, host, port)
        return replace(winner, way=FOUND)


def _bind(
    call: Callable[..., Awaitable[_Winner]], *arguments: object
) -> Callable[[], Awaitable[_Winner]]:
    return lambda: call(*arguments)


async def _race(
    attempts: Sequence[tuple[str, Callable[[], Awaitable[_Winner]]]],
    errors: dict[str, TransportError],
    host: str,
) -> _Winner:
    """Return the first connection that stands; note in ``errors`` why others do not."""
    waiting = list(reversed(attempts))
    running: dict[asyncio.Task[_Winner], str] = {}
    try:
        while waiting or running:
            if waiting:
                way, call = waiting.pop()
                running[asyncio.ensure_future(call())] = way
            done, _ = await asyncio.wait(
                running,
                timeout=LEAD if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if error is None:
                    del running[task]
                    return task.result()
                if not isinstance(error, TransportError):
                    raise error
                errors[running.pop(task)] = error
        raise most_telling(errors, host)
    finally:
        await _give_up(list(running))


async def _give_up(tasks: list[asyncio.Task[_Winner]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, _Winner):
            result.socket.close()


def most_telling(errors: dict[str, TransportError], host: str) -> TransportError:
    """Choose what to report where no way leads out.

    A proxy that answered knows best. Else, without any network, that is it, unless the network
    itself has offered a proxy: then it is there, and leads out by that alone. Else, of a proxy
    that was named and the direct way, both are told, since either would do.
    """
    for error in errors.values():
        if error.problem in _TELLING:
            return error
    direct, found = errors.get(DIRECT), errors.get(FOUND)
    proxies = [error for way, error in errors.items() if way not in (DIRECT, FOUND)]
    if direct is not None and direct.problem == "internet-down" and found is not None:
        return found if found.problem in _OFFERED else direct
    if direct is None or (direct.problem != "internet-down" and proxies):
        first = (proxies or list(errors.values()))[0] if errors else None
        if first is None:
            return TransportError(Stage.PROXY, f"there is no way to {host}")
        if direct is None:
            return first
        return TransportError(
            first.stage,
            f"{first}; directly: {direct}",
            windows_code=first.windows_code,
            problem=first.problem,
        )
    return direct
