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
from urllib.parse import urlsplit

from throughway import __version__
from throughway.catalogue import find
from throughway.client.forced import Forced
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET, ClientIPsec
from throughway.client.names import Names
from throughway.client.plan import Observed, Wanted, wanted
from throughway.client.registration import Registrar, inside_address
from throughway.client.transports import TUNNEL_INTERFACE, Transports
from throughway.client.user import User
from throughway.client.whereabouts import Whereabouts
from throughway.health import log
from throughway.health.connection import LINK_UP, connection_of
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig, ESPMode
from throughway.model.errors import ConfigError, IPsecError, ThroughwayError, TransportError
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.model.status import (
    ClientSnapshot,
    Location,
    TransportKind,
    TunnelState,
    TunnelStatus,
)
from throughway.net import esp, firewall, kerberos
from throughway.net.fetch import fetch
from throughway.net.netlink import NetworkMonitor, NetworkState, sweep_host_routes
from throughway.net.registration import Registration
from throughway.net.tls import client_context
from throughway.proto.iphttps.client import State

SLEEP_INTERVAL = 1.0
"""Seconds between two looks at the clocks, and the shortest sleep that counts as one."""
LOOK_INTERVAL = 15.0
"""Seconds between two looks at everything, in case an event was lost."""
IPSEC_RETRY = 2.0
"""Seconds after which charon is started again when it could not be."""


class Access:
    """Location, names, link and tunnels of a client, kept in step with each other.

    ``on_infrastructure()`` is called whenever the infrastructure tunnel was seen to be up.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        tracker: Tracker,
        *,
        ccache: Path,
        on_infrastructure: Callable[[], None] = lambda: None,
        on_bug: Callable[[str, BaseException], None],
    ) -> None:
        self._config = config
        self._log = log.logger("client")
        self._tracker = tracker
        self._policy = policy
        self._ccache = ccache
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
        self._ipsec = ClientIPsec(
            config,
            policy,
            on_change=self._wake,
            on_failure=self._tunnel_failed,
            on_daemon=self._charon_changed,
        )
        self._where = Whereabouts(
            policy.nls_urls, self._probe, self._location_changed, self._probed
        )
        self._forced = Forced(config, self._proxy_used)
        self._registrar = Registrar(config, policy, self._registered)
        self._monitor = NetworkMonitor(self._network_changed, self._transports.devices)
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kernel_esp = False
        self._closed: firewall.ClientFirewall | None = None
        self._drawn_at = 0.0
        """When it was last seen to that the lines stand."""
        self._located = False
        self._carrier: TransportKind | None = None
        """The transport that the log has."""
        self._raised: tuple[str, int] | None = None
        """Address and number of the way over which the infrastructure tunnel was asked for."""
        self._raised_for = ""
        """The user for whom the intranet tunnel was asked for."""
        self._told: dict[str, TunnelState] = {}
        """The states of the tunnels that the log has."""

    async def start(self, user: User | None) -> None:
        """Hold the intranet back first, then bring everything up."""
        self._user = user
        self._define_words()
        sweep_host_routes()  # routes that a killed daemon has left would lead tunnels astray
        self._close(True)
        await self._forced.update(self._policy)
        support = await asyncio.to_thread(esp.detect_esp, self._config.esp)
        if support.mode is ESPMode.KERNEL:
            self._kernel_esp = True
            self._close(True)
        await self._names.start()
        self._tracker.ok(Component.NAMES, f"the stub serves on {self._config.stub_address}")
        self._keep(self._start_ipsec())
        self._keep(self._watch_network())
        self._keep(self._watch_sleep())
        self._keep(self._registrar.run())
        self._keep(self._reconcile_forever())

    def _define_words(self) -> None:
        """Put this deployment's names into the commands that the catalogue tells people."""
        policy, url = self._policy, urlsplit(self._policy.iphttps_url)
        servers = [server for rule in policy.nrpt for server in rule.servers]
        self._tracker.define(
            INTERFACE=self._config.interface,
            HOST=url.hostname or "",
            PORT=str(url.port or 443),
            ENDPOINT=policy.infrastructure.endpoint,
            REALM=policy.kerberos_realm,
            POLICY_URL=policy.policy_url,
            NLS_URL=policy.nls_urls[0] if policy.nls_urls else "NLS_URL",
            DNS=servers[0] if servers else "DNS",
            CERTIFICATE=str(self._config.certificate),
            KEY=str(self._config.key),
            COMPUTER=self._config.identity,
        )

    async def stop(self) -> None:
        """Take everything down and leave the computer as it was found."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # From the last to the first; what one part fails at must not keep the others from it.
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._close, False)
            stack.push_async_callback(self._forced.close)
            stack.push_async_callback(self._names.close)
            stack.push_async_callback(self._transports.stop)
            stack.push_async_callback(self._ipsec.stop)
            stack.push_async_callback(self._monitor.close)
            stack.push_async_callback(self._where.close)

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy: everything that it changes follows."""
        self._policy = policy
        self._define_words()
        await self._forced.update(policy)
        if self._closed is not None:
            self._hold_back()  # prefixes that are new here, before their names are
        self._names.update_policy(policy)
        self._where.set_urls(policy.nls_urls)
        await self._transports.update_policy(policy)
        await self._ipsec.update_policy(policy)
        self._registrar.update_policy(policy)
        self._wake()

    async def set_user(self, user: User | None) -> None:
        """Take another user, or the same one with a new ticket, or nobody."""
        former, self._user = self._user, user
        self._raised_for = ""
        if former is not None and former != user:
            await self._ipsec.down(INTRANET)
        self._tracker.succeeded("tunnel-intranet")
        self._wake()

    def refresh(self) -> None:
        """Look at everything again and try again at once."""
        self._names.network_changed()
        self._where.refresh()
        self._transports.refresh()
        self._ipsec.hurry()
        self._wake()

    async def _start_ipsec(self) -> None:
        while True:
            try:
                await self._ipsec.start()
            except IPsecError as error:
                self._tracker.report(error, attempt="ipsec")
                await asyncio.sleep(IPSEC_RETRY)
            else:
                self._wake()
                return

    # What should hold, and the steps towards it

    def _wake(self) -> None:
        self._woken.set()

    async def _reconcile_forever(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._redraw()
                await self._ipsec.refresh()  # an event of charon's may be lost
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
            infrastructure_up=self._tunnel(INFRASTRUCTURE).state is TunnelState.UP,
            intranet_up=self._tunnel(INTRANET).state is TunnelState.UP,
            user=self._user.principal if self._user is not None else "",
        )

    async def _reconcile(self, plan: Wanted) -> None:
        # Names first: they cannot fail, and none must go astray because something else does.
        self._names.set_situation(effective=plan.names, intranet=self._way_to_names())
        if plan.fail_closed or self._closed is not None:
            self._close(plan.fail_closed)
        if not plan.infrastructure:
            await self._release_tunnels()
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
        if plan.infrastructure and self._ipsec.running:
            self._raise_infrastructure()
        if plan.intranet and self._ipsec.running:
            assert self._user is not None
            self._raise_intranet(self._user)
        self._settle_tunnels()
        self._register_name()

    def _register_name(self) -> None:
        """Let managers inside find this computer, before any user has logged on."""
        if self._where.location is Location.INSIDE:
            self._registrar.want(inside_address(self._policy))
        elif self._tunnel(INFRASTRUCTURE).state is TunnelState.UP and self._transports.address:
            self._registrar.want((self._transports.address,))
        else:
            self._registrar.rest()

    def _registered(self, registration: Registration, error: ThroughwayError | None) -> None:
        problem = find("client-name-not-registered")
        if error is not None:
            self._log.warning("name not registered", name=registration.name, reason=str(error))
            self._tracker.set(problem, str(error))
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
        state = self._tunnel(INFRASTRUCTURE).state
        coming = state is TunnelState.DOWN and self._transports.coming
        return TunnelState.CONNECTING if coming else state

    def _close(self, closed: bool) -> None:
        """Hold intranet prefixes back, or let them be."""
        if not closed:
            firewall.open_client()
            self._closed = None
            self._tracker.disable(Component.FIREWALL, "inside: nothing is held back")
            return
        policy = self._policy
        wall = firewall.ClientFirewall(
            prefixes=policy.intranet.prefixes + policy.infrastructure.prefixes,
            exempt=(policy.infrastructure.endpoint, policy.intranet.endpoint),
            tunnel_interface=TUNNEL_INTERFACE,
            kernel_esp=self._kernel_esp,
            everything=policy.transports.force_tunnel,
            relay=self._forced.relay,
        )
        if wall != self._closed:
            firewall.close_client(wall)
            self._closed, self._drawn_at = wall, time.monotonic()
        what = "everything" if wall.everything else "intranet prefixes"
        self._tracker.ok(Component.FIREWALL, f"{what} only through the tunnels")

    def _hold_back(self) -> None:
        """Close now, whatever step is under way: this may be another network already."""
        self._names.set_situation(effective=True, intranet=self._way_to_names())
        try:
            self._close(True)
        except (ThroughwayError, OSError) as error:
            self._tracker.set(find("firewall-rules-missing"), str(error), attempt="reconcile")

    async def _redraw(self) -> None:
        """Draw the lines again when another program has wiped them: `nft flush ruleset`."""
        wall, now = self._closed, time.monotonic()
        if wall is None or now < self._drawn_at + LOOK_INTERVAL:
            return
        self._drawn_at = now
        stands = await asyncio.to_thread(firewall.client_closed, wall)
        if not stands and self._closed is wall:
            self._log.warning("another program has removed our firewall rules: made again")
            firewall.close_client(wall)

    async def _release_tunnels(self) -> None:
        if self._raised is not None:
            for name in (INTRANET, INFRASTRUCTURE):
                await self._ipsec.down(name)
            self._raised, self._raised_for = None, ""
        if self._where.location is Location.INSIDE:
            self._tracker.disable(Component.IPSEC, "inside: not needed")

    def _raise_infrastructure(self) -> None:
        """Ask for the tunnel once for each address and link; it sees to itself from then on.

        A new link may lead to a gateway that was restarted and has forgotten the tunnels.
        """
        way = self._transports.way
        if way != self._raised:
            self._raised = way
            self._attempt(self._ipsec.up_infrastructure(way[0], renew=True))

    def _raise_intranet(self, user: User) -> None:
        if user.principal != self._raised_for:
            self._raised_for = user.principal
            self._attempt(self._ipsec.up_intranet(user.principal, self._token))

    def _attempt(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Start an attempt; its failures come by ``on_failure``, and it repeats itself."""

        async def tried() -> None:
            with contextlib.suppress(ThroughwayError):
                await attempt

        self._keep(tried())

    async def _token(self) -> bytes:
        policy = self._policy
        return await kerberos.make_token_apart(
            self._ccache, policy.kerberos_service, realm=policy.kerberos_realm
        )

    def _tunnel(self, name: str) -> TunnelStatus:
        return next(tunnel for tunnel in self._ipsec.tunnels() if tunnel.name == name)

    # What the parts tell

    async def _watch_network(self) -> None:
        """Follow the network; a mistake somewhere must not make the client blind for good."""
        while True:
            try:
                await self._monitor.run()
            except Exception as error:  # of the kernel's answers or of whoever heard of them
                self._on_bug("watching the network", error)
            await asyncio.sleep(IPSEC_RETRY)

    async def _watch_sleep(self) -> None:
        """Notice that the computer was asleep: it may wake up elsewhere, and no timer has run."""
        asleep = _asleep()
        while True:
            await asyncio.sleep(SLEEP_INTERVAL)
            before, asleep = asleep, _asleep()
            if asleep > before + SLEEP_INTERVAL and self._located:
                self._log.info("woke up", asleep=f"{asleep - before:.0f} s")
                self._network_changed(self._monitor.state)

    def _network_changed(self, state: NetworkState) -> None:
        self._log.info("network", connected=state.connected)
        self._names.network_changed()
        if not self._located:
            self._located = True
            self._where.start(state.connected)
            return
        self._where.network_changed(state.connected)
        self._transports.network_changed()
        self._wake()

    def _resolver_changed(self) -> None:
        """DHCP has brought other DNS servers: the network is another one, or finds more now."""
        self._log.info("local DNS servers", servers=", ".join(self._names.status().upstreams))
        self._where.network_changed(self._monitor.state.connected)
        self._transports.network_changed()

    def _dns_changed(self, answering: bool, servers: tuple[str, ...]) -> None:
        problem = find("nrpt-dns-server-unreachable")
        if answering:
            self._tracker.clear(problem)
            self._tracker.ok(Component.DOMAIN, f"{', '.join(servers)} answers")
        else:
            self._tracker.set(problem, ", ".join(servers))

    def _location_changed(self, location: Location, reason: str) -> None:
        self._log.info("location", location=str(location), reason=reason)
        if location is not Location.UNKNOWN:
            self._tracker.ok(Component.LOCATION, f"{location}: {reason}")
        if location is not Location.INSIDE:
            self._hold_back()
        self._wake()

    def _probed(self, url: str, error: ThroughwayError | None) -> None:
        """A location server that answers with a bad certificate strands clients inside."""
        problem = find("nls-certificate-invalid")
        if isinstance(error, TransportError) and "cert" in error.problem:
            self._tracker.set(problem, f"{url}: {error}", key=url)
        else:
            self._tracker.clear(problem, key=url)

    async def _probe(self, url: str) -> None:
        context = client_context(anchors=self._policy.trust_anchors)
        await fetch(url, tls=context, resolve=self._names.resolve_local, mark=firewall.MARK)

    def _link_changed(self, state: State, error: TransportError | None) -> None:
        self._log.info("IP-HTTPS", state=str(state), reason=str(error or "") or None)
        if error is not None:
            self._tracker.report(self._or_no_network(error), attempt="link")
        elif state is State.LINK_UP:
            self._tracker.succeeded("link")
            self._tracker.ok(Component.IPHTTPS, f"up to {self._policy.iphttps_url}")
            self._tracker.ok(Component.INTERNET, "the gateway answers")
        self._wake()

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
        if self._transports.misled is not None:
            self._tracker.report(self._transports.misled, attempt="route")
        else:
            self._tracker.succeeded("route")
        self._wake()

    def _settle_transport(self, kind: TransportKind | None) -> None:
        """Say of IP-HTTPS that it is not needed while a better transport carries."""
        if kind is None:
            return
        for attempt in ("link", *TransportKind):
            self._tracker.succeeded(attempt)
        self._tracker.ok(Component.INTERNET, "the gateway answers")
        if kind is not TransportKind.IPHTTPS:
            self._tracker.disable(Component.IPHTTPS, f"not needed: {kind} carries the tunnels")
        else:
            self._tracker.ok(Component.IPHTTPS, f"up to {self._policy.iphttps_url}")

    def _or_no_network(self, error: TransportError) -> TransportError:
        """Without a network nothing beyond it is to blame: no name, no gateway, no firewall."""
        if not self._located or self._monitor.state.connected:
            return error
        return TransportError(error.stage, "there is no network", problem="internet-down")

    def _tunnel_failed(self, name: str, reason: str, problem: str) -> None:
        self._log.warning("tunnel failed", tunnel=name, reason=reason, problem=problem or None)
        error = IPsecError(reason, problem=problem or f"ipsec-{name}-tunnel-down")
        self._tracker.report(error, attempt=f"tunnel-{name}")

    def _charon_changed(self, reason: str) -> None:
        down = find("ipsec-daemon-down")
        if reason:
            self._log.error("charon ended", reason=reason)
            self._tracker.set(down, reason, attempt="ipsec")
        else:
            self._tracker.succeeded("ipsec")
            self._tracker.clear(down)
        self._wake()

    def _settle_tunnels(self) -> None:
        """Tell what the tunnels are; take back what was said against those that are up."""
        for name in (INFRASTRUCTURE, INTRANET):
            tunnel = self._tunnel(name)
            told = self._told.get(name, TunnelState.DOWN)
            if tunnel.state is not told:
                self._told[name] = tunnel.state
                if told is TunnelState.UP and name == INFRASTRUCTURE:
                    # The link may be dead too and would find out later: ask for a sign of life.
                    self._transports.network_changed()
                account = tunnel.account or None
                self._log.info("tunnel", tunnel=name, state=str(tunnel.state), account=account)
            if tunnel.state is TunnelState.UP:
                self._tracker.succeeded(f"tunnel-{name}")
        if self._tunnel(INFRASTRUCTURE).state is TunnelState.UP:
            self._tracker.ok(Component.IPSEC, self._esp())
            self._on_infrastructure()

    async def snapshot(self) -> ClientSnapshot:
        """Return the whole client."""
        await self._ipsec.refresh()
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
                infrastructure=self._tunnel(INFRASTRUCTURE).state,
                intranet=self._tunnel(INTRANET).state,
                names_effective=names.effective,
                user=user,
                problems=problems,
            ),
            location=self._where.location,
            location_detail=self._where.reason,
            transport=str(self._transports.chosen or ""),
            transports=self._transports.status(),
            link=link,
            esp=self._esp(),
            tunnels=self._ipsec.tunnels(),
            names=names,
            user=user,
            policy_deployment=policy.deployment,
            policy_version=policy.version,
            policy_expires_at=float(policy.expires_at),
            kerberos_realm=policy.kerberos_realm,
            components=self._tracker.components(),
            problems=problems,
        )

    def _esp(self) -> str:
        support = self._ipsec.esp
        if support is None:
            return ""
        who = "kernel" if support.mode is ESPMode.KERNEL else "kernel-libipsec (user space)"
        return f"{who}: {support.reason}"

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """The one catch-all: what no part has foreseen is made visible, and the rest goes on."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._on_bug("a task of the client", error)


def _asleep() -> float:
    """Return how long the computer has slept since it was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
