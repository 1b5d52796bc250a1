"""DNS64 and NAT64 of a gateway: started, watched, started again, taken down.

Neither ends the gateway: what cannot be had is a problem of the catalogue and is tried again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from throughway.catalogue import find
from throughway.gateway.dns64 import DNS64
from throughway.health import log
from throughway.health.tracker import Tracker
from throughway.model.config import NAT64Config
from throughway.model.errors import ConfigError, ThroughwayError
from throughway.model.findings import Component
from throughway.model.status import TranslationStatus
from throughway.net import nat64
from throughway.net.nat64 import NAT64Error, Walls
from throughway.net.process import death_of, end, end_recorded, record, write_private

if TYPE_CHECKING:
    from subprocess import Popen

DEVICE_TIMEOUT = 5.0
"""Seconds tayga has to make its device; it needs milliseconds."""
POLL_INTERVAL = 0.02
LOOK_INTERVAL = 5.0
"""Seconds between two looks whether walls and routes stand."""
RETRY = 1.0
"""Seconds until it is tried again; twice as long each time, to :data:`LONGEST_RETRY`."""
LONGEST_RETRY = 30.0
STEADY = 60.0
"""Seconds after which a run counts as a good one."""


class Translation:
    """DNS64 and NAT64 from :meth:`start` to :meth:`stop`; nothing where none is configured."""

    def __init__(
        self,
        config: NAT64Config | None,
        directory: Path,
        tracker: Tracker,
        kernel_esp: Callable[[], bool],
    ) -> None:
        """``kernel_esp`` says whether the kernel encrypts: that decides what a tunnel is."""
        self._config = config
        self._directory = directory / "nat64"
        self._tracker = tracker
        self._kernel_esp = kernel_esp
        self._log = log.logger("nat64")
        self._dns64 = DNS64(config, self._dns_answers) if config is not None else None
        self._process: Popen[bytes] | None = None
        self._since = 0.0
        self._restarts = 0
        self._last_error = ""
        self._listening = False
        self._routes_others = True
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; what fails goes on being tried."""
        config = self._config
        if config is None:
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        end_recorded(self._recorded)  # of a gateway that was killed
        self._tracker.define(DNS64=config.listen[0][0])
        self._tasks = [
            asyncio.create_task(self._translate(config), name="nat64"),
            asyncio.create_task(self._serve_names(config), name="dns64"),
        ]

    async def restart(self) -> str:
        """End tayga, also one that hangs, and start it now, however often that has failed."""
        config = self._config
        if config is None or not self._tasks:
            return "no [nat64] is configured"
        former = self._tasks[0]
        former.cancel()
        await asyncio.gather(former, return_exceptions=True)
        self._since = 0.0
        await self._end_process()
        self._tasks[0] = asyncio.create_task(self._translate(config), name="nat64")
        self._restarts += 1
        return "tayga was ended and is started again"

    async def stop(self) -> None:
        """End both; nothing is left in the kernel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._dns64 is not None:
            await self._dns64.close()
        if self._process is not None:
            await asyncio.to_thread(end, self._process)
            self._process = None
            self._recorded.unlink(missing_ok=True)
        if self._config is not None:
            nat64.unguard()
            if not self._routes_others:
                nat64.set_forwarding(False)
                self._marker.unlink(missing_ok=True)

    def status(self) -> tuple[TranslationStatus, ...]:
        """Return how it is, in a tuple that is empty where nothing is translated."""
        config, dns64 = self._config, self._dns64
        if config is None or dns64 is None:
            return ()
        bytes_in, bytes_out = nat64.traffic(config.interface)
        figures = dns64.figures
        return (
            TranslationStatus(
                prefix=config.prefix,
                interface=config.interface,
                running=self._since > 0,
                pid=self._process.pid if self._process is not None else 0,
                since=self._since,
                restarts=self._restarts,
                last_error=self._last_error,
                bytes_in=bytes_in,
                bytes_out=bytes_out,
                listening=tuple(place[0] for place in config.listen) if self._listening else (),
                queries=figures.queries,
                made=figures.made,
                failed=figures.failed,
                limited=figures.limited,
            ),
        )

    @property
    def _recorded(self) -> Path:
        return self._directory / "tayga.pid"

    @property
    def _marker(self) -> Path:
        """The file that says, until the next boot, that it was us who made an IPv4 router."""
        return self._directory / "forwarding"

    # NAT64

    async def _translate(self, config: NAT64Config) -> None:
        """Keep tayga running, and what is around it standing."""
        pause = RETRY
        while True:
            began, why = time.monotonic(), ""
            try:
                await self._run(config)
                why = nat64.last_words(self._directory) or "tayga ended"
            except (ThroughwayError, OSError) as error:
                why = str(error)
            self._since = 0.0
            await self._end_process()
            self._last_error = why
            self._log.error("NAT64 has ended", reason=why)
            self._tracker.set(find("nat64-broken"), why)
            pause = RETRY if time.monotonic() > began + STEADY else min(2 * pause, LONGEST_RETRY)
            await asyncio.sleep(pause)
            self._restarts += 1

    async def _run(self, config: NAT64Config) -> None:
        """Run tayga once, to its end."""
        self._guard(config)  # before anything is forwarded
        if nat64.exists(config.interface):
            raise NAT64Error(f"there is a device {config.interface} already")
        self._process = nat64.spawn(config, self._directory)
        record(self._recorded, self._process)
        died = death_of(self._process)
        await self._wait_device(config, died)
        nat64.connect(config)
        self._since = time.time()
        self._tracker.clear(find("nat64-broken"))
        self._settle()
        self._log.info("NAT64 translates", prefix=config.prefix, pid=self._process.pid)
        while not died.is_set():
            # wait_for() of Python 3.11 may swallow a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL):
                    await died.wait()
            if not died.is_set():
                await self._look(config)

    async def _wait_device(self, config: NAT64Config, died: asyncio.Event) -> None:
        deadline = time.monotonic() + DEVICE_TIMEOUT
        while not nat64.exists(config.interface):
            if died.is_set():
                raise NAT64Error(nat64.last_words(self._directory) or "tayga ended at once")
            if time.monotonic() > deadline:
                raise NAT64Error(f"tayga has not made {config.interface}")
            await asyncio.sleep(POLL_INTERVAL)

    async def _look(self, config: NAT64Config) -> None:
        """Make again what another program took away."""
        if not nat64.exists(config.interface):
            raise NAT64Error(f"somebody has deleted {config.interface}")
        if not nat64.connected(config):
            self._log.warning("somebody took our routes away: made again")
            nat64.connect(config)
        if not await asyncio.to_thread(nat64.guarded):
            self._log.warning("somebody has changed our firewall rules: made again")
            self._guard(config)

    def _guard(self, config: NAT64Config) -> None:
        if not nat64.forwards():
            write_private(self._marker, "")
        self._routes_others = not self._marker.exists()
        nat64.guard(
            Walls(
                interface=config.interface,
                pool=config.pool,
                ipv4_prefixes=config.ipv4_prefixes,
                kernel_esp=self._kernel_esp(),
                routes_others=self._routes_others,
            )
        )
        nat64.set_forwarding(True)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(end, process)
            self._recorded.unlink(missing_ok=True)

    # DNS64

    async def _serve_names(self, config: NAT64Config) -> None:
        """Listen as soon as it can be; an address may come later."""
        assert self._dns64 is not None
        while not self._listening:
            try:
                await self._dns64.start()
            except ConfigError as error:
                self._tracker.set(find("dns64-broken"), error.why, key="listen")
                await asyncio.sleep(LOOK_INTERVAL)
            else:
                self._listening = True
        self._tracker.clear(find("dns64-broken"), key="listen")
        self._settle()
        self._log.info("DNS64 serves", listen=", ".join(place[0] for place in config.listen))

    def _dns_answers(self, answering: bool) -> None:
        broken = find("dns64-broken")
        if answering:
            self._tracker.clear(broken, key="servers")
            self._settle()
        elif self._config is not None:
            servers = ", ".join(self._config.servers)
            self._tracker.set(broken, f"{servers} do not answer", key="servers")

    def _settle(self) -> None:
        """Say what works, once both do."""
        config = self._config
        if config is not None and self._since and self._listening:
            where = ", ".join(place[0] for place in config.listen)
            self._tracker.ok(Component.NAMES, f"DNS64 on {where}, NAT64 by {config.prefix}")
