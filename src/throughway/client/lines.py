"""What is held back from the network that the computer is in: intranet prefixes, or everything."""

import asyncio
import time
from collections.abc import Callable

from throughway.catalogue.ipsec import TRAFFIC_LEAK
from throughway.client.transports import TUNNEL_INTERFACE
from throughway.health import log
from throughway.health.tracker import Tracker
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.net import esp, firewall

LOOK_INTERVAL = 5.0
"""Seconds between two looks whether the lines stand."""


class Lines:
    """The client's firewall; ``relay()`` is where IPv4 of programs goes in force tunnelling."""

    def __init__(
        self, policy: Policy, tracker: Tracker, relay: Callable[[], tuple[str, int] | None]
    ) -> None:
        self.policy = policy
        self.kernel_esp = False
        """Whether ESP of the kernel's must be let out."""
        self._log = log.logger("client")
        self._tracker = tracker
        self._relay = relay
        self._wall: firewall.ClientFirewall | None = None
        self._seen_at = 0.0  # when it was last seen to that they stand

    @property
    def drawn(self) -> bool:
        """Whether anything is held back."""
        return self._wall is not None

    def draw(self) -> None:
        """Hold back what the policy says, if that is not so already."""
        policy = self.policy
        wall = firewall.ClientFirewall(
            prefixes=policy.intranet.prefixes + policy.infrastructure.prefixes,
            exempt=(policy.infrastructure.endpoint, policy.intranet.endpoint),
            tunnel_interface=TUNNEL_INTERFACE,
            kernel_esp=self.kernel_esp,
            everything=policy.transports.force_tunnel,
            relay=self._relay(),
        )
        if wall != self._wall:
            firewall.close_client(wall)
            self._wall, self._seen_at = wall, time.monotonic()
        what = "everything" if wall.everything else "intranet prefixes"
        self._tracker.ok(Component.FIREWALL, f"{what} only through the tunnels")

    def wipe(self) -> None:
        """Hold nothing back."""
        firewall.open_client()
        self._wall = None
        self._tracker.clear(TRAFFIC_LEAK)
        self._tracker.disable(Component.FIREWALL, "inside: nothing is held back")

    async def look(self) -> None:
        """Draw them again when another program has wiped them: `nft flush ruleset`.

        That is told until they are seen to stand: meanwhile packets may have left in plain.
        """
        wall, now = self._wall, time.monotonic()
        if wall is None or now < self._seen_at + LOOK_INTERVAL:
            return
        self._seen_at = now
        stands = await asyncio.to_thread(firewall.client_closed, wall)
        if stands:
            self._tracker.clear(TRAFFIC_LEAK)
        elif self._wall is wall:
            self._log.warning("somebody has changed our firewall rules: made again")
            self._tracker.set(TRAFFIC_LEAK, "somebody has changed our rules: made again")
            firewall.close_client(wall)
        if await asyncio.to_thread(esp.restore_rules):
            self._log.warning("another program has removed charon's routing rule: made again")
