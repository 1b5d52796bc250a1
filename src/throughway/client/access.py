"""This computer's access to its intranet under a policy: everything between daemon and parts.

Every change (location, link, tunnel, network, user, policy) wakes one task, which asks
:func:`throughway.client.plan.wanted` what should hold and takes the steps towards it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from throughway import __version__
from throughway.catalogue import find
from throughway.catalogue.internet import PATH_MTU_BLACK_HOLE
from throughway.client.audit import ClientAudit
from throughway.client.certificates import CertificateKeeper
from throughway.client.forced import Forced
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET
from throughway.client.lines import Lines
from throughway.client.location_checks import LOCATION_CHECK, LocationChecks
from throughway.client.names import Names
from throughway.client.operations import Operations
from throughway.client.plan import Observed, Wanted, wanted
from throughway.client.registration import Registrar, inside_address
from throughway.client.resources import Standing
from throughway.client.revocation import tell_location
from throughway.client.sleep import watch_sleep
from throughway.client.transports import Transports
from throughway.client.tunnels import Tunnels
from throughway.client.unexplained import Unexplained
from throughway.client.user import User
from throughway.client.whereabouts import Whereabouts
from throughway.client.words import define_words
from throughway.control import memory
from throughway.health import log
from throughway.health.connection import LINK_UP, connection_of
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig, ESPMode
from throughway.model.errors import (
    ConfigError,
    NetworkLeftError,
    ThroughwayError,
    TransportError,
)
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.model.status import (
    ClientSnapshot,
    Location,
    TransportKind,
    TunnelState,
)
from throughway.net import esp, firewall
from throughway.net.exchange import Way
from throughway.net.fetch import fetch
from throughway.net.netlink import NetworkMonitor, NetworkState, sweep_host_routes
from throughway.net.registration import Registration
from throughway.net.tls import client_context
from throughway.proto.iphttps.client import State

LOOK_INTERVAL = 5.0
"""Seconds between two looks at everything, in case an event was lost."""
REFRESH_TIME = 1.0
"""Seconds to wait for charon's view of the tunnels."""
REST = 15.0
"""Seconds after a change of the way until nothing is left of the one before."""
SIZE = "size"
"""An attempt of its own: the link is up in spite of it, with small segments."""
REST_AGAIN = 300.0
"""Seconds in which what is looked at again and again leaves little behind."""
WATCH_RETRY = 2.0
"""Seconds after which the network is watched again when that has failed."""


class Access:
    """Location, names, link and tunnels of a client, kept in step with each other.

    ``descriptors()`` says why this process can open no more files, "" when it can;
    ``on_infrastructure()`` is called whenever the infrastructure tunnel was seen to be up.
    """

    _resting: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        tracker: Tracker,
        *,
        ccache: Path,
        audit: ClientAudit,
        certificates: CertificateKeeper,
        descriptors: Callable[[], str] = str,
        on_infrastructure: Callable[[], None] = lambda: None,
        on_bug: Callable[[str, BaseException], None],
    ) -> None:
        self._config, self._policy = config, policy
        self._log = log.logger("client")
        self._tracker = tracker
        self._audit, self._certificates = audit, certificates
        self._descriptors = descriptors
        self._on_infrastructure = on_infrastructure
        self._on_bug = on_bug
        self._user: User | None = None
        self._names = Names(
            config, policy, on_servers=self._dns_changed, on_network=self._resolver_changed
        )
        self._transports = Transports(
            config,
            policy,
            self._names.resolve_local,
            on_state=self._link_changed,
            on_change=self._way_changed,
            on_failure=self._transport_failed,
        )
        self._tunnels = Tunnels(
            config,
            policy,
            tracker,
            ccache=ccache,
            lists=self._transports.revocation.lists,
            audit=audit,
            certificates=certificates,
            keep=self._keep,
            carrier=lambda: str(self._transports.chosen or ""),
            on_change=self._wake,
            # The link may be dead too and would find out later: ask for a sign of life.
            on_lost=self._transports.network_changed,
        )
        self._where = Whereabouts(
            policy.nls_urls, self._probe, self._location_changed, self._probed
        )
        self._forced = Forced(config, self._proxy_used)
        self._lines = Lines(policy, tracker, lambda: self._forced.relay)
        self._registrar = Registrar(config, policy, self._registered)
        self._doubts = self._made_doubts()
        self._operations = self._made_operations()
        self._unexplained = Unexplained(tracker)
        self._monitor = NetworkMonitor(self._network_changed, self._transports.devices)
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._located = False
        self._carrier: TransportKind | None = None
        """The transport that the log has."""

    def _made_doubts(self) -> LocationChecks:
        return LocationChecks(
            lambda: self._where.location,
            lambda: self._policy,
            self._names,
            self._names.resolve_local,
            lambda: (self._transports.address,),
            self._where.refresh,
        )

    def _made_operations(self) -> Operations:
        return Operations(
            self._config,
            self._policy,
            self._tracker,
            names=self._names,
            devices=self._transports.devices,
            standing=self._standing,
            ike=self._tunnels.ipsec.version,
            descriptors=self._descriptors,
            on_restored=self._transports.renew,
            on_names=self._registrar.hurry,
            others=(self._doubts.check(),),
            on_bug=self._on_bug,
        )

    async def start(self, user: User | None) -> None:
        """Hold the intranet back first, then bring everything up."""
        self._user = user
        define_words(self._tracker, self._config, self._policy)
        sweep_host_routes()  # routes that a killed daemon has left would lead tunnels astray
        self._lines.draw()
        await self._forced.update(self._policy)
        support = await asyncio.to_thread(esp.detect_esp, self._config.esp)
        if support.mode is ESPMode.KERNEL:
            self._lines.kernel_esp = True
            self._lines.draw()
        await self._names.start()
        self._tracker.ok(Component.NAMES, f"the stub serves on {self._config.stub_address}")
        self._keep(self._tunnels.start())
        self._keep(self._watch_network())
        self._keep(watch_sleep(self._woke_up))
        self._keep(self._registrar.run())
        self._operations.start()
        self._keep(self._reconcile_forever())

    async def stop(self) -> None:
        """Take everything down and leave the computer as it was found."""
        if self._resting is not None:
            self._resting.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # From the last to the first; what one part fails at must not keep the others from it.
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._lines.wipe)
            stack.push_async_callback(self._forced.close)
            stack.push_async_callback(self._names.close)
            stack.push_async_callback(self._transports.revocation.stop)
            stack.push_async_callback(self._transports.stop)
            stack.push_async_callback(self._tunnels.stop)
            stack.push_async_callback(self._monitor.close)
            stack.push_async_callback(self._where.close)
            stack.push_async_callback(self._operations.stop)

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy: everything that it changes follows."""
        self._policy = policy
        define_words(self._tracker, self._config, self._policy)
        await self._forced.update(policy)
        self._lines.policy = policy
        if self._lines.drawn:
            self._hold_back()  # prefixes that are new here, before their names are
        self._names.update_policy(policy)
        self._where.set_urls(policy.nls_urls)
        await self._transports.update_policy(policy)
        await self._tunnels.update_policy(policy)
        self._registrar.update_policy(policy)
        await self._operations.update_policy(policy)
        self._wake()

    async def renew_certificate(self) -> None:
        """Take the certificate that is in place now; what is up stays up."""
        self._transports.renew_certificate()
        await self._tunnels.ipsec.renew_credentials()

    async def set_user(self, user: User | None) -> None:
        """Take another user, or the same one with a new ticket, or nobody."""
        former, self._user = self._user, user
        await self._tunnels.set_user(former, user)
        self._wake()

    async def restart_ike(self) -> str:
        """Have charon started anew; the tunnels follow by themselves."""
        return await self._tunnels.ipsec.restart()

    def refresh(self) -> None:
        """Look at everything again and try again at once."""
        self._names.network_changed()
        self._where.refresh()
        self._transports.refresh()
        self._tunnels.ipsec.hurry()
        self._operations.refresh()
        self._wake()

    # What should hold, and the steps towards it

    def _wake(self) -> None:
        self._woken.set()

    async def _reconcile_forever(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._lines.look()
                # An event of charon's may be lost, and with it that a tunnel is down.
                await self._refresh_tunnels()
                await self._reconcile(wanted(self._observe()))
            except ConfigError as error:
                # The policy was checked; what is left is the certificate with its key.
                unusable = find("iphttps-no-usable-cert")
                self._tracker.set(unusable, str(error), attempt="reconcile")
            except ThroughwayError as error:
                self._tracker.report(error, attempt="reconcile")
                self._log.warning("a step failed", reason=str(error))
            except Exception as error:  # whatever it was: who moves next must not be forgotten
                self._on_bug("a step of the client", error)
            else:
                self._tracker.succeeded("reconcile")
            # wait_for() of Python 3.11 may swallow a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self._woken.wait()

    def _observe(self) -> Observed:
        return Observed(
            location=self._where.location,
            address=self._transports.address,
            infrastructure_up=self._tunnels.up(INFRASTRUCTURE),
            intranet_up=self._tunnels.up(INTRANET),
            user=self._user.principal if self._user is not None else "",
        )

    def _standing(self) -> Standing:
        return Standing(
            outside=self._where.location is Location.OUTSIDE,
            infrastructure=self._tunnels.up(INFRASTRUCTURE),
            intranet=self._tunnels.up(INTRANET),
            user=self._user is not None,
            way=self._transports.way,
        )

    async def _reconcile(self, plan: Wanted) -> None:
        # Names first: they cannot fail, and none must go astray because something else does.
        self._names.set_situation(effective=plan.names, intranet=self._way_to_names())
        if plan.fail_closed:
            self._lines.draw()
        elif self._lines.drawn:
            self._lines.wipe()
        if not plan.infrastructure:
            await self._tunnels.release()
            if self._where.location is Location.INSIDE:
                self._tracker.disable(Component.IPSEC, "inside: not needed")
        if plan.link:
            if not self._transports.started:
                self._tracker.forget(Component.IPHTTPS)
            self._transports.start()
            await self._transports.mend()
        elif self._transports.started:
            await self._transports.stop()
            if self._where.location is Location.INSIDE:
                self._transports.end_connections()
            self._tracker.disable(Component.IPHTTPS, "inside: not needed")
        if plan.infrastructure and self._tunnels.ipsec.running:
            self._tunnels.raise_infrastructure(self._transports.way)
        if plan.intranet and self._tunnels.ipsec.running:
            assert self._user is not None
            self._tunnels.raise_intranet(self._user)
        self._settle_tunnels()
        self._operations.settle()
        failures = self._transports.failures
        self._unexplained.judge(self._standing(), self._transports.words, failures)
        self._register_name()

    def _register_name(self) -> None:
        """Let managers inside find this computer, before any user has logged on."""
        if self._where.location is Location.INSIDE:
            self._registrar.want(inside_address(self._policy))
        elif self._tunnels.up(INFRASTRUCTURE) and self._transports.address:
            self._registrar.want((self._transports.address,))
        else:
            self._registrar.rest()
            # Why it failed is why the tunnel is down; what is known of the name is old.
            self._tracker.clear(find("client-name-not-registered"))

    def _registered(self, registration: Registration, error: ThroughwayError | None) -> None:
        problem = find("client-name-not-registered")
        if error is not None:
            self._log.info("name not registered", name=registration.name, reason=str(error))
            # Who does not answer once may have been asked while the tunnel was made anew.
            if self._registrar.failures > 1 or not isinstance(error, TransportError):
                self._tracker.set(problem, str(error))
            self._operations.look_at_controller()  # which may be the cause, or its clock
            return
        addresses = ", ".join(registration.addresses)
        self._log.info("name registered", name=registration.name, addresses=addresses)
        self._tracker.clear(problem)

    def _proxy_used(self, reason: str) -> None:
        problem = find("force-tunnel-proxy-unreachable")
        if reason:
            self._tracker.set(problem, reason)
        else:
            self._tracker.clear(problem)

    def _way_to_names(self) -> TunnelState:
        """Say whether intranet names can be asked now, soon, or not at all."""
        state = self._tunnels.of(INFRASTRUCTURE).state
        coming = state is TunnelState.DOWN and self._transports.coming
        return TunnelState.CONNECTING if coming else state

    def _hold_back(self) -> None:
        """Close now, whatever step is under way: this may be another network already."""
        self._names.set_situation(effective=True, intranet=self._way_to_names())
        try:
            self._lines.draw()
        except (ThroughwayError, OSError) as error:
            self._tracker.set(find("firewall-rules-missing"), str(error), attempt="reconcile")

    # What the parts tell

    async def _watch_network(self) -> None:
        """Follow the network; a mistake somewhere must not make the client blind for good."""
        while True:
            try:
                await self._monitor.run()
            except Exception as error:  # of the kernel's answers or of whoever heard of them
                self._on_bug("watching the network", error)
            await asyncio.sleep(WATCH_RETRY)

    def _woke_up(self, asleep: float) -> None:
        """It may be elsewhere now."""
        if self._located:
            self._log.info("woke up", asleep=f"{asleep:.0f} s")
            self._network_changed(self._monitor.state)

    def _network_changed(self, state: NetworkState) -> None:
        self._log.info("network", connected=state.connected)
        self._names.network_changed()
        self._operations.network_changed()
        if not self._located:
            self._located = True
            self._transports.revocation.on_located = self._where.refresh
            self._where.start(state.connected)
            return
        self._doubts.network_changed()
        self._where.network_changed(state.connected)
        self._transports.network_changed()
        self._wake()

    def _resolver_changed(self) -> None:
        """DHCP has brought other DNS servers: the network is another one, or finds more now."""
        self._log.info("local DNS servers", servers=", ".join(self._names.status().upstreams))
        self._where.network_changed(self._monitor.state.connected)
        self._transports.network_changed()

    def _dns_changed(self, answering: bool, servers: tuple[str, ...]) -> None:
        words = "answer" if answering else "do not answer"
        self._log.info("intranet DNS servers", state=words, servers=", ".join(servers))
        if answering:
            self._tracker.ok(Component.DOMAIN, f"{', '.join(servers)} answers")
        self._operations.names_changed()  # which asks them, and tells

    def _location_changed(self, location: Location, reason: str) -> None:
        self._log.info("location", location=str(location), reason=reason)
        if location is not Location.UNKNOWN:
            self._tracker.ok(Component.LOCATION, f"{location}: {reason}")
        if location is not Location.INSIDE:
            self._hold_back()
        self._operations.soon(LOCATION_CHECK)
        self._wake()

    def _probed(self, url: str, error: ThroughwayError | None) -> None:
        """A location server that answers with a bad certificate strands clients inside."""
        tell_location(self._tracker, url, error)
        self._doubts.probed(url, error)
        self._operations.soon(LOCATION_CHECK)

    async def _probe(self, url: str) -> None:
        context = client_context(anchors=self._policy.trust_anchors)
        judge = Way(verify=self._transports.revocation.judge_location)
        await fetch(url, tls=context, resolve=self._resolve_probed, mark=firewall.MARK, way=judge)

    async def _resolve_probed(self, host: str) -> tuple[str, ...]:
        self._doubts.resolved(host, ())
        addresses = await self._names.resolve_local(host)
        self._doubts.resolved(host, addresses)
        return addresses

    def _link_changed(self, state: State, error: TransportError | None) -> None:
        self._log.info("IP-HTTPS", state=str(state), reason=str(error or "") or None)
        if error is not None:
            self._link_lost(error)
        elif state is State.LINK_UP:
            self._audit.link_up(self._policy.iphttps_url)
            self._tracker.succeeded("link")
            self._tracker.succeeded(SIZE)
            if self._needs_link():
                self._tracker.ok(Component.IPHTTPS, f"up to {self._policy.iphttps_url}")
            self._tracker.ok(Component.INTERNET, "the gateway answers")
        self._wake()

    def _link_lost(self, error: TransportError) -> None:
        """Tell why there is no link; that the computer was carried away is no fault."""
        self._audit.link_failed(error, connected=self._monitor.state.connected)
        if (named := self._or_no_network(error)) is not error:
            self._tracker.report(named, attempt="link")
        elif not self._needs_link():
            return
        elif isinstance(error, NetworkLeftError):
            self._tracker.forget(Component.IPHTTPS)
        else:
            small = error.problem == PATH_MTU_BLACK_HOLE.code
            self._tracker.report(error, attempt=SIZE if small else "link")

    def _needs_link(self) -> bool:
        """Whether no other transport carries the tunnels."""
        return self._transports.chosen in {None, TransportKind.IPHTTPS}

    def _transport_failed(self, kind: TransportKind, error: ThroughwayError) -> None:
        """Tell what keeps a transport from being made; what its network forbids is no problem.

        Nor is it one while another transport carries: its reason stands in the chain.
        """
        self._log.warning("transport", kind=str(kind), reason=str(error))
        if self._transports.chosen not in {None, kind}:
            return
        self._tracker.report(error, attempt="link" if kind is TransportKind.IPHTTPS else str(kind))

    def _way_changed(self) -> None:
        kind = self._transports.chosen
        if kind is not self._carrier:
            self._log.info("transport", carries=str(kind or "none"))
            if self._carrier not in {None, TransportKind.IPHTTPS}:
                self._tracker.forget(Component.IPHTTPS)  # which may be heard again
            self._carrier = kind
            self._settle_transport(kind)
            self._rest()
        if self._transports.misled is not None:
            self._tracker.report(self._transports.misled, attempt="route")
        else:
            self._tracker.succeeded("route")
        self._wake()

    def _rest(self) -> None:
        """Give the memory of the way before back, once it has been let go, and again at times."""
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.get_running_loop().call_later(REST, self._give_back)

    def _give_back(self) -> None:
        memory.give_back()
        self._resting = asyncio.get_running_loop().call_later(REST_AGAIN, self._give_back)

    def _settle_transport(self, kind: TransportKind | None) -> None:
        """Say of IP-HTTPS that it is not needed while a better transport carries."""
        if kind is None:
            return
        for attempt in ("link", *TransportKind):
            self._tracker.succeeded(attempt)
        self._tracker.ok(Component.INTERNET, "the gateway answers")
        if kind is not TransportKind.IPHTTPS:
            self._tracker.succeeded(SIZE)
            self._tracker.disable(Component.IPHTTPS, f"not needed: {kind} carries the tunnels")
        else:
            self._tracker.ok(Component.IPHTTPS, f"up to {self._policy.iphttps_url}")

    def _or_no_network(self, error: TransportError) -> TransportError:
        """Without a network nothing beyond it is to blame: no name, no gateway, no firewall."""
        if not self._located or self._monitor.state.connected:
            return error
        return TransportError(error.stage, "there is no network", problem="internet-down")

    def _settle_tunnels(self) -> None:
        self._tunnels.settle()
        if up := self._tunnels.up(INFRASTRUCTURE):
            self._tracker.ok(Component.IPSEC, esp.describe_esp(self._tunnels.ipsec.esp))
            self._on_infrastructure()
        if up or self._where.location is Location.INSIDE:
            self._certificates.authority_reachable()

    async def _refresh_tunnels(self) -> None:
        """Ask charon; one that hangs keeps nobody from seeing, and from doing, the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_TIME):
                await self._tunnels.ipsec.refresh()

    async def snapshot(self) -> ClientSnapshot:
        """Return the whole client."""
        await self._refresh_tunnels()
        self._settle_tunnels()
        link, policy = self._transports.link(), self._policy
        names = replace(self._names.status(), registered=self._registrar.registered)
        problems = self._tracker.current()
        user = self._user.principal if self._user is not None else ""
        return ClientSnapshot(
            version=__version__,
            taken_at=time.time(),
            connection=connection_of(
                location=self._where.location,
                link_state=LINK_UP if self._transports.up else link.state,
                infrastructure=self._tunnels.of(INFRASTRUCTURE).state,
                intranet=self._tunnels.of(INTRANET).state,
                names_effective=names.effective,
                user=user,
                problems=problems,
            ),
            location=self._where.location,
            location_detail=self._where.reason,
            transport=str(self._transports.chosen or ""),
            transports=self._transports.status(),
            link=link,
            esp=esp.describe_esp(self._tunnels.ipsec.esp),
            tunnels=self._tunnels.shown(),
            names=names,
            user=user,
            policy_deployment=policy.deployment,
            policy_version=policy.version,
            policy_expires_at=float(policy.expires_at),
            kerberos_realm=policy.kerberos_realm,
            components=self._tracker.components(),
            problems=problems,
            checks=self._operations.status(),
        )

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """The one catch-all: what no part has foreseen is made visible, and the rest goes on."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._on_bug("a task of the client", error)
