"""Native IPv6 as a transport of the client: the network's own way to the gateway's endpoints.

It makes nothing on the computer: where an interface has a global address and a route to the
endpoints, echo requests find out whether they answer, and go on finding out. The requests leave by
that interface whatever routes other transports have, so that its way is what is proven.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_network

from throughway.client.transport import state_of
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.status import TransportKind, TransportStatus
from throughway.net import netlink
from throughway.net.echo import echo, open_echo
from throughway.net.firewall import MARK

TRIES = (0.3, 0.6, 1.2)
"""Seconds to wait for the answer to each request before the endpoint counts as unreachable."""
KEEP_INTERVAL = 10.0
"""Seconds between requests to an endpoint that answers."""
RETRY_INTERVAL = 30.0
"""Seconds until one that does not is asked again; a change of network does so at once."""
TRANSLATED = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4: addresses of transports, ours or other programs'."""


@dataclass(frozen=True, slots=True)
class Way:
    """How packets leave for the endpoints."""

    interface: str
    source: str
    via: str
    """The next hop, "" where the endpoint is on the link."""


class Native:
    """Whether the network's own IPv6 reaches the gateway."""

    kind = TransportKind.NATIVE

    def __init__(
        self,
        policy: Policy,
        on_change: Callable[[], None],
        ignored: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """``ignored``: the interfaces of other transports and of the tunnels."""
        self.failure: TransportError | None = None
        self.up = False
        self.broken = False
        self._policy = policy
        self._on_change = on_change
        self._ignored = ignored
        self._way: Way | None = None
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()

    @property
    def started(self) -> bool:
        """Whether it is watched."""
        return self._task is not None

    @property
    def interface(self) -> str:
        """The network's interface."""
        return self._way.interface if self._way is not None else ""

    @property
    def gateway(self) -> str:
        """The next hop towards the endpoints."""
        return self._way.via if self._way is not None else ""

    @property
    def address(self) -> str:
        """The network's own address, "" while it does not reach the gateway."""
        return self._way.source if self._way is not None and self.up else ""

    def start(self) -> None:
        """Begin to look."""
        if self._task is None:
            self.failure = None
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """End; there is nothing to leave behind."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self.up, self.failure, self._way = False, None, None

    def update_policy(self, policy: Policy) -> None:
        """Take a newer policy: its endpoints may be others."""
        self._policy = policy
        self.network_changed()

    def network_changed(self) -> None:
        """Look again at once."""
        if self._task is not None and self._way is not None and self._way != self._find():
            self._tell(up=False, failure=None)  # proven was another way
        self.failure = None
        self._look.set()

    def status(self) -> TransportStatus:
        """Return it for the snapshot."""
        way = self._way
        return TransportStatus(
            kind=self.kind,
            state=state_of(self),
            interface=self.interface,
            addresses=(way.source,) if way is not None else (),
            details=(("router", way.via),) if way is not None and way.via else (),
            last_error=str(self.failure or ""),
            problem=self.failure.problem if self.failure is not None else "",
            since=self._since,
        )

    async def _watch(self) -> None:
        while True:
            self._look.clear()
            self._way = way = self._find()
            pause = RETRY_INTERVAL
            if way is None:
                self._refuse("no interface has a native IPv6 address with a way to the gateway")
            elif await self._answers(way):
                pause = KEEP_INTERVAL
                self._tell(up=True, failure=None)
            elif not self._look.is_set():
                self._refuse(f"{self._endpoint} does not answer over {way.interface}")
            # wait_for() of Python 3.11 may swallow a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._look.wait()

    @property
    def _endpoint(self) -> str:
        return self._policy.infrastructure.endpoint

    def _find(self) -> Way | None:
        return find_way(self._endpoint, self._ignored())

    async def _answers(self, way: Way) -> bool:
        try:
            with open_echo(interface=way.interface, source=way.source, mark=MARK) as sock:
                for patience in TRIES:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(patience):
                            await echo(sock, self._endpoint)
                            return True
        except OSError:
            return False  # the address or the route has just gone
        return False

    def _refuse(self, why: str) -> None:
        self._tell(up=False, failure=TransportError(Stage.LINK, why))

    def _tell(self, *, up: bool, failure: TransportError | None) -> None:
        same = up == self.up and str(failure or "") == str(self.failure or "")
        self.up, self.failure = up, self.failure if same else failure
        if not same:
            self._since = time.time()
            self._on_change()


def find_way(endpoint: str, ignored: frozenset[str]) -> Way | None:
    """Return the native way to an endpoint, as the kernel's main table has it."""
    target = IPv6Address(endpoint)
    sources = {
        a.interface: str(a.address)
        for a in reversed(netlink.addresses())
        if a.usable and not a.deprecated and _is_native(a.address) and a.interface not in ignored
    }
    ways = [
        route
        for route in netlink.routes(netlink.MAIN_TABLE)
        if route.kind == "unicast"
        and route.interface in sources
        and route.protocol != netlink.PROTOCOL
        and target in ip_network(route.prefix)
    ]
    best = min(ways, key=lambda r: (-ip_network(r.prefix).prefixlen, r.metric), default=None)
    if best is None:
        return None
    return Way(best.interface, sources[best.interface], best.via)


def _is_native(address: object) -> bool:
    return (
        isinstance(address, IPv6Address)
        and not address.is_loopback
        and not any(address in prefix for prefix in TRANSLATED)
    )
