"""The gateway daemon: IP-HTTPS, router, IPsec endpoints, authoriser and policy server as one.

Everything it makes in the kernel either dies with it (TUN device, its addresses, charon) or is
replaced whole at the next start (nftables), so a kill -9 leaves nothing behind that hurts.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

from throughway import __version__
from throughway.catalogue import find
from throughway.control import lifecycle, mending
from throughway.control.codec import JSON, to_json
from throughway.control.server import ControlServer, Request, require_owner, unknown_command
from throughway.gateway import routes, settings
from throughway.gateway.access import AccessControl
from throughway.gateway.audit import audit_of
from throughway.gateway.client_lists import watch_lists
from throughway.gateway.codes import Codes
from throughway.gateway.health import HealthAuthority
from throughway.gateway.ipsec import GatewayIPsec
from throughway.gateway.kdc import KDCProxyProcess
from throughway.gateway.metrics import figures
from throughway.gateway.nat64 import Translation
from throughway.gateway.operations import Parts, operations
from throughway.gateway.own_revocation import OwnRevocation
from throughway.gateway.publish import Publishing
from throughway.gateway.reasons import ReasonsServer, reasons_address, start_reasons
from throughway.gateway.refusals import MISMATCH
from throughway.gateway.revocation import make_lists
from throughway.gateway.sixtofour import SixToFourServer
from throughway.gateway.telling import Telling
from throughway.gateway.teredo import TeredoGateway
from throughway.gateway.transition import Transition
from throughway.gateway.wall import Wall
from throughway.gateway.watch import CertificateWatch
from throughway.gateway.words import words
from throughway.gateway.workers import State, Workers, interfaces
from throughway.health import log
from throughway.health.checking import Checker
from throughway.health.figures import Kept
from throughway.health.tracker import Tracker
from throughway.model.config import ESPMode, GatewayConfig
from throughway.model.errors import ConfigError, IPsecError, ThroughwayError
from throughway.model.findings import Component
from throughway.model.status import (
    GatewaySnapshot,
    SessionStatus,
)
from throughway.net import firewall, privileges
from throughway.net.descriptors import Spare
from throughway.net.esp import describe_esp, local_addresses
from throughway.net.listeners import endpoints_of
from throughway.net.log_outputs import log_outputs
from throughway.net.metrics_server import MetricsServer
from throughway.net.tun import add_address
from throughway.wire.exposition import Family
from throughway.wire.ipv6 import parse_address

COMPONENTS = (
    *(Component.GATEWAY, Component.IPHTTPS, Component.SIXTOFOUR, Component.TEREDO),
    *(Component.IPSEC, Component.AUTHORISER, Component.DOMAIN, Component.CERTIFICATES),
    *(Component.POLICY, Component.FIREWALL, Component.NAMES, Component.LOCATION, Component.HOST),
)
"""The rows of the gateway's Operations Status."""
REFRESH_TIME = 1.0
"""Seconds that a status waits for charon's view of the tunnels."""
IPSEC_RETRY = 5.0
"""Seconds after which IPsec is started again when it could not be."""

FIXED = (
    *("users", "directory", "radius", "kdc_proxy", "sixtofour", "teredo", "nat64", "audit"),
    *("state_directory", "runtime_directory", "control_socket"),
)
"""Tables and settings that are read only when the gateway starts, beside those of the parts."""


class GatewayDaemon:
    """One gateway, from :meth:`start` to :meth:`stop`."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = self._started = config
        self._needs_restart: tuple[str, ...] = ()
        self._log = log.logger("gateway")
        self._tracker = Tracker(time.time, COMPONENTS, inside=True)
        self._control = ControlServer(config.control_socket, self._command)
        self._alone = False
        """Whether no other gateway runs here: else what is in the kernel is that one's."""
        self._linked = False
        self._workers: Workers | None = None
        self._sixtofour: SixToFourServer | None = None
        self._teredo: TeredoGateway | None = None
        self._transition = Transition(self._tracker)
        self._publishing = Publishing(self._tracker)
        self._metrics: MetricsServer | None = None
        self._audit = audit_of(
            config, self._tracker, ipsec=lambda: self._ipsec, sessions=self._sessions
        )
        self._telling = Telling(
            self._tracker, self._audit, self._place_endpoints, self._look_at_descriptors
        )
        self._tracker.subscribe(self._telling.changed)
        self._wall = Wall(
            config.runtime_directory,
            self._tracker,
            self._wanted_firewall,
            lambda: self._ipsec.outer_addresses,
            lambda: self._ipsec.look_at_routes(),
        )
        self._spare = Spare()
        self._access = AccessControl(config, self._tracker, self._telling.cut)
        self._health = HealthAuthority(config, self._telling.cut)
        self._reasons: ReasonsServer | None = None
        self._kdc_proxy = KDCProxyProcess(config, self._tracker, self._access.by_ticket)
        self._ipsec = self._make_ipsec(config)
        self._health.bind(self._ipsec, self._keep)
        self._codes = Codes(
            config, self._ipsec.tunnels, self._telling.refused, self._audit.code_refused
        )
        self._translation = Translation(
            config.nat64, config.runtime_directory, self._tracker, self._encrypts_in_kernel
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._certificates = CertificateWatch(self._tracker, self.reload)
        self._own_revocation = OwnRevocation(config.state_directory, self._tracker)
        self._checker = Checker(self._tracker, time.time, on_bug=self.failed)
        self._one_reload = asyncio.Lock()
        """A signal and commands may come at once, and two would be in each other's way."""

    # The daemon's life

    async def start(self) -> None:
        """Bring everything up; what can be tried again later does not end the daemon."""
        config = self._config
        await self._control.start()
        self._alone = True
        privileges.join_group_of(privileges.IKE_ACCOUNT)
        privileges.drop(privileges.GATEWAY)
        for directory in (config.state_directory, config.runtime_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._audit.start()
        self._wall.look()
        self._wall.rise()  # before anything is forwarded
        self._open_links()
        await self._start_ipsec()
        self._wall.rise()  # now that it is known who does ESP
        await self._access.start(self._ipsec)
        await self._kdc_proxy.start()
        await self._translation.start()
        await self._start_workers()
        self._start_sixtofour()
        self._start_teredo()
        await self._publishing.start(config.publish)
        await self._start_metrics()
        self._start_reasons(config)
        await self._codes.start()
        self._tracker.ok(Component.GATEWAY, f"version {__version__}")
        self._define()
        self._certificates.configure(config)
        self._own_revocation.configure(config)
        self._keep(self._certificates.run())
        self._keep(self._own_revocation.run())
        self._keep(self._wall.watch())
        self._keep(self._health.watch(self.reload))
        if self._workers is not None:
            reload = self._workers.reload
            self._keep(watch_lists(lambda: self._config.iphttps, reload, self._tracker))
        self._checker.start(operations(self._parts()))
        self._log.info("gateway serves", url=config.iphttps.url, esp=self._esp())

    def _start_reasons(self, config: GatewayConfig) -> None:
        who = self._access.withheld
        self._reasons = start_reasons(config, self._audit, self._tracker, self._health, who)

    async def reload(self) -> None:
        """Read the configuration anew; sessions and tunnels stay where they can."""
        async with self._one_reload:
            self._needs_restart = await self._reload()

    async def _reload(self) -> tuple[str, ...]:
        """Return the settings that differ from those it runs with until a restart."""
        config = settings.load(self._config.file)
        fixed = self._workers.reload(config.iphttps) if self._workers is not None else ()
        fixed += await self._access.reload(config, self._ipsec)
        fixed += tuple(k for k in FIXED if getattr(config, k) != getattr(self._started, k))
        if config.metrics != self._config.metrics:
            await self._stop_metrics()
        self._config = config
        log.set_level(config.log.level)
        self._health.reload(config)
        await self._publishing.reload(config.publish)
        await self._start_metrics()
        if self._reasons is not None:
            await self._reasons.stop()
        self._start_reasons(config)
        self._wall.rise()
        self._certificates.configure(config)
        self._own_revocation.configure(config)
        self._define()
        self._tracker.clear(find("configuration-refused"))
        # A person has been here; if it goes on, it is told again with the next attempt.
        self._tracker.clear(find(MISMATCH))
        self._tracker.clear(find("connection-limit-reached"))
        self._log.info("configuration reloaded", needs_restart=", ".join(fixed) or None)
        return fixed

    async def stop(self) -> None:
        """End every session in order; the kernel is left as it was found."""
        if not self._alone:
            return
        await self._checker.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # From the last to the first; what one part fails at must not keep the others from it.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._control.close)
            stack.push_async_callback(self._audit.close)
            stack.callback(lambda: self._wall.leave(linked=self._linked))
            if self._workers is not None:
                stack.push_async_callback(self._workers.close)
            if self._sixtofour is not None:
                stack.push_async_callback(self._sixtofour.stop)
            if self._teredo is not None:
                stack.push_async_callback(self._teredo.stop)
            stack.push_async_callback(self._ipsec.stop)
            stack.push_async_callback(self._access.stop)
            stack.push_async_callback(self._kdc_proxy.stop)
            stack.push_async_callback(self._translation.stop)
            stack.push_async_callback(self._publishing.stop)
            stack.push_async_callback(self._codes.close)
            stack.push_async_callback(self._stop_metrics)
            if self._reasons is not None:
                stack.push_async_callback(self._reasons.stop)
        self._log.info("gateway has ended")

    def failed(self, what: str, error: BaseException | None) -> None:
        """Make a failure visible that nothing else has caught."""
        self._telling.failed(what, error)

    # The parts

    def _make_ipsec(self, config: GatewayConfig) -> GatewayIPsec:
        return GatewayIPsec(
            config.ipsec,
            self._access.computers,
            config.users,
            radius=config.radius,
            realm=config.directory.realm if config.directory is not None else "",
            gate=self._health.guarding(self._access),
            directory=config.runtime_directory / "ipsec",
            lists=make_lists(
                config.state_directory, self._tracker, lambda: self._config.ipsec.revocation
            ),
            on_failure=self._telling.refused,
            on_cut=self._telling.cut,
            on_daemon=self._charon_changed,
            on_event=self._audit.ipsec_event,
            on_refused=self._audit.refused,
        )

    def _open_links(self) -> None:
        """Make the links' devices; endpoints that the machine does not have live on the first."""
        config = self._config
        told = tuple(f"{endpoint}/128" for endpoint in self._endpoints())
        self._workers = Workers(config.iphttps, self._telling, routes=told, file=str(config.file))
        self._linked = True
        self._workers.open()
        if config.sixtofour is not None:
            self._sixtofour = SixToFourServer(config.sixtofour, self._endpoints(), self._transition)
        if config.teredo is not None:
            self._teredo = TeredoGateway(config.teredo, self._endpoints(), self._transition)
        self._place_endpoints()

    def _place_endpoints(self) -> tuple[str, ...]:
        """Give the machine the endpoints that it does not have; return them."""
        present = {str(address) for address in local_addresses()}
        missing = tuple(endpoint for endpoint in self._endpoints() if endpoint not in present)
        for endpoint in missing:
            add_address(self._devices[0], parse_address(endpoint), 128)
        return missing

    def _define(self) -> None:
        """Tell the tracker what the catalogue's commands are about."""
        self._tracker.define(**words(self._config))

    def _endpoints(self) -> tuple[str, str]:
        ipsec = self._config.ipsec
        return ipsec.infrastructure_endpoint, ipsec.intranet_endpoint

    @property
    def _devices(self) -> tuple[str, ...]:
        """The links' devices: a reload may have read other names, which wait for a restart."""
        workers = self._workers
        return workers.interfaces if workers else interfaces(self._config.iphttps)

    def _parts(self) -> Parts:
        """Return what Operations Status looks at."""
        workers, sixtofour, teredo = self._workers, self._sixtofour, self._teredo
        return Parts(
            config=lambda: self._config,
            devices=lambda: self._devices,
            ike=self._ipsec,
            workers=lambda: workers.status() if workers is not None else (),
            sixtofour=lambda: sixtofour.status() if sixtofour is not None else None,
            teredo=lambda: teredo.status() if teredo is not None else None,
            translation=self._translation.status,
            lists=lambda: self._ipsec.lists,
            descriptors=self._spare.look,
            endpoints=self._place_endpoints,
        )

    def _look_at_descriptors(self) -> None:
        self._spare.release()  # for whoever asks how things are
        self._checker.soon("descriptors")

    def _encrypts_in_kernel(self) -> bool:
        return self._ipsec.esp is not None and self._ipsec.esp.mode is ESPMode.KERNEL

    def _wanted_firewall(self, routes_others: bool) -> firewall.GatewayFirewall:
        others = self._sixtofour.interfaces if self._sixtofour is not None else ()
        if self._config.teredo is not None:
            others += (self._config.teredo.interface,)
        return firewall.GatewayFirewall(
            interfaces=(*self._devices, *others),
            kernel_esp=self._encrypts_in_kernel(),
            routes_others=routes_others,
            reasons=reasons_address(self._config),
        )

    async def _start_ipsec(self) -> None:
        try:
            await self._ipsec.start()
        except IPsecError as error:
            self._tracker.report(error, attempt="ipsec")
            self._log.error("IPsec cannot start", reason=str(error))
            self._keep(self._retry_ipsec())

    async def _retry_ipsec(self) -> None:
        while True:
            await asyncio.sleep(IPSEC_RETRY)
            try:
                await self._ipsec.stop()
                await self._ipsec.start()
            except ConfigError as error:  # a file may be absent just now
                self._tracker.set(find("configuration-refused"), str(error), attempt="ipsec")
            except IPsecError as error:
                self._tracker.report(error, attempt="ipsec")
            else:
                return

    async def _start_workers(self) -> None:
        assert self._workers is not None
        await self._workers.start()
        listen = endpoints_of(self._config.iphttps)
        listening = ", ".join(f"{address} port {port}" for address, port in listen)
        count = len(self._workers.interfaces)
        self._tracker.ok(
            Component.IPHTTPS,
            f"{count} worker{'s' if count > 1 else ''}, listening on {listening}",
        )

    def _start_sixtofour(self) -> None:
        if self._sixtofour is None:
            self._tracker.disable(Component.SIXTOFOUR, "no [sixtofour] is configured")
        else:
            self._sixtofour.start()

    def _start_teredo(self) -> None:
        if self._teredo is None:
            self._tracker.disable(Component.TEREDO, "no [teredo] is configured")
        else:
            self._teredo.start()

    async def _start_metrics(self) -> None:
        if self._config.metrics is not None and self._metrics is None:
            metrics = MetricsServer(self._config.metrics.listen, self._figures)
            await metrics.start()
            self._metrics = metrics

    async def _figures(self) -> Iterable[Family]:
        kept = Kept(self._tracker.deadlines, self._audit.outcomes)
        return figures(await self.snapshot(sessions=False), kept)

    async def _stop_metrics(self) -> None:
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            await metrics.close()

    # What the parts tell

    def _charon_changed(self, reason: str) -> None:
        down = find("ipsec-daemon-down")
        if reason:
            self._log.error("charon ended", reason=reason)
            self._audit.charon_ended(reason)
            self._tracker.set(down, reason, attempt="ipsec")
            return
        if self._tracker.holds(down) and self._workers is not None:
            # Clients would believe in their tunnels for ten seconds more; over a new link they
            # ask for them anew.
            self._workers.drop_all("charon was started again and knows no tunnels")
        self._tracker.succeeded("ipsec")
        self._tracker.clear(down)
        self._tracker.ok(Component.IPSEC, self._esp())
        if self._config.users is None and self._config.radius is None:
            self._tracker.disable(Component.AUTHORISER, "no [users] are configured")
        elif self._config.users is None:
            self._tracker.ok(Component.AUTHORISER, "computer accounts by [radius]")
        else:
            self._tracker.ok(Component.AUTHORISER, f"tickets for {self._config.users.service}")

    # What is asked

    async def _command(self, request: Request) -> JSON:
        match request.command.name:
            case "status":
                return to_json(await self.snapshot())
            case "look":
                require_owner(request)
                await self._checker.look()
                return None
            case "reload":
                require_owner(request)
                await self._reload_for(request)
                return {"needs_restart": list(self._needs_restart)}
            case mending.COMMAND:
                return await mending.mend(request, self._mends())
        raise unknown_command(request)

    def _mends(self) -> dict[str, mending.Mend]:
        """Return the parts that can be made anew while the others go on."""
        mends: dict[str, mending.Mend] = {
            "ike": self._ipsec.restart,
            "nat64": self._translation.restart,
            "certificates": self._certificates.renew_now,
        }
        if self._workers is not None:
            mends |= {"workers": self._workers.restart_silent, "routes": self._republish}
        return mends

    async def _republish(self) -> str:
        return routes.republish(self._workers.status() if self._workers is not None else ())

    async def _reload_for(self, request: Request) -> None:
        try:
            await self.reload()
        except ThroughwayError as error:
            self.failed(f"uid {request.peer.uid} asked for a configuration with errors", error)
            raise

    async def snapshot(self, *, sessions: bool = True) -> GatewaySnapshot:
        """Return the whole gateway, the single sessions only where they are asked for."""
        # A charon that hangs is told of by its check; the rest is still to be seen.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_TIME):
                await self._ipsec.refresh()
        self._publishing.look()
        workers = self._workers
        opened = await self._sessions(asked=sessions)
        return GatewaySnapshot(
            version=__version__,
            taken_at=time.time(),
            state=self._tracker.state(),
            iphttps_state=self._iphttps_state(),
            url=self._config.iphttps.url,
            esp=self._esp(),
            sessions=opened,
            tunnels=self._access.shown(self._ipsec.tunnels()),
            components=self._tracker.components(),
            checks=self._checker.status(),
            problems=self._tracker.current(),
            refusals=tuple(self._telling.refusals),
            pump=workers.pump if workers is not None else "",
            workers=workers.status() if workers is not None else (),
            sixtofour=await self._sixtofour.report() if self._sixtofour is not None else None,
            teredo=await self._teredo.report() if self._teredo is not None else None,
            translation=self._translation.status(),
            health=self._health.status(),
        )

    async def _sessions(self, *, asked: bool = True) -> tuple[SessionStatus, ...]:
        return await self._workers.report(sessions=asked) if self._workers is not None else ()

    def _iphttps_state(self) -> str:
        """Say it in the words of [MS-IPHTTPS] 3.2.1."""
        workers = self._workers.status() if self._workers is not None else ()
        serving = any(worker.state == State.SERVING for worker in workers)
        return "listen" if serving else "stopped"

    def _esp(self) -> str:
        return describe_esp(self._ipsec.esp)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def run(config_path: Path) -> int:
    """Run the gateway until SIGTERM; return the exit code."""
    log.configure()
    logger = log.logger("gateway")

    def report(what: str, _error: BaseException | None) -> None:
        logger.error("gateway cannot run", reason=what)

    def make() -> GatewayDaemon:
        config = settings.load(config_path)
        log.configure(config.log.level, log_outputs(config.log, "gateway"))
        return GatewayDaemon(config)

    return lifecycle.run(make, report)
