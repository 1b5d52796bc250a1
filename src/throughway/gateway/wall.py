"""What a gateway changes in the kernel for all of its links: the firewall, and that it forwards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from throughway.health import log
from throughway.health.tracker import Tracker
from throughway.model.errors import ThroughwayError
from throughway.model.findings import Component
from throughway.net import esp, firewall
from throughway.net.process import write_private
from throughway.net.tun import disable_forwarding, forwards

INTERVAL = 5.0
"""Seconds between two looks whether the firewall stands."""


class Wall:
    """The firewall as ``wanted(routes_others)`` says, and the switch of forwarding.

    ``endpoints()`` are the addresses of the tunnels, once they have routing rules of their own;
    ``on_look()`` looks after what else leads packets into them.
    """

    def __init__(
        self,
        directory: Path,
        tracker: Tracker,
        wanted: Callable[[bool], firewall.GatewayFirewall],
        endpoints: Callable[[], Iterable[str]] = tuple,
        on_look: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._log = log.logger("gateway")
        self.marker = directory / "forwarding"
        """The file that says, until the next boot, that it was us who made a router."""
        self._tracker = tracker
        self._wanted = wanted
        self._endpoints, self._on_look = endpoints, on_look
        self.routes_others = True
        """Whether the machine is a router of its own."""
        self._guarded = False

    def look(self) -> None:
        """See whether the machine forwards of its own; what a killed daemon began is ours."""
        if not forwards():
            write_private(self.marker, "")
        self.routes_others = not self.marker.exists()

    def rise(self) -> None:
        """Raise the firewall that is wanted now."""
        wall = self._wanted(self.routes_others)
        self._guarded = True
        firewall.guard_gateway(wall)
        self._tracker.ok(Component.FIREWALL, "only IKE, ESP and ICMPv6 enter from the link")

    async def watch(self) -> None:
        """Raise it again when another program has wiped it: `nft flush ruleset`."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                if not await asyncio.to_thread(firewall.gateway_guarded):
                    self._log.warning("somebody has changed our firewall rules: made again")
                    self.rise()
                if await asyncio.to_thread(esp.restore_rules, self._endpoints()):
                    self._log.warning("another program has removed routing rules: made again")
                if self._on_look is not None:
                    await self._on_look()
            except ThroughwayError as error:
                self._tracker.report(error, attempt="firewall")
            else:
                self._tracker.succeeded("firewall")

    def leave(self, *, linked: bool) -> None:
        """Leave the kernel as it was found; ``linked``: there were links, which made a router."""
        if linked and not self.routes_others:
            disable_forwarding()
            self.marker.unlink(missing_ok=True)
        if self._guarded:
            firewall.unguard_gateway()
