"""One look at the network around, everything at once."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from throughway.model.network import (
    NAT,
    AddressSeen,
    LocationSeen,
    NetworkSeen,
    PathSeen,
    PortalSeen,
    ProxySeen,
    Reach,
    ResolverSeen,
    RouteSeen,
)
from throughway.net.netlink import network_state
from throughway.probe.analysis.network import reach_of
from throughway.probe.analysis.teredo import classify, successor
from throughway.probe.analysis.verdict import is_address
from throughway.probe.connecting import try_to_connect
from throughway.probe.location import ask_location
from throughway.probe.names import look_up
from throughway.probe.native import try_native
from throughway.probe.path import look_at_path
from throughway.probe.portal import PAGES, ask_page
from throughway.probe.proxies import (
    NOBODY,
    Who,
    named_proxies,
    script_name,
    try_proxy,
    try_script,
    without_user,
)
from throughway.probe.resolving import look_at_resolver, look_for_wpad
from throughway.probe.sixtofour import try_sixtofour
from throughway.probe.steps import Listener, Steps
from throughway.probe.teredo import TeredoVisit, ask_teredo

if TYPE_CHECKING:
    from throughway.model.network import NativeSeen
    from throughway.model.probing import ConnectionSeen, NameSeen, SixToFourSeen

TOTAL_TIME = 4.5
"""Seconds for everything."""
STEP_TIME = 2.5
"""Seconds for a name or a connection: in a network that is fit for use they take a tenth."""
PROXY_TIME = 3.5
"""Seconds for a proxy, which must itself find the gateway."""
TEREDO_WAIT = 1.0
"""Seconds for answers after everything was sent twice."""
MAXIMUM_ADDRESSES = 4
WELL_KNOWN = "www.msftconnecttest.com"
"""Whose port 443 is tried where no gateway is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known before."""

    gateway: str = ""
    port: int = 443
    source: str = ""
    teredo: str = ""
    """A Teredo server; "": the gateway's addresses are tried."""
    proxies: tuple[tuple[str, str], ...] = ()
    """Source and URL of those that somebody's configuration names."""
    scripts: tuple[tuple[str, str], ...] = ()
    """The same of scripts (PAC)."""
    detect: bool = True
    """Whether the client would look for the network's own script, where nobody names a proxy."""
    who: Who = NOBODY
    """Who it is to proxies."""
    endpoint: str = ""
    """The gateway's IPv6 endpoint, which native IPv6 must reach; "": not known."""
    own_interfaces: frozenset[str] = frozenset()
    """Our own links, which are no part of the network around."""
    pages: tuple[str, ...] = PAGES
    """URLs that answer 204 or a known page."""
    locations: tuple[str, ...] = ()
    """URLs of the network location servers."""
    anchors: tuple[str, ...] = ()
    """Who may have issued their certificates (PEM)."""
    seconds: float = TOTAL_TIME


class Look:
    """One check."""

    def __init__(self, around: Around, listener: Listener | None = None) -> None:
        self._around = around
        self._steps = Steps(listener)
        self._addresses: tuple[AddressSeen, ...] = ()
        self._routes: tuple[RouteSeen, ...] = ()
        self._resolver = ResolverSeen()
        self._portals: list[PortalSeen] = []
        self._locations: list[LocationSeen] = []
        self._proxies: list[ProxySeen] = []
        self._native: list[NativeSeen] = []
        self._names: tuple[NameSeen, ...] = ()
        self._connections: dict[str, ConnectionSeen] = {}
        self._teredo = TeredoVisit()
        self._sixtofour: list[SixToFourSeen] = []
        self._path: list[PathSeen] = []

    async def run(self, environment: Mapping[str, str]) -> NetworkSeen:
        """Look; what is not finished in time is left as far as it came."""
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._around.seconds):
                await self._everything(environment)
        except TimeoutError:
            pass
        return self._seen(time.monotonic() - begin, environment)

    def _seen(self, seconds: float, environment: Mapping[str, str]) -> NetworkSeen:
        answers = [seen for seen in self._teredo.seen if seen.answered]
        mappings = list(dict.fromkeys((a.answered_from, a.mapping) for a in answers if not a.cone))
        passed = any(a.cone and a.answered_from != a.address for a in answers)
        around = self._around
        return NetworkSeen(
            at=datetime.now(UTC),
            gateway=around.gateway,
            gateway_port=around.port,
            gateway_source=around.source,
            addresses=self._addresses,
            routes=self._routes,
            resolver=self._resolver,
            portals=tuple(self._portals),
            locations=tuple(self._locations),
            proxies=tuple(self._proxies),
            native=tuple(self._native),
            names=self._names,
            connections=tuple(self._connections.values()),
            teredo=tuple(self._teredo.seen),
            teredo_expected=bool(around.teredo),
            # A gateway without a Teredo server says nothing of the NAT.
            # Nor does a question that could not even be sent.
            nat=classify([m for _, m in mappings], passed, self._teredo.local)
            if answers or (around.teredo and any(not s.words for s in self._teredo.seen))
            else NAT.UNKNOWN,
            mapping=answers[0].mapping if answers else "",
            sixtofour=tuple(self._sixtofour),
            path=tuple(self._path),
            steps=tuple(self._steps.done),
            seconds=seconds,
        )

    async def _everything(self, environment: Mapping[str, str]) -> None:
        await self._steps.do("interfaces", self._look_at_interfaces())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._steps.do("dns", self._look_at_resolver()))
            tasks.create_task(self._steps.do("wpad", self._look_for_wpad(environment)))
            tasks.create_task(self._steps.do("native", self._try_native()))
            for page in self._around.pages:
                tasks.create_task(self._steps.do(f"page {page}", self._ask_page(page)))
            for url in self._around.locations:
                tasks.create_task(self._steps.do(f"location {url}", self._ask_location(url)))
            for source, url in (*self._around.proxies, *_environment(environment)):
                name = f"proxy {without_user(url)}"
                tasks.create_task(self._steps.do(name, self._ask_proxy(source, url)))
            for source, url in self._around.scripts:
                name = f"script {script_name(url)}"
                tasks.create_task(self._steps.do(name, self._run_script(source, url)))
            tasks.create_task(self._the_gateway())

    async def _look_at_interfaces(self) -> str:
        state = network_state(self._around.own_interfaces | {"lo"})
        self._addresses = tuple(
            AddressSeen(interface=interface, address=address, reach=reach_of(address))
            for interface, address in sorted(state.addresses)
        )
        self._routes = tuple(
            RouteSeen(family="ipv6" if ":" in via else "ipv4", interface=interface, via=via)
            for interface, via in sorted(state.routes)
        )
        return "" if self._routes else "no default route"

    async def _look_at_resolver(self) -> str:
        self._resolver = await look_at_resolver(STEP_TIME)
        return self._resolver.words

    async def _look_for_wpad(self, environment: Mapping[str, str]) -> str:
        begin, around = time.monotonic(), self._around
        found = await look_for_wpad(STEP_TIME)
        named = around.proxies or around.scripts or _environment(environment)
        if named or not around.detect:
            self._proxies += found  # the client would not ask them
            return ""
        # A stranger's: it learns no password, as of the client.
        who = replace(around.who, credentials=replace(around.who.credentials, disclose=False))
        for each in found:
            left = max(PROXY_TIME - (time.monotonic() - begin), 0.0)
            if await self._try_script(each.source, each.proxy, left, who):
                break
        return ""

    async def _run_script(self, source: str, url: str) -> str:
        await self._try_script(source, url, PROXY_TIME, self._around.who)
        return next((seen.words for seen in self._proxies if seen.problem), "")

    async def _try_script(self, source: str, url: str, seconds: float, who: Who) -> bool:
        """Try what a script names; whether it was one."""
        host = self._around.gateway or WELL_KNOWN
        seen = await try_script(source, url, host, self._around.port, seconds, who)
        self._proxies += seen
        return not seen[0].problem

    async def _ask_proxy(self, source: str, url: str) -> str:
        host, around = self._around.gateway or WELL_KNOWN, self._around
        seen = await try_proxy(source, url, host, around.port, PROXY_TIME, around.who)
        self._proxies.append(seen)
        return seen.words

    async def _try_native(self) -> str:
        six = [a for a in self._addresses if ":" in a.address and a.reach is Reach.PUBLIC]
        ways = {route.interface for route in self._routes if route.family == "ipv6"}
        for own in six:
            if self._around.endpoint and own.interface in ways:
                seen = await try_native(self._around.endpoint, own, wait=STEP_TIME)
                self._native.append(seen)
                return seen.words
        return ""

    async def _ask_page(self, page: str) -> str:
        seen = await ask_page(page)
        self._portals.append(seen)
        return "" if seen.open else seen.words or f"{seen.status}, another page"

    async def _ask_location(self, url: str) -> str:
        seen = await ask_location(url, self._around.anchors, STEP_TIME)
        self._locations.append(seen)
        return seen.words

    async def _the_gateway(self) -> None:
        host = self._around.gateway or WELL_KNOWN
        await self._steps.do(f"name {host}", self._look_up(host))
        addresses = [a for name in self._names for a in name.addresses][:MAXIMUM_ADDRESSES]
        async with asyncio.TaskGroup() as tasks:
            for address in addresses:
                tasks.create_task(self._reach(address, host))
            if self._around.gateway or self._around.teredo:
                tasks.create_task(self._the_old_ways([a for a in addresses if "." in a]))

    async def _look_up(self, host: str) -> str:
        self._names = await look_up(host, STEP_TIME)
        troubles = [n.trouble.words for n in self._names if n.trouble is not None]
        return "" if any(n.addresses for n in self._names) else "; ".join(troubles[:1])

    async def _reach(self, address: str, host: str) -> None:
        port = self._around.port
        await self._steps.do(f"tcp {address}", self._connect(address))
        if self._around.gateway and self._connections[address].trouble is None:
            name = "" if is_address(host) else host
            await self._steps.do(f"path {address}", self._look_at_path(address, port, name))

    async def _connect(self, address: str) -> str:
        seen = await try_to_connect(address, self._around.port, STEP_TIME)
        self._connections[address] = seen
        return seen.trouble.words if seen.trouble else ""

    async def _look_at_path(self, address: str, port: int, name: str) -> str:
        self._path.append(await look_at_path(address, port, name))
        return "" if self._path[-1].large_passes is not False else "large packets are lost"

    async def _the_old_ways(self, addresses: Sequence[str]) -> None:
        servers = list(addresses[:1])
        if self._around.teredo:
            found = await look_up(self._around.teredo, STEP_TIME)
            servers = [a for n in found for a in n.addresses if "." in a][:1]
        async with asyncio.TaskGroup() as tasks:
            if servers:
                tasks.create_task(self._steps.do("teredo", self._ask_teredo(servers[0])))
            for address in addresses[:1]:
                tasks.create_task(self._steps.do("6to4", self._try_sixtofour(address)))

    async def _ask_teredo(self, address: str) -> str:
        both = tuple(a for a in (address, successor(address)) if a)
        await ask_teredo(both, self._teredo, wait=TEREDO_WAIT)
        return "" if any(seen.answered for seen in self._teredo.seen) else "no answer"

    async def _try_sixtofour(self, address: str) -> str:
        seen = await try_sixtofour(address, wait=STEP_TIME)
        self._sixtofour.append(seen)
        return seen.words


def _environment(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return each proxy once: several variables often name the same one."""
    by_url = {url: f"environment ({name})" for name, url in reversed(named_proxies(environment))}
    return tuple((source, url) for url, source in by_url.items())
