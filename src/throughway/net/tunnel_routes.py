"""Notice that somebody has taken away the routes that charon leads packets into tunnels by.

charon puts them when a tunnel comes up and never looks at them again: after ``ip route flush`` a
tunnel stands, is kept alive, and carries nothing. Only making it anew brings its routes back.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

from throughway.model.errors import IPsecError
from throughway.net import netlink
from throughway.net.charon import Charon
from throughway.net.esp import CHARON_TABLE
from throughway.net.sas import IKESA

MISSED_TIME = 1.5
"""Seconds for which routes must be missing: a tunnel that ends loses them before it is gone."""
MAX_TUNNELS = 4096
"""With more tunnels than these the table is not read: that would take a core for too long."""


class TunnelRoutes:
    """Compares tunnels with the routes that were there for them; :meth:`lost` again and again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[int, frozenset[str]] = {}
        """The routes that each tunnel had, by its id."""
        self._missed: dict[int, float] = {}
        """Since when some of them are not there."""

    def missed(self) -> bool:
        """Whether the kernel lacks a route that a tunnel had when :meth:`lost` was asked last."""
        seen = frozenset[str]().union(*self._seen.values())
        return bool(seen) and not seen <= {route.prefix for route in netlink.routes(CHARON_TABLE)}

    def lost(self, sas: Iterable[IKESA]) -> tuple[int, ...]:
        """Return, once, the ids of tunnels that have lost routes for good; OSError: the kernel."""
        wanted = {sa.unique_id: frozenset(_prefixes(sa)) for sa in sas if sa.up}
        if not wanted or len(wanted) > MAX_TUNNELS:
            self._seen = {}
            return ()
        there = {route.prefix for route in netlink.routes(CHARON_TABLE)}
        now = self._clock()
        # Of a tunnel that was rekeyed with other prefixes only those that it has now count.
        self._seen = {
            one: self._seen.get(one, frozenset()) & prefixes | prefixes & there
            for one, prefixes in wanted.items()
        }
        missing = {one for one, seen in self._seen.items() if not seen <= there}
        self._missed = {one: self._missed.get(one, now) for one in missing}
        lost = tuple(one for one, since in self._missed.items() if now >= since + MISSED_TIME)
        for one in lost:
            del self._seen[one], self._missed[one]
        return lost


def _prefixes(sa: IKESA) -> Iterator[str]:
    for child in sa.children:
        if child.state == "INSTALLED":
            yield from (prefix for prefix in child.remote_ts if ":" in prefix)


async def end_routeless(
    charon: Charon, routes: TunnelRoutes, sas: Iterable[IKESA]
) -> tuple[int, ...]:
    """End the tunnels that have lost their routes; whoever wants them makes them anew.

    Returns their ids.
    """
    try:
        lost = await asyncio.to_thread(routes.lost, tuple(sas))
    except OSError:
        return ()  # the kernel is asked again soon
    with contextlib.suppress(IPsecError):  # charon ends, and the tunnels with it
        for one in lost:
            await charon.terminate(unique_id=one, wait=False)
    return lost
