"""What a client looks at again and again, beside what tells of itself: live checks.

Of this computer: whether IPv6 is on, whether its clock can be right, whether its state can be
written and files be opened, how long its policy lasts, whether it is where it believes to be,
whether its resolver serves its programs, whether the IKE daemon answers, and, while the tunnels
are down, whether another packet filter keeps them so. Of the intranet, while it is reached through
tunnels: its DNS servers, and what :mod:`throughway.client.resources` tries.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Protocol

from throughway.catalogue.firewall import DROPS_TUNNELS
from throughway.catalogue.host import CLOCK_SKEW, FILES_EXHAUSTED, FILES_NOT_WRITABLE, IPV6_DISABLED
from throughway.catalogue.ipsec import DAEMON_DOWN
from throughway.catalogue.policy import OUT_OF_DATE
from throughway.client.name_checks import DNS_CHECK, NameChecks, Served
from throughway.client.resources import TOLERATED, Lookup, Resources, Standing
from throughway.client.transports import TUNNEL_INTERFACE
from throughway.health.chain import CONTROLLER_CHECK
from throughway.health.checking import CannotTell, Check, Checker, Found
from throughway.health.folders import unwritable
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig
from throughway.model.errors import IPsecError
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.model.status import CheckStatus
from throughway.net import filters, netlink
from throughway.net.filters import Needed
from throughway.net.firewall import FirewallError
from throughway.wire.nftables import Packet

FILTERS = "other-firewalls"
IPV6, POLICY = "ipv6", "policy"
IPV6_INTERVAL = 2.0
"""Seconds: some settings are read; the kernel tells nobody that they have changed."""
STORE_INTERVAL = 10.0
IKE_TIME = 2.0
"""Seconds in which the IKE daemon answers, before it counts as hung."""
ROOM = 1024 * 1024
"""Octets that must be left where state is kept: bundles and lists of revoked certificates."""
PORT = 443
"""Of IP-HTTPS."""
POLICY_INTERVAL = 60.0
SPREAD = 1.0
"""Seconds within which clients begin that all come back at the same moment."""
SETTINGS = Path("/proc/sys/net/ipv6/conf")


class Names(Lookup, Served, Protocol):
    """What is looked up, and where programs look it up."""


class Operations:
    """The live checks of a client under a policy, from :meth:`start` to :meth:`stop`.

    ``devices`` are the client's own; ``standing()`` says how the way inside is; ``ike()`` asks the
    IKE daemon for its version, IPsecError when it is not there; ``descriptors()`` says why this
    process can open no more files, "" when it can; ``on_restored()`` is called when IPv6 is on
    again that was off, ``on_names()`` when the intranet's DNS servers answer again; ``others`` are
    checks that stand on what others know.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        tracker: Tracker,
        *,
        names: Names,
        devices: frozenset[str],
        standing: Callable[[], Standing],
        ike: Callable[[], Awaitable[str]],
        descriptors: Callable[[], str] = str,
        on_restored: Callable[[], None],
        on_names: Callable[[], None],
        others: tuple[Check, ...] = (),
        on_bug: Callable[[str, BaseException], None],
    ) -> None:
        self._config, self._devices = config, devices
        self._tracker, self._on_bug = tracker, on_bug
        self._names, self._standing, self._ike = names, standing, ike
        self._descriptors = descriptors
        self._on_restored = on_restored
        self._ipv6_off = False
        self._stood: Standing | None = None
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._machine = self._checker()
        self._of_names = NameChecks(names, lambda: self._policy, standing, on_names)
        self._others = others
        self._policy = policy
        self._resources, self._inside = self._of_policy(policy)

    def start(self) -> None:
        """Begin to look."""
        self._machine.start((*self._of_machine(), *self._of_names.checks(), *self._others))
        self._inside.start(self._resources.checks())

    async def stop(self) -> None:
        """Look no more."""
        self._forget_timers()
        await self._machine.stop()
        await self._inside.stop()

    async def update_policy(self, policy: Policy) -> None:
        """Try what a newer policy names; what was found of others is forgotten."""
        old, self._policy = self._policy, policy
        self._machine.soon(POLICY)
        if _tried(old) == _tried(policy):
            return
        self._forget_timers()
        await self._inside.stop()
        for check in self._resources.checks():
            for problem in check.problems:
                self._tracker.clear(problem)
        self._resources, self._inside = self._of_policy(policy)
        self._inside.start(self._resources.checks())

    def status(self) -> tuple[CheckStatus, ...]:
        """Return every check for the snapshot."""
        return (*self._machine.status(), *self._inside.status())

    def refresh(self) -> None:
        """Look at everything now, because somebody asks."""
        self.network_changed()
        self._inside.soon(*(check.name for check in self._resources.checks()))

    def network_changed(self) -> None:
        """Look at this computer: something has happened to its interfaces."""
        self._machine.soon(IPV6)

    def soon(self, *names: str) -> None:
        """Look at these checks now: something has happened to what they look at."""
        self._machine.soon(*names)

    def look_at_controller(self) -> None:
        """Look at the domain controllers: something that needs them has failed."""
        if (timer := self._later.pop(CONTROLLER_CHECK, None)) is not None:
            timer.cancel()
        pause, soon = self._resources.rest(CONTROLLER_CHECK), self._inside.soon
        loop = asyncio.get_running_loop()
        self._later[CONTROLLER_CHECK] = loop.call_later(pause, soon, CONTROLLER_CHECK)

    def names_changed(self) -> None:
        """Look at the intranet's DNS servers: they have begun or ceased to answer."""
        self._machine.soon(DNS_CHECK)

    def settle(self) -> None:
        """See whether the way inside is another one, and look at what depends on it.

        What rests now needs no packet to be told of; the rest waits for its turn.
        """
        standing = self._standing()
        if standing == self._stood:
            return
        self._stood = standing
        self._machine.soon(FILTERS, DNS_CHECK)
        self._forget_timers()
        loop = asyncio.get_running_loop()
        for check in self._resources.checks():
            if check.wanted():
                self._inside.soon(check.name)
                continue
            pause = self._resources.rest(check.name) + random.uniform(0, SPREAD)
            self._later[check.name] = loop.call_later(pause, self._inside.soon, check.name)

    def _forget_timers(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()

    def _checker(self) -> Checker:
        return Checker(self._tracker, time.time, on_bug=self._on_bug)

    def _of_policy(self, policy: Policy) -> tuple[Resources, Checker]:
        return Resources(policy, self._names, self._standing), self._checker()

    def _of_machine(self) -> tuple[Check, ...]:
        return (
            Check(
                name=IPV6,
                title="IPv6 on the client's interfaces",
                component=Component.HOST,
                problems=(IPV6_DISABLED,),
                look=self._look_at_ipv6,
                interval=IPV6_INTERVAL,
            ),
            Check(
                name=FILTERS,
                title="Other packet filters",
                component=Component.FIREWALL,
                problems=(DROPS_TUNNELS,),
                look=self._look_at_filters,
                wanted=self._nothing_is_dropped,
            ),
            Check(
                name="store",
                title="State on the disk",
                component=Component.HOST,
                problems=(FILES_NOT_WRITABLE,),
                look=self._look_at_store,
                interval=STORE_INTERVAL,
            ),
            Check(
                name="ike",
                title="IKE daemon",
                component=Component.HOST,
                problems=(DAEMON_DOWN,),
                look=self._look_at_ike,
            ),
            Check(
                name="descriptors",
                title="File descriptors",
                component=Component.HOST,
                problems=(FILES_EXHAUSTED,),
                look=self._look_at_descriptors,
            ),
            Check(
                name="clock",
                title="Clock",
                component=Component.HOST,
                problems=(CLOCK_SKEW,),
                look=self._look_at_clock,
            ),
            Check(
                name=POLICY,
                title="Policy",
                component=Component.POLICY,
                problems=(OUT_OF_DATE,),
                look=self._look_at_policy,
                interval=POLICY_INTERVAL,
            ),
        )

    async def _look_at_clock(self) -> Iterable[Found] | str:
        """Judge what can be judged without a way inside: a clock that has lost its battery."""
        now, signed = time.time(), float(self._policy.issued_at)
        written = 0.0
        with contextlib.suppress(OSError):
            written = self._config.bundle.stat().st_mtime
        if now + TOLERATED >= max(signed, written):
            return "later than when the policy was made"
        what = "was signed" if signed >= written else "came to this computer"
        late = max(signed, written) - now
        words = (
            f"this computer's clock stands {late:.0f} s before the moment when its policy {what}"
        )
        return [Found(CLOCK_SKEW, words, "policy")]

    async def _look_at_policy(self) -> Iterable[Found] | str:
        ends = time.strftime("%Y-%m-%d", time.gmtime(self._policy.expires_at))
        words = f"version {self._policy.version} ends on {ends}"
        return [Found(OUT_OF_DATE, words)] if self._policy.ends_soon(time.time()) else words

    async def _look_at_ipv6(self) -> Iterable[Found] | str:
        """Other interfaces may go without: what is carried here is IPv6."""
        off = [name for name in sorted(self._devices) if _switched_off(name)]
        was_off, self._ipv6_off = self._ipv6_off, bool(off)
        if was_off and not off:
            self._on_restored()
        if not off:
            return "IPv6 is on"
        which = ("all",) if _switched_off("all") else off
        words = ", ".join(f"net.ipv6.conf.{name}.disable_ipv6 is 1" for name in which)
        return [Found(IPV6_DISABLED, words)]

    async def _look_at_ike(self) -> Iterable[Found] | str:
        try:
            async with asyncio.timeout(IKE_TIME):
                return f"charon {await self._ike()}"
        except TimeoutError:
            return [Found(DAEMON_DOWN, "charon is there, but does not answer: it hangs")]
        except IPsecError as error:
            raise CannotTell(str(error)) from None  # its keeper tells of that

    def _nothing_is_dropped(self) -> str:
        standing = self._standing()
        if not standing.outside:
            return "not outside: nothing is to pass"
        return "the tunnels are up" if standing.infrastructure else ""

    async def _look_at_filters(self) -> Iterable[Found] | str:
        try:
            ends = await asyncio.to_thread(filters.dropped, _needed(self._devices))
        except FirewallError as error:
            raise CannotTell(str(error)) from error
        found = [Found(DROPS_TUNNELS, f"{words}: {end} drops it", words) for words, end in ends]
        return found or "no other firewall of this computer drops what is needed"

    async def _look_at_descriptors(self) -> Iterable[Found] | str:
        why = self._descriptors()
        return [Found(FILES_EXHAUSTED, why)] if why else "files can be opened"

    async def _look_at_store(self) -> Iterable[Found] | str:
        folders = (self._config.state_directory, self._config.runtime_directory)
        return list(unwritable(folders, ROOM)) or "there is room"


def _needed(devices: frozenset[str]) -> tuple[Needed, ...]:
    """Return what must pass: IP-HTTPS to wherever the gateway is, IKE on the links."""
    out = Packet(hook="output", version="ipv4", protocol="tcp", dport=PORT, state="new")
    there = (devices & netlink.links().keys()) - {TUNNEL_INTERFACE}
    back = Packet(hook="input", version="ipv4", protocol="tcp", sport=PORT, state="established")
    return (
        Needed(f"TCP {PORT} of IP-HTTPS, out", out),
        Needed(f"TCP {PORT} of IP-HTTPS, answers", back),
        *(needed for device in sorted(there) for needed in filters.ike(device)),
    )


def _switched_off(interface: str) -> bool:
    """Whether an interface that is there has no IPv6."""
    try:
        return (SETTINGS / interface / "disable_ipv6").read_text().strip() == "1"
    except OSError:
        return False


def _tried(policy: Policy) -> object:
    """Return what the checks of a policy stand on."""
    tunnels = policy.infrastructure.prefixes, policy.intranet.prefixes
    return policy.probes, policy.kerberos_realm, tunnels
