"""What a client looks at of its names: the intranet's DNS servers, and its own resolver.

Answers of the intranet are kept for as long as they say, so that a computer at work may not ask
for minutes: its programs find names and nobody sees that the servers are gone. So they are asked,
but only when no answer of theirs has come lately.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from throughway.catalogue.names import (
    NRPT_DNS_SERVER_UNREACHABLE,
    NRPT_NOT_EFFECTIVE,
    STUB_DOWN,
)
from throughway.client.resources import Standing
from throughway.health.chain import NOT_NEEDED
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.errors import TransportError
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.net import reach
from throughway.proto.nrpt.locators import locator_in

DNS_CHECK, RESOLVER_CHECK = "dns", "resolver"
DNS_INTERVAL = 5.0
"""Seconds between two looks; most of them need no packet."""
IDLE_INTERVAL = 60.0
"""Seconds between two questions of a computer on which nobody asks for names."""
DNS_TIMEOUT = 10.0
RESOLVER_INTERVAL = 4.0
"""Seconds; the answer comes from this computer itself."""


class Served(Protocol):
    """Names as this computer serves them to its programs."""

    @property
    def queries(self) -> int:
        """How many were asked for."""

    @property
    def stub(self) -> str:
        """The address at which they are asked for."""

    def in_use(self) -> bool:
        """Whether the computer's programs ask there."""

    def heard(self, server: str) -> float:
        """When a server of the intranet has given an answer, by the monotonic clock."""


class NameChecks:
    """Makes the checks; ``on_restored()`` hears that the intranet's servers answer again."""

    def __init__(
        self,
        names: Served,
        policy: Callable[[], Policy],
        standing: Callable[[], Standing],
        on_restored: Callable[[], None],
    ) -> None:
        self._names, self._policy, self._standing = names, policy, standing
        self._on_restored = on_restored
        self._silent = False
        self._asked_at = float("-inf")
        self._queries = 0
        """How many there were when the servers were asked last."""

    def checks(self) -> tuple[Check, ...]:
        """Return them."""
        return (
            Check(
                name=DNS_CHECK,
                title="DNS servers of the intranet",
                component=Component.NAMES,
                problems=(NRPT_DNS_SERVER_UNREACHABLE,),
                look=self._look_at_servers,
                interval=DNS_INTERVAL,
                timeout=DNS_TIMEOUT,
                wanted=self._unwanted,
            ),
            Check(
                name=RESOLVER_CHECK,
                title="Resolver of this computer",
                component=Component.NAMES,
                problems=(NRPT_NOT_EFFECTIVE, STUB_DOWN),
                look=self._look_at_resolver,
                interval=RESOLVER_INTERVAL,
            ),
        )

    # The intranet's servers

    def _unwanted(self) -> str:
        standing = self._standing()
        if not standing.outside:
            return NOT_NEEDED
        if not standing.infrastructure:
            return "waiting for the infrastructure tunnel"
        return "" if self._servers() else "the policy names none"

    def _servers(self) -> dict[tuple[str, ...], str]:
        """Return the servers of each rule with the namespace that they know."""
        rules = (rule for rule in self._policy().nrpt if rule.servers)
        return {rule.servers: rule.namespace.strip(".") or "." for rule in rules}

    async def _look_at_servers(self) -> Iterable[Found] | str:
        now, servers = time.monotonic(), self._servers()
        told = ", ".join(server for group in servers for server in group)
        if not self._silent and all(self._lately(group, now) for group in servers):
            return f"{told}: answers come in"
        asleep = self._names.queries == self._queries and now < self._asked_at + IDLE_INTERVAL
        if not self._silent and asleep:
            return f"{told}: answered, and was not asked since"
        self._asked_at, self._queries = now, self._names.queries
        before = self._standing()
        answers = await asyncio.gather(*(self._ask(*group) for group in servers.items()))
        if self._standing() != before:
            raise CannotTell("the way inside has changed meanwhile")
        whys = [why for why in answers if why]
        was_silent, self._silent = self._silent, bool(whys)
        if whys:
            return [Found(NRPT_DNS_SERVER_UNREACHABLE, "; ".join(whys))]
        if was_silent:
            self._on_restored()
        return f"{told}: answered"

    def _lately(self, group: tuple[str, ...], now: float) -> bool:
        return any(now < self._names.heard(server) + DNS_INTERVAL for server in group)

    async def _ask(self, group: tuple[str, ...], zone: str) -> str:
        """Ask the servers of a rule; return why there is no answer, "" when one has answered."""
        locator = locator_in(zone, self._policy().kerberos_realm)
        whys = await asyncio.gather(*(_asked(server, zone, locator) for server in group))
        return "; ".join(whys) if all(whys) else ""

    # This computer's resolver

    async def _look_at_resolver(self) -> Iterable[Found] | str:
        if not self._names.in_use():
            words = "this computer's programs ask other servers: see /etc/resolv.conf"
            return [Found(NRPT_NOT_EFFECTIVE, words)]
        try:
            await reach.resolver(self._names.stub)
        except TransportError as error:
            return [Found(STUB_DOWN, f"{self._names.stub} port {reach.DNS}: {error}")]
        return f"answers at {self._names.stub}"


async def _asked(server: str, zone: str, locator: str) -> str:
    try:
        knows = await reach.dns(server, zone) or not locator or await reach.dns(server, locator)
    except TransportError as error:
        return f"{server}: {error}"
    return "" if knows else f"{server}: does not know {zone}"
