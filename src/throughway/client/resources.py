"""What this computer tries of the intranet: a domain controller, and the policy's resources.

Only outside, and only through a tunnel that is up: nothing here makes packets that no tunnel
carries, and nothing asks more often than its interval, however often tunnels come and go.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_address
from typing import Protocol
from urllib.parse import urlsplit

from throughway.catalogue.domain import (
    DC_UNREACHABLE,
    KERBEROS_UNREACHABLE,
    RESOURCE_UNREACHABLE,
)
from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.names import NRPT_DNS_SERVER_UNREACHABLE
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET
from throughway.health.chain import CONTROLLER_CHECK, NOBODY, NOT_NEEDED, RESOURCE_CHECK
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.errors import Stage, TransportError
from throughway.model.findings import Component
from throughway.model.policy import SHORTEST_INTERVAL, Policy, ProbeKind, ResourceProbe
from throughway.net import reach
from throughway.net.resolver import TRY_AGAIN
from throughway.pki.probes import check_probe, file_server
from throughway.wire.dns import Service

CONTROLLER_INTERVAL = 60.0
"""Seconds: of 2,000 clients, 33 datagrams a second."""
AGAIN_INTERVAL = 8.0
"""Seconds between two looks while something is wrong, to see soon that it is over."""
LOOK_TIME = 20.0
"""Seconds for one look, longer than all of its tries."""
LOOKUP_TIME = 6.0
"""Seconds for a name."""
AT_ONCE = 4
"""Resources that are tried at the same time."""
MAX_CONTROLLERS = 3
"""Of those that the DNS names, chosen by chance: one answer is enough."""
TOLERATED = 120.0
"""Seconds by which clocks may differ: Kerberos takes five minutes, and it does not get better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the way inside is, at one moment."""

    outside: bool
    infrastructure: bool
    """Whether the tunnel is up."""
    intranet: bool
    user: bool
    """Whether somebody is logged on."""
    way: tuple[str, int]
    """Another one for every new way."""


class Lookup(Protocol):
    """Names as programs get them."""

    async def lookup(self, host: str) -> tuple[str, ...]:
        """Return addresses; TransportError where there are none."""

    async def services(self, name: str) -> tuple[Service, ...]:
        """Return SRV records."""


@dataclass(slots=True)
class Resources:
    """Makes the checks of one policy; ``standing()`` says how the way is now."""

    policy: Policy
    names: Lookup
    standing: Callable[[], Standing]
    chance: random.Random = field(default_factory=random.Random)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _tunnels: dict[str, str] = field(default_factory=dict)
    """Through which tunnel a target was found to be reached."""
    _asked: dict[str, float] = field(default_factory=dict)
    """When each check made packets last, by the monotonic clock."""

    def checks(self) -> tuple[Check, ...]:
        """Return them: of a domain controller, where there is a domain, and of each resource."""
        controller = Check(
            name=CONTROLLER_CHECK,
            title="Domain controller",
            component=Component.DOMAIN,
            problems=(DC_UNREACHABLE, KERBEROS_UNREACHABLE, CLOCK_SKEW),
            look=self._unmoved(CONTROLLER_CHECK, self._look_at_controller),
            interval=CONTROLLER_INTERVAL,
            again=AGAIN_INTERVAL,
            timeout=LOOK_TIME,
            wanted=lambda: self._unwanted(INFRASTRUCTURE),
        )
        resources = (
            self._check(number, probe) for number, probe in enumerate(self.policy.probes, 1)
        )
        return (*((controller,) if self.policy.kerberos_realm else ()), *resources)

    def rest(self, name: str) -> float:
        """Return the seconds until a check may make packets again out of turn."""
        asked = self._asked.get(name)
        return 0.0 if asked is None else max(0.0, asked + SHORTEST_INTERVAL - time.monotonic())

    def _check(self, number: int, probe: ResourceProbe) -> Check:
        name = f"{RESOURCE_CHECK}{number}"
        return Check(
            name=name,
            title=probe.title,
            component=Component.DOMAIN,
            problems=(RESOURCE_UNREACHABLE, NRPT_DNS_SERVER_UNREACHABLE),
            look=self._unmoved(name, lambda: self._look_at(probe)),
            interval=float(probe.interval),
            timeout=LOOK_TIME,
            wanted=lambda: self._unwanted(self._tunnel_of(probe)),
        )

    def _tunnel_of(self, probe: ResourceProbe) -> str:
        """Return the tunnel that is needed, as far as that is known before a name is looked up."""
        if probe.target not in self._tunnels and probe.kind is not ProbeKind.DNS:
            try:
                self._tunnels[probe.target] = self._tunnel_to(_host(probe))
            except ValueError:
                return INFRASTRUCTURE  # a name
        return self._tunnels.get(probe.target) or INFRASTRUCTURE

    def _tunnel_to(self, address: str) -> str:
        """Return the tunnel to an address, "" where none leads there."""
        for name, tunnel in (
            (INFRASTRUCTURE, self.policy.infrastructure),
            (INTRANET, self.policy.intranet),
        ):
            if any(ip_address(address) in IPv6Network(prefix) for prefix in tunnel.prefixes):
                return name
        return ""

    def _unwanted(self, tunnel: str) -> str:
        standing = self.standing()
        if not standing.outside:
            return NOT_NEEDED
        if not standing.infrastructure:
            return f"waiting for the {INFRASTRUCTURE} tunnel"
        if tunnel == INTRANET and not standing.intranet:
            return f"waiting for the {INTRANET} tunnel" if standing.user else NOBODY
        return ""

    def _unmoved(
        self, name: str, look: Callable[[], Awaitable[Iterable[Found] | str]]
    ) -> Callable[[], Awaitable[Iterable[Found] | str]]:
        """Believe nothing bad of what was tried while the computer was on the move."""

        async def judged() -> Iterable[Found] | str:
            before = self.standing()
            async with self._gate:
                self._asked[name] = time.monotonic()
                answer = await look()
            if not isinstance(answer, str) and self.standing() != before:
                raise CannotTell("the way inside has changed meanwhile")
            return answer

        return judged

    # Resources

    async def _look_at(self, probe: ResourceProbe) -> Iterable[Found] | str:
        host = _host(probe)
        try:
            addresses = await self._addresses(host)
            if probe.kind is ProbeKind.DNS:
                return f"has {', '.join(addresses)}"
            return await self._try(probe, host, addresses)
        except TransportError as error:
            return [Found(RESOURCE_UNREACHABLE, f"{probe.title}: {error}", probe.title)]
        except TimeoutError:
            if probe.kind is not ProbeKind.DNS:
                raise CannotTell(f"{host}: no DNS server could be asked") from None
            return [Found(NRPT_DNS_SERVER_UNREACHABLE, f"asked for {host}", probe.title)]

    async def _addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host; TimeoutError where no server has answered."""
        try:
            return (str(ip_address(host)),)
        except ValueError:
            pass
        try:
            async with asyncio.timeout(LOOKUP_TIME):
                return await self.names.lookup(host)
        except TransportError as error:
            if error.windows_code == TRY_AGAIN:
                raise TimeoutError from error
            raise

    async def _try(self, probe: ResourceProbe, host: str, addresses: tuple[str, ...]) -> str:
        by_ipv6 = tuple(address for address in addresses if ":" in address)
        if not by_ipv6:
            raise TransportError(Stage.RESOLVE, f"{host} has no IPv6 address")
        tunnel = self._tunnels[probe.target] = self._tunnel_to(by_ipv6[0])
        if not tunnel:
            raise CannotTell(f"{by_ipv6[0]} lies behind neither tunnel")
        if why := self._unwanted(tunnel):
            raise CannotTell(why)
        match probe.kind:
            case ProbeKind.HTTP:
                return await reach.web(probe.target, by_ipv6)
            case ProbeKind.FILE:
                return await reach.file_server(*file_server(probe.target), by_ipv6)
            case _:
                return await reach.ping(by_ipv6[0])

    # Domain controllers

    async def _look_at_controller(self) -> Iterable[Found] | str:
        realm = self.policy.kerberos_realm
        name = f"_ldap._tcp.dc._msdcs.{realm.lower()}"
        try:
            async with asyncio.timeout(LOOKUP_TIME):
                hosts = [service.target.rstrip(".") for service in await self.names.services(name)]
        except TransportError as error:
            if error.windows_code == TRY_AGAIN:
                raise CannotTell(str(error)) from None  # of the DNS others tell
            return [Found(DC_UNREACHABLE, str(error))]
        except TimeoutError:
            raise CannotTell(f"{name}: no DNS server could be asked") from None
        chosen = self.chance.sample(hosts, min(len(hosts), MAX_CONTROLLERS))
        silent: list[str] = []
        listening = False
        for host in chosen:
            try:
                address = await self._controller(host)
                ahead = await reach.kdc(address, realm)
            except TransportError as error:
                silent.append(f"{host}: {error}")
                listening = listening or await self._listens(host)
            else:
                return _clock(host, ahead)
        problem = KERBEROS_UNREACHABLE if listening else DC_UNREACHABLE
        return [Found(problem, "; ".join(silent))]

    async def _controller(self, host: str) -> str:
        try:
            addresses = await self._addresses(host)
        except TimeoutError:
            raise CannotTell(f"{host}: no DNS server could be asked") from None
        for address in addresses:
            if ":" in address and self._tunnel_to(address) == INFRASTRUCTURE:
                return address
        told = ", ".join(addresses)
        words = f"{told} lies not behind the {INFRASTRUCTURE} tunnel"
        raise TransportError(Stage.RESOLVE, words)

    async def _listens(self, host: str) -> bool:
        try:
            return await reach.takes_connections(await self._controller(host), reach.LDAP)
        except TransportError:
            return False


def _host(probe: ResourceProbe) -> str:
    if probe.kind is ProbeKind.HTTP:
        return urlsplit(probe.target).hostname or ""
    return check_probe(probe.kind, probe.target)


def _clock(host: str, ahead: float) -> Iterable[Found] | str:
    """Judge how far a controller's clock is ahead of this computer's."""
    if abs(ahead) <= TOLERATED:
        return f"{host} answers; its clock is {abs(ahead):.0f} s from this computer's"
    side = "behind" if ahead > 0 else "ahead of"
    words = f"this computer's clock is {abs(ahead):.0f} s {side} {host}'s"
    return [Found(CLOCK_SKEW, words)]
