"""The gateway daemon: IP-HTTPS, router, IPsec endpoints, authoriser and policy server as one.

Everything it makes in the kernel either dies with it (TUN device, its addresses, charon) or is
replaced whole at the next start (nftables), so a kill -9 leaves nothing behind that hurts.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from throughway import __version__
from throughway.catalogue import find
from throughway.control import lifecycle
from throughway.control.codec import JSON, to_json
from throughway.control.server import ControlServer, Request, require_owner, unknown_command
from throughway.gateway import settings
from throughway.gateway.ipsec import GatewayIPsec
from throughway.gateway.metrics import MetricsServer
from throughway.gateway.nat64 import Translation
from throughway.gateway.publish import PolicyServer
from throughway.gateway.refusals import MISMATCH
from throughway.gateway.sixtofour import SixToFourServer
from throughway.gateway.teredo import TeredoGateway
from throughway.gateway.watch import look_at_dates
from throughway.gateway.workers import State, Workers, interfaces
from throughway.health import log
from throughway.health.tracker import Change, Tracker
from throughway.model.config import ESPMode, GatewayConfig
from throughway.model.errors import ConfigError, IPsecError, ThroughwayError, TransportError
from throughway.model.findings import Component
from throughway.model.status import (
    ComponentState,
    GatewaySnapshot,
    RefusedClient,
    SessionStatus,
    SixToFourServerStatus,
    TeredoServerStatus,
    WorkerStatus,
)
from throughway.net import firewall, privileges
from throughway.net.esp import local_addresses
from throughway.net.process import write_private
from throughway.net.tun import add_address, disable_forwarding, forwards
from throughway.proto.iphttps.http import parse_url
from throughway.wire.ipv6 import parse_address

COMPONENTS = (
    Component.GATEWAY,
    Component.IPHTTPS,
    Component.SIXTOFOUR,
    Component.TEREDO,
    Component.IPSEC,
    Component.AUTHORISER,
    Component.CERTIFICATES,
    Component.POLICY,
    Component.FIREWALL,
    Component.NAMES,
)
"""The rows of the gateway's Operations Status."""
IPSEC_RETRY = 5.0
"""Seconds after which IPsec is started again when it could not be."""
FIREWALL_INTERVAL = 5.0
"""Seconds between two looks whether the firewall stands."""
CERTIFICATE_INTERVAL = 3600.0
"""Seconds between two looks at the certificates' dates."""
RESTART_SHOWN = 60.0
"""Seconds for which a worker's restart is told when it serves again."""
LIMIT_SHOWN = 60.0
"""Seconds for which a limit that was reached is told."""
REFUSALS_SHOWN = 20
"""Refused clients that the status remembers."""

FIXED = (
    *("users", "sixtofour", "teredo", "nat64"),
    *("state_directory", "runtime_directory", "control_socket"),
)
"""Tables and settings that are read only when the gateway starts, beside those of the parts."""


class GatewayDaemon:
    """One gateway, from :meth:`start` to :meth:`stop`."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = self._started = config
        self._needs_restart: tuple[str, ...] = ()
        self._log = log.logger("gateway")
        self._tracker = Tracker(time.time, COMPONENTS)
        self._tracker.subscribe(self._changed)
        self._control = ControlServer(config.control_socket, self._command)
        self._alone = False
        """Whether no other gateway runs here: else what is in the kernel is that one's."""
        self._routes_others = True
        self._guarded = False
        self._linked = False
        self._workers: Workers | None = None
        self._restart_timers: dict[int, asyncio.TimerHandle] = {}
        self._sixtofour: SixToFourServer | None = None
        self._teredo: TeredoGateway | None = None
        self._publisher: PolicyServer | None = None
        self._metrics: MetricsServer | None = None
        self._ipsec = self._make_ipsec(config)
        self._translation = Translation(
            config.nat64, config.runtime_directory, self._tracker, self._encrypts_in_kernel
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._dates_changed = asyncio.Event()
        self._one_reload = asyncio.Lock()
        """A signal and commands may come at once, and two would be in each other's way."""
        self._limit_timer: asyncio.TimerHandle | None = None
        self._refusals: deque[RefusedClient] = deque(maxlen=REFUSALS_SHOWN)

    # The daemon's life

    async def start(self) -> None:
        """Bring everything up; what can be tried again later does not end the daemon."""
        config = self._config
        await self._control.start()
        self._alone = True
        privileges.drop(privileges.GATEWAY)
        for directory in (config.state_directory, config.runtime_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._routes_others = self._was_router()
        self._raise_firewall()  # before anything is forwarded
        self._open_links()
        await self._start_ipsec()
        self._raise_firewall()  # now that it is known who does ESP
        await self._translation.start()
        await self._start_workers()
        self._start_sixtofour()
        self._start_teredo()
        await self._start_publisher()
        await self._start_metrics()
        self._tracker.ok(Component.GATEWAY, f"version {__version__}")
        self._define()
        self._keep(self._watch_certificates())
        self._keep(self._watch_firewall())
        self._log.info("gateway serves", url=config.iphttps.url, esp=self._esp())

    async def reload(self) -> None:
        """Read the configuration anew; sessions and tunnels stay where they can."""
        async with self._one_reload:
            self._needs_restart = await self._reload()

    async def _reload(self) -> tuple[str, ...]:
        """Return the settings that differ from those it runs with until a restart."""
        config = settings.load(self._config.file)
        fixed = self._workers.reload(config.iphttps) if self._workers is not None else ()
        fixed += await self._ipsec.reload(config.computers, config=config.ipsec)
        fixed += tuple(k for k in FIXED if getattr(config, k) != getattr(self._started, k))
        # Who listens there already goes on: a port that is given back may not be had again at once.
        if _served(config) != _served(self._config):
            await self._stop_publisher()
        if config.metrics != self._config.metrics:
            await self._stop_metrics()
        self._config = config
        await self._start_publisher()
        await self._start_metrics()
        self._raise_firewall()
        self._dates_changed.set()
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
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # From the last to the first; what one part fails at must not keep the others from it.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._control.close)
            stack.callback(self._leave_kernel)
            if self._workers is not None:
                stack.push_async_callback(self._workers.close)
            if self._sixtofour is not None:
                stack.push_async_callback(self._sixtofour.stop)
            if self._teredo is not None:
                stack.push_async_callback(self._teredo.stop)
            stack.push_async_callback(self._ipsec.stop)
            stack.push_async_callback(self._translation.stop)
            stack.push_async_callback(self._stop_publisher)
            stack.push_async_callback(self._stop_metrics)
        self._log.info("gateway has ended")

    def failed(self, what: str, error: BaseException | None) -> None:
        """Make a failure visible that nothing else has caught."""
        if isinstance(error, ThroughwayError):
            self._log.warning(what, reason=str(error))
            self._tracker.set(find("configuration-refused"), str(error))
            return
        self._log.error("bug in throughway", where=what, error=repr(error), exc_info=error)
        self._tracker.set(find("bug-in-throughway"), f"{what}: {error!r}")

    # The parts

    def _make_ipsec(self, config: GatewayConfig) -> GatewayIPsec:
        return GatewayIPsec(
            config.ipsec,
            config.computers,
            config.users,
            directory=config.runtime_directory / "ipsec",
            on_failure=self._refused,
            on_daemon=self._charon_changed,
        )

    @property
    def _marker(self) -> Path:
        """The file that says, until the next boot, that it was us who made a router."""
        return self._config.runtime_directory / "forwarding"

    def _was_router(self) -> bool:
        """Say whether the machine forwards of its own; what a killed daemon began is ours."""
        if not forwards():
            write_private(self._marker, "")
        return not self._marker.exists()

    def _leave_kernel(self) -> None:
        if self._linked and not self._routes_others:
            disable_forwarding()
            self._marker.unlink(missing_ok=True)
        if self._guarded:
            firewall.unguard_gateway()

    def _open_links(self) -> None:
        """Make the links' devices; endpoints that the machine does not have live on the first."""
        config = self._config
        routes = tuple(f"{endpoint}/128" for endpoint in self._endpoints())
        self._workers = Workers(config.iphttps, self, routes=routes, file=str(config.file))
        self._linked = True
        self._workers.open()
        if config.sixtofour is not None:
            self._sixtofour = SixToFourServer(config.sixtofour, self._endpoints(), self)
        if config.teredo is not None:
            self._teredo = TeredoGateway(config.teredo, self._endpoints(), self)
        self._place_endpoints()

    def _place_endpoints(self) -> None:
        present = {str(address) for address in local_addresses()}
        for endpoint in self._endpoints():
            if endpoint not in present:
                add_address(self._devices[0], parse_address(endpoint), 128)

    def _define(self) -> None:
        """Tell the tracker what the catalogue's commands are about."""
        config = self._config.iphttps
        url = parse_url(config.url)
        self._tracker.define(
            HOST=url.host,
            PORT=str(url.port),
            INTERFACE=config.interface,
            CERTIFICATE=str(config.certificate),
        )

    def _endpoints(self) -> tuple[str, str]:
        ipsec = self._config.ipsec
        return ipsec.infrastructure_endpoint, ipsec.intranet_endpoint

    @property
    def _devices(self) -> tuple[str, ...]:
        """The links' devices: a reload may have read other names, which wait for a restart."""
        workers = self._workers
        return workers.interfaces if workers else interfaces(self._config.iphttps)

    def _encrypts_in_kernel(self) -> bool:
        support = self._ipsec.esp
        return support is not None and support.mode is ESPMode.KERNEL

    def _raise_firewall(self) -> None:
        others = self._sixtofour.interfaces if self._sixtofour is not None else ()
        if self._config.teredo is not None:
            others += (self._config.teredo.interface,)
        wall = firewall.GatewayFirewall(
            interfaces=(*self._devices, *others),
            kernel_esp=self._encrypts_in_kernel(),
            routes_others=self._routes_others,
        )
        self._guarded = True
        firewall.guard_gateway(wall)
        self._tracker.ok(Component.FIREWALL, "only IKE, ESP and ICMPv6 enter from the link")

    async def _watch_firewall(self) -> None:
        """Raise it again when another program has wiped it: `nft flush ruleset`."""
        while True:
            await asyncio.sleep(FIREWALL_INTERVAL)
            try:
                if not await asyncio.to_thread(firewall.gateway_guarded):
                    self._log.warning("another program has removed our firewall rules: made again")
                    self._raise_firewall()
            except ThroughwayError as error:
                self._tracker.report(error, attempt="firewall")
            else:
                self._tracker.succeeded("firewall")

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
        listen = self._config.iphttps.listen
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

    async def _start_publisher(self) -> None:
        publish = self._config.publish
        if publish is None:
            self._tracker.disable(Component.POLICY, "nothing is published")
            return
        if publish.serve is not None and self._publisher is None:
            publisher = PolicyServer(publish.bundle, publish.serve)
            await publisher.start()
            self._publisher = publisher
        self._look_at_bundle()

    def _look_at_bundle(self) -> None:
        publish = self._config.publish
        if publish is None:
            return
        if publish.bundle.exists():
            self._tracker.clear(find("policy-not-built"))
            self._tracker.ok(Component.POLICY, f"{publish.bundle}")
        else:
            self._tracker.set(find("policy-not-built"), str(publish.bundle))

    async def _stop_publisher(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.close()

    async def _start_metrics(self) -> None:
        if self._config.metrics is not None and self._metrics is None:
            metrics = MetricsServer(self._config.metrics.listen, self._figures)
            await metrics.start()
            self._metrics = metrics

    async def _figures(self) -> GatewaySnapshot:
        return await self.snapshot(sessions=False)

    async def _stop_metrics(self) -> None:
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            await metrics.close()

    async def _watch_certificates(self) -> None:
        while True:
            pause = CERTIFICATE_INTERVAL
            self._dates_changed.clear()
            try:
                left = look_at_dates(self._config, self._tracker).total_seconds()
            except ConfigError as error:
                self._tracker.set(find("iphttps-no-usable-cert"), str(error))
            else:
                pause = min(pause, left + 1) if left > 0 else pause
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._dates_changed.wait()

    # What the parts tell

    def session_opened(self, session: SessionStatus) -> None:
        """Log it."""
        self._log.info(
            "session opened", worker=session.worker, session=session.id, peer=session.peer
        )

    def session_closed(self, session: SessionStatus, reason: str) -> None:
        """Log it."""
        self._log.info(
            "session closed",
            worker=session.worker,
            session=session.id,
            peer=session.peer,
            reason=reason,
            bytes_in=session.bytes_in,
            bytes_out=session.bytes_out,
        )

    def sixtofour_serves(self, status: SixToFourServerStatus) -> None:
        """Say so."""
        addresses = " and ".join(status.addresses)
        self._log.info("6to4 serves", addresses=addresses, carrier=status.carrier)
        self._tracker.clear(find("sixtofour-interface-down"))
        self._tracker.ok(Component.SIXTOFOUR, f"at {addresses}")

    def sixtofour_down(self, error: TransportError) -> None:
        """Make it visible; it is being tried again."""
        self._log.error("6to4 is down", reason=str(error))
        self._tracker.report(error)

    def teredo_serves(self, status: TeredoServerStatus) -> None:
        """Say so."""
        addresses = " and ".join(status.addresses)
        self._log.info("Teredo serves", addresses=addresses, pid=status.pid)
        for code in ("teredo-server-stopped", "teredo-second-address-missing"):
            self._tracker.clear(find(code))
        self._tracker.ok(Component.TEREDO, f"at {addresses}")

    def teredo_down(self, error: TransportError) -> None:
        """Make it visible; it is being tried again."""
        self._log.error("Teredo is down", reason=str(error))
        self._tracker.report(error)

    def worker_serves(self, worker: WorkerStatus) -> None:
        """Log it; the restart is shown for a while longer."""
        self._log.info("worker serves", worker=worker.number, pid=worker.pid, link=worker.prefix)
        if worker.restarts:
            loop, key = asyncio.get_running_loop(), str(worker.number)
            self._restart_timers[worker.number] = loop.call_later(
                RESTART_SHOWN, lambda: self._tracker.clear(find("worker-restarting"), key=key)
            )

    def worker_ended(self, worker: WorkerStatus) -> None:
        """Make it visible; it is being started again."""
        if (timer := self._restart_timers.pop(worker.number, None)) is not None:
            timer.cancel()
        self._log.error("worker ended", worker=worker.number, reason=worker.last_end)
        self._tracker.set(
            find("worker-restarting"),
            f"worker {worker.number}: {worker.last_end}; restarts: {worker.restarts}",
            key=str(worker.number),
        )

    def link_mended(self, worker: WorkerStatus) -> None:
        """Log it; the endpoints may have been on that device."""
        self._log.warning("somebody changed a link: made again", interface=worker.interface)
        self._place_endpoints()

    def limit_reached(self, source: str) -> None:
        """Say so once, until nobody has come to the limit for a while; floods fill no log."""
        problem = find("connection-limit-reached")
        if not self._tracker.holds(problem):
            self._tracker.set(problem, f"{source} wanted one more")
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        loop = asyncio.get_running_loop()
        self._limit_timer = loop.call_later(LIMIT_SHOWN, self._tracker.clear, problem)

    def _refused(self, reason: str, problem: str, peer: str) -> None:
        """A client was refused: the client hears only "authentication failed", this is why."""
        self._log.warning("client refused", peer=peer, reason=reason, problem=problem)
        self._refusals.append(
            RefusedClient(at=time.time(), peer=peer, reason=reason, problem=problem)
        )
        if problem == MISMATCH:
            # Not a mistake but theft, or a computer account that was given away: a person must
            # look. A mistyped password anywhere must not turn the gateway red.
            # Once for each computer, from however many addresses it comes.
            computer = peer.partition(" (")[0]
            self._tracker.set(find(problem), f"{peer}: {reason}", key=computer)

    def _charon_changed(self, reason: str) -> None:
        down = find("ipsec-daemon-down")
        if reason:
            self._log.error("charon ended", reason=reason)
            self._tracker.set(down, reason, attempt="ipsec")
            return
        if self._tracker.holds(down) and self._workers is not None:
            # Clients would believe in their tunnels for ten seconds more; over a new link they
            # ask for them anew.
            self._workers.drop_all("charon was started again and knows no tunnels")
        self._tracker.succeeded("ipsec")
        self._tracker.clear(down)
        self._tracker.ok(Component.IPSEC, self._esp())
        if self._config.users is None:
            self._tracker.disable(Component.AUTHORISER, "no [users] are configured")
        else:
            self._tracker.ok(Component.AUTHORISER, f"tickets for {self._config.users.service}")

    def _changed(self, change: Change) -> None:
        word = "problem" if change.held else "problem is over"
        self._log.info(word, code=change.code, detail=change.detail)

    # What is asked

    async def _command(self, request: Request) -> JSON:
        match request.command.name:
            case "status":
                return to_json(await self.snapshot())
            case "reload":
                require_owner(request)
                await self._reload_for(request)
                return {"needs_restart": list(self._needs_restart)}
        raise unknown_command(request)

    async def _reload_for(self, request: Request) -> None:
        try:
            await self.reload()
        except ThroughwayError as error:
            self.failed(f"uid {request.peer.uid} asked for a configuration with errors", error)
            raise

    async def snapshot(self, *, sessions: bool = True) -> GatewaySnapshot:
        """Return the whole gateway, the single sessions only where they are asked for."""
        await self._ipsec.refresh()
        self._look_at_bundle()
        workers = self._workers
        opened: tuple[SessionStatus, ...] = ()
        if workers is not None:
            opened = await workers.report(sessions=sessions)
        return GatewaySnapshot(
            version=__version__,
            taken_at=time.time(),
            state=self._state(),
            iphttps_state=self._iphttps_state(),
            url=self._config.iphttps.url,
            esp=self._esp(),
            sessions=opened,
            tunnels=self._ipsec.tunnels(),
            components=self._tracker.components(),
            problems=self._tracker.current(),
            refusals=tuple(self._refusals),
            pump=workers.pump if workers is not None else "",
            workers=workers.status() if workers is not None else (),
            sixtofour=await self._sixtofour.report() if self._sixtofour is not None else None,
            teredo=await self._teredo.report() if self._teredo is not None else None,
            translation=self._translation.status(),
        )

    def _iphttps_state(self) -> str:
        """Say it in the words of [MS-IPHTTPS] 3.2.1."""
        workers = self._workers.status() if self._workers is not None else ()
        serving = any(worker.state == State.SERVING for worker in workers)
        return "listen" if serving else "stopped"

    def _state(self) -> ComponentState:
        return self._tracker.state()

    def _esp(self) -> str:
        support = self._ipsec.esp
        if support is None:
            return ""
        who = "kernel" if support.mode is ESPMode.KERNEL else "kernel-libipsec (user space)"
        return f"{who}: {support.reason}"

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _served(config: GatewayConfig) -> object:
    return None if config.publish is None else (config.publish.bundle, config.publish.serve)


def run(config_path: Path) -> int:
    """Run the gateway until SIGTERM; return the exit code."""
    log.configure()
    logger = log.logger("gateway")

    def report(what: str, _error: BaseException | None) -> None:
        logger.error("gateway cannot run", reason=what)

    def make() -> GatewayDaemon:
        return GatewayDaemon(settings.load(config_path))

    return lifecycle.run(make, report)
