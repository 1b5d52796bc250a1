"""Keep this computer's name in the domain's DNS true, so that managers inside find it.

Outside, the name stands for the address in the infrastructure tunnel, before any user logs on;
inside, for the address with which the domain is reached. The update itself is
:func:`throughway.net.registration.update_apart`.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, IPv6Network

from throughway.model.config import ClientConfig
from throughway.model.errors import ThroughwayError
from throughway.model.policy import Policy
from throughway.net.registration import Registration, update_apart

REFRESH_INTERVAL = 24 * 3600.0
"""Seconds after which a name is registered anew, as Windows does: servers scavenge old ones."""
SETTLE_TIME = 1.0
"""Seconds for which an address must stand: moving computers are not registered on the way."""
FIRST_RETRY, LAST_RETRY = 2.0, 300.0
"""Seconds between attempts; each pause is twice the one before."""

Update = Callable[[Registration], Awaitable[None]]
OnResult = Callable[[Registration, ThroughwayError | None], None]


class Registrar:
    """Registers what :meth:`want` says last, until it is told otherwise.

    ``on_result(registration, error)`` tells how each attempt ended.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        on_result: OnResult,
        *,
        update: Update = update_apart,
        settle_time: float = SETTLE_TIME,
    ) -> None:
        self._config = config
        self._policy = policy
        self._on_result = on_result
        self._update = update
        self._settle_time = settle_time
        self._wanted: Registration | None = None
        self._registered: Registration | None = None
        self._since = 0.0
        self._changed = asyncio.Event()
        self.failures = 0
        """Attempts that have failed since one succeeded."""

    @property
    def registered(self) -> str:
        """What the name stands for, as far as we know; "" while nothing is registered."""
        held = self._registered
        return f"{held.name} → {', '.join(held.addresses)}" if held is not None else ""

    def update_policy(self, policy: Policy) -> None:
        """Take the realm and the servers of a newer policy."""
        self._policy = policy
        if self._wanted is not None:
            self.want(self._wanted.addresses)

    def want(self, addresses: tuple[str, ...]) -> None:
        """Let the name stand for these addresses; again each time nothing changes."""
        servers = intranet_servers(self._policy)
        realm = self._policy.kerberos_realm
        if not (addresses and servers and realm and self._policy.register_names):
            self.rest()
            return
        wanted = Registration(
            name=self._config.identity,
            addresses=addresses,
            servers=servers,
            principal=f"{self._config.account}@{realm}",
            password_file=str(self._config.password_file or ""),
            keytab=str(self._config.keytab or ""),
        )
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def rest(self) -> None:
        """Do nothing for a while: the domain cannot be reached."""
        if self._wanted is not None:
            self._wanted = None
            self._changed.set()

    def hurry(self) -> None:
        """Try again now what has failed: who answers has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Register and refresh until cancelled."""
        pause = FIRST_RETRY
        while True:
            self._changed.clear()
            wanted = self._wanted
            if wanted is None:
                await self._changed.wait()
                continue
            if wanted == self._registered and (rest := self._fresh_for()) > 0:
                pause = FIRST_RETRY
                await self._wait(rest)
                continue
            if await self._wait(self._settle_time):
                continue
            if await self._try(wanted):
                continue
            if await self._wait(pause * random.uniform(0.75, 1.25)):
                pause = FIRST_RETRY
            else:
                pause = min(pause * 2, LAST_RETRY)

    async def _try(self, wanted: Registration) -> bool:
        """Register; say whether there is no failure to get over."""
        try:
            await self._update(wanted)
        except ThroughwayError as error:
            self._registered = None
            if self._changed.is_set():
                return True  # it was on its way when the computer was carried away: begin anew
            self.failures += 1
            self._on_result(wanted, error)
            return False
        self._registered, self._since, self.failures = wanted, time.monotonic(), 0
        self._on_result(wanted, None)
        return True

    def _fresh_for(self) -> float:
        return self._since + REFRESH_INTERVAL - time.monotonic()

    async def _wait(self, seconds: float) -> bool:
        """Return whether something else is wanted before the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        return self._changed.is_set()


def intranet_servers(policy: Policy) -> tuple[str, ...]:
    """Return the intranet's DNS servers, each once, in the order of the rules."""
    return tuple(dict.fromkeys(server for rule in policy.nrpt for server in rule.servers))


def inside_address(policy: Policy) -> tuple[str, ...]:
    """Return the address with which this computer reaches the intranet when it is inside it.

    None when it has no IPv6 address there.
    """
    inside = [IPv6Network(p) for p in policy.intranet.prefixes + policy.infrastructure.prefixes]
    for server in intranet_servers(policy):
        with (
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe,
            contextlib.suppress(OSError),
        ):
            probe.connect((server, 53))  # sends nothing: the kernel chooses the address
            own = IPv6Address(probe.getsockname()[0])
            if any(own in network for network in inside):
                return (str(own),)
    return ()
