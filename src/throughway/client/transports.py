"""Drive a :class:`throughway.proto.selection.Selection`: the client's transports, and the routes.

Towards the rest of the client this is one way to the gateway: up or not, with an address. Which
transport that is, and that it becomes another one, shows in :attr:`Transports.way` alone.
"""

import asyncio
import contextlib
import errno
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from throughway.client.native import Native
from throughway.client.revocation import ClientRevocation
from throughway.client.sixtofour import INTERFACE as SIXTOFOUR_INTERFACE
from throughway.client.sixtofour import SixToFour
from throughway.client.teredo import INTERFACE as TEREDO_INTERFACE
from throughway.client.teredo import Teredo
from throughway.client.transport import Transport
from throughway.client.uplink import OnState, Uplink
from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.policy import Policy
from throughway.model.status import LinkStatus, TransportKind, TransportState, TransportStatus
from throughway.net import netlink
from throughway.net.connections import end_connections
from throughway.net.dial import Resolve
from throughway.net.netlink import Route
from throughway.net.process import write_private
from throughway.net.surroundings import recognise
from throughway.proto.experience import MAX_FILE, Experience, build_experience, parse_experience
from throughway.proto.selection import (
    Selection,
    TransportChosen,
    TransportUnwanted,
    TransportWanted,
)
from throughway.wire.ipv6 import parse_address
from throughway.wire.sixtofour import is_sixtofour

METRIC = 50
"""Before the routes to the endpoints that come with IP-HTTPS' router advertisements (1024)."""
EXPERIENCE = "networks.json"
TUNNEL_INTERFACE = "ipsec0"
"""The device of charon's kernel-libipsec."""

OnFailure = Callable[[TransportKind, ThroughwayError], None]


@dataclass(slots=True)
class _Driven:
    """A transport, whether it is wanted, and what was last heard of it."""

    transport: Transport
    wanted: bool = False
    up: bool = False
    failure: str = ""
    stopping: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Transports:
    """Every way to the gateway; :meth:`start` and :meth:`stop` may follow each other at will.

    ``on_change()`` tells that anything here is another now, ``on_failure(kind, error)`` that a
    transport cannot work, ``on_state`` of the IP-HTTPS link.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        resolve: Resolve,
        *,
        on_state: OnState,
        on_change: Callable[[], None],
        on_failure: OnFailure = lambda kind, error: None,
    ) -> None:
        self._policy = policy
        self._only = config.transports
        self._on_change = on_change
        self._on_failure = on_failure
        self._file = config.state_directory / EXPERIENCE
        self.devices = frozenset(
            {config.interface, SIXTOFOUR_INTERFACE, TEREDO_INTERFACE, TUNNEL_INTERFACE}
        )
        """The interfaces of our own, which are no change of network."""
        self._uplink = Uplink(
            config, policy, resolve, on_state, partial(self._changed, TransportKind.IPHTTPS)
        )
        self._native = Native(
            policy, partial(self._changed, TransportKind.NATIVE), lambda: self.devices
        )
        transports: tuple[Transport, ...] = (self._native, *self._tunnels(), self._uplink)
        self._driven = {transport.kind: _Driven(transport) for transport in transports}
        self._selection = Selection(self._allowed(policy), _load(self._file))
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning: asyncio.Task[None] | None = None
        self._pumping = False
        self._changes = 0
        """Of the network so far."""
        self._carried: set[str] = set()
        """The addresses of ways so far, as far as they are still here."""
        self.misled: TransportError | None = None
        """Why the kernel does not lead packets by the way that was chosen."""
        self._number = 0
        """Of the choices so far: a new one may lead to a gateway that was restarted."""

    @property
    def revocation(self) -> ClientRevocation:
        """The lists of this client, which its tunnels need as well."""
        return self._uplink.revocation

    @property
    def started(self) -> bool:
        """Whether a way is wanted."""
        return self._beginning is not None

    @property
    def chosen(self) -> TransportKind | None:
        """What carries, None while nothing does."""
        return self._selection.chosen

    @property
    def up(self) -> bool:
        """Whether packets reach the gateway."""
        return bool(self.address)

    @property
    def coming(self) -> bool:
        """Whether it may be up soon: nothing has been seen to fail yet."""
        wanted = [d.transport for d in self._driven.values() if d.wanted]
        return self.up or not wanted or any(t.failure is None for t in wanted)

    @property
    def failures(self) -> tuple[TransportError, ...]:
        """Why nothing carries, as far as every transport that is tried has failed; best first.

        None where IP-HTTPS is tried: it tells its errors itself, and judges them before.
        """
        wanted = {kind: d.transport for kind, d in self._driven.items() if d.wanted}
        failed = tuple(t.failure for t in wanted.values() if t.failure is not None)
        whole = len(failed) == len(wanted) and TransportKind.IPHTTPS not in wanted
        return failed if whole and not self.up else ()

    @property
    def address(self) -> str:
        """This computer's global address on the way, "" while there is none."""
        return self._driven[self.chosen].transport.address if self.chosen else ""

    @property
    def way(self) -> tuple[str, int]:
        """The address, and a number that is another one for every new way."""
        return self.address, self._number

    @property
    def words(self) -> str:
        """How it is with every transport that is tried, in words."""
        wanted = [kind for kind, driven in self._driven.items() if driven.wanted]
        told = (f"{kind}: {self._selection.explain(kind, self._now())}" for kind in wanted)
        return "; ".join(told) or "no transport is tried"

    def start(self) -> None:
        """Begin to look for the best way, unless that has begun."""
        if self._beginning is None:
            self._beginning = asyncio.get_running_loop().create_task(self._begin())

    async def stop(self) -> None:
        """Take everything down; no device and no route is left."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
        self._selection.stop(self._now())
        self._pump()
        for task in tuple(self._tasks - {asyncio.current_task()}):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for driven in self._driven.values():
            await driven.transport.stop()
        netlink.sweep_host_routes()

    async def mend(self) -> None:
        """Make anew what others have deleted, and try again what could not be made."""
        for kind, driven in self._driven.items():
            if driven.wanted and driven.transport.broken:
                await driven.transport.stop()
                self._changed(kind)
            elif driven.transport.up != driven.up:
                self._changed(kind)  # an address that others took away has come back
            if driven.wanted and not driven.transport.started and driven.stopping is None:
                self._start(kind)
        self._lead()
        self._pump()

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy: transports that it changes are made anew."""
        old, self._policy = self._policy, policy
        self._native.update_policy(policy)
        await self._uplink.update_policy(policy)
        if _tunnelled(old) != _tunnelled(policy):
            for transport in self._tunnels():
                await self._replace(transport)
        self._selection.set_kinds(self._allowed(policy), self._now())
        self._lead()
        self._pump()

    def renew(self) -> None:
        """Make every device anew: IPv6 was switched off under them, and their addresses are gone.

        Switched on again, the kernel gives none back that it had not formed itself.
        """
        for kind, driven in self._driven.items():
            if driven.wanted and driven.transport.started and kind is not TransportKind.NATIVE:
                self._stop(kind)
        self.network_changed()

    def renew_certificate(self) -> None:
        """Show another certificate with the next connection."""
        self._uplink.renew_certificate()

    def network_changed(self) -> None:
        """Tell every transport, and find out which network this is."""
        self._selection.network_doubted()
        self._changes += 1
        for driven in self._driven.values():
            if driven.transport.started:
                driven.transport.network_changed()
        self._lead()
        if self.started:
            self._keep(self._recognise(self._changes))

    def refresh(self) -> None:
        """Try again what failed here, because somebody asks."""
        self._selection.experience.forget(self._selection.network)
        self.network_changed()

    def link(self) -> LinkStatus:
        """Return the IP-HTTPS link for the snapshot."""
        return self._uplink.link()

    def status(self) -> tuple[TransportStatus, ...]:
        """Return every transport for the snapshot, best first."""
        return tuple(self._status(kind) for kind in TransportKind)

    def _status(self, kind: TransportKind) -> TransportStatus:
        driven, reason = self._driven.get(kind), self._selection.explain(kind, self._now())
        if self._only and kind not in self._only:
            reason = "left out by client.toml"
        if driven is None:
            return TransportStatus(kind=kind, state=TransportState.IDLE, reason=reason)
        return replace(driven.transport.status(), chosen=kind is self.chosen, reason=reason)

    def _tunnels(self) -> tuple[Transport, ...]:
        """Make the transports that stand for one policy."""
        return (
            SixToFour(self._policy, partial(self._changed, TransportKind.SIXTOFOUR)),
            Teredo(self._policy, partial(self._changed, TransportKind.TEREDO)),
        )

    async def _replace(self, transport: Transport) -> None:
        """Put another transport in the place of one that stood for an older policy."""
        driven = self._driven[transport.kind]
        await driven.transport.stop()
        self._changed(transport.kind)
        driven.transport = transport
        if driven.wanted:
            self._start(transport.kind)

    # The selection and its clock

    async def _begin(self) -> None:
        # What a daemon that was killed has left must not lead astray what is proven now.
        netlink.sweep_host_routes()
        network = await recognise(self.devices)
        self._selection.start(network, self._now())
        self._pump()

    async def _recognise(self, change: int) -> None:
        network = await recognise(self.devices)
        if change != self._changes:
            return  # it was the network before; whoever looked last knows
        if self._beginning is not None and self._beginning.done():
            self._selection.network_changed(network, self._now())
            for kind, driven in self._driven.items():
                # What cannot be here either says so in the same words again.
                driven.failure = ""
                if driven.transport.started and driven.stopping is None:
                    self._changed(kind)
            self._pump()

    def _allowed(self, policy: Policy) -> tuple[TransportKind, ...]:
        if policy.transports.force_iphttps or policy.transports.force_tunnel:
            return (TransportKind.IPHTTPS,)
        kinds = map(TransportKind, dict.fromkeys(policy.transport_order))
        wanted = (kind for kind in kinds if not self._only or kind in self._only)
        return tuple(kind for kind in wanted if kind in self._driven and _possible(kind, policy))

    def _changed(self, kind: TransportKind) -> None:
        """Pass on what a transport shows now."""
        driven, now = self._driven[kind], self._now()
        transport = driven.transport
        up, failure = transport.up, transport.failure
        if driven.up and not up:
            self._selection.receive_lost(kind, str(failure or "the gateway is silent"), now)
        why = "" if failure is None else str(failure)
        if not up and why and why != driven.failure:
            self._selection.receive_failed(kind, why, now)
        if up and not driven.up:
            self._selection.receive_proven(kind, now)
        driven.up, driven.failure = up, why
        self._pump()
        if self.up:
            self.end_connections()
        self._on_change()

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        try:
            while event := self._selection.next_event():
                match event:
                    case TransportWanted(kind):
                        self._driven[kind].wanted = True
                        self._start(kind)
                    case TransportUnwanted(kind):
                        self._driven[kind].wanted = False
                        self._stop(kind)
                    case TransportChosen():
                        self._number += 1
                        self._lead()
                        if self.up:
                            self.end_connections()
                        self._on_change()
        finally:
            self._pumping = False
        self._arm()
        self._save()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._selection.timer_at()
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(due, self._timer_due)

    def _timer_due(self) -> None:
        self._selection.handle_timer(self._now())
        self._pump()
        self._on_change()

    # Transports and routes

    def _start(self, kind: TransportKind) -> None:
        driven = self._driven[kind]
        if driven.stopping is not None:
            return  # it is started when it has stopped
        driven.up, driven.failure = False, ""
        try:
            driven.transport.start()
        except ThroughwayError as error:
            self._on_failure(kind, error)
            self._selection.receive_failed(kind, str(error), self._now())

    def _stop(self, kind: TransportKind) -> None:
        driven = self._driven[kind]
        if driven.stopping is None:
            driven.stopping = self._keep(self._stop_now(driven))

    async def _stop_now(self, driven: _Driven) -> None:
        try:
            await driven.transport.stop()
        finally:
            driven.stopping = None
        driven.up, driven.failure = False, ""
        if driven.wanted:
            self._start(driven.transport.kind)
            self._pump()
        if self.up:
            self.end_connections()
        self._on_change()

    def end_connections(self) -> None:
        """Let programs know that connections from the address of another way are over.

        That is so when the address is gone, or when a better way has the tunnels now. One that
        was lost may come back with its network, until something else carries.
        """
        if self.address:
            self._carried.add(self.address)
        if not self._carried - {self.address}:
            return
        here = {str(own.address) for own in netlink.addresses()}
        over = (self._carried - here | self._surpassed() & self._carried) - {self.address}
        self._carried -= over
        for address in over:
            # A kernel that cannot, or must not, leaves it to the programs' own patience.
            with contextlib.suppress(OSError):
                end_connections(address)

    def _surpassed(self) -> set[str]:
        """Return the addresses of the ways that work, but are worse than the one that carries."""
        kinds = self._selection.kinds
        worse = kinds[kinds.index(self.chosen) + 1 :] if self.chosen in kinds else ()
        return {self._driven[kind].transport.address for kind in worse}

    def _lead(self) -> None:
        """Lead the endpoints' packets by the chosen transport, and by no other."""
        wanted = set(self._routes())
        try:
            for route in wanted:
                netlink.add_route(route)
            for route in netlink.own_host_routes():
                if route not in wanted:
                    netlink.delete_route(route)
        except OSError as error:
            # Where its device has just gone this is over as soon as that is heard of.
            words = f"no route to the gateway: {error.strerror}"
            off = error.errno == errno.EACCES  # Linux: IPv6 is switched off on the device
            code = "ipv6-disabled" if off else "ipsec-endpoint-unreachable"
            # Told once: whoever hears of it looks again, and comes here.
            if str(self.misled) != words:
                self.misled = TransportError(Stage.LINK, words, problem=code)
                self._on_change()
        else:
            if self.misled is not None:
                self.misled = None
                self._on_change()

    def _routes(self) -> tuple[Route, ...]:
        if self.chosen is None:
            return ()
        transport = self._driven[self.chosen].transport
        via = self._native.gateway if transport is self._native else ""
        endpoints = {self._policy.infrastructure.endpoint, self._policy.intranet.endpoint}
        return tuple(
            Route(prefix=f"{e}/128", interface=transport.interface, via=via, metric=METRIC)
            for e in endpoints
            if transport.interface
        )

    def _keep(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _save(self) -> None:
        experience = self._selection.experience
        if not experience.changed:
            return
        experience.changed = False
        # What is not kept is found out again: no reason to fail.
        with contextlib.suppress(OSError):
            write_private(self._file, build_experience(experience, _offset()))


def _tunnelled(policy: Policy) -> tuple[str, str, str]:
    """Return what the tunnels of a policy depend on."""
    server = policy.transports.teredo_server
    return policy.infrastructure.endpoint, policy.intranet.endpoint, server


def _possible(kind: TransportKind, policy: Policy) -> bool:
    """Whether the deployment has what a transport needs."""
    if kind is TransportKind.TEREDO:
        return bool(policy.transports.teredo_server)
    if kind is TransportKind.SIXTOFOUR:
        endpoints = (policy.infrastructure.endpoint, policy.intranet.endpoint)
        return all(is_sixtofour(parse_address(endpoint)) for endpoint in endpoints)
    return True


def _offset() -> float:
    return time.time() - time.monotonic()


def _load(file: Path) -> Experience:
    try:
        with file.open() as stream:
            text = stream.read(MAX_FILE)
    except (OSError, ValueError):
        text = ""
    return parse_experience(text, _offset(), time.monotonic())
