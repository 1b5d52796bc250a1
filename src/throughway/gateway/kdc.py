"""The gateway's KDC proxy: a process that is nobody, kept running, told who may ask."""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Callable, Iterable

from throughway.catalogue import find
from throughway.gateway.client_lists import state_of
from throughway.health.tracker import Tracker
from throughway.model.config import GatewayConfig
from throughway.model.errors import ConfigError

PROBLEM = "kdc-proxy-down"
PAUSES = (0.5, 2.0, 10.0)
"""Seconds before it is started again; the last one again and again."""
READY_TIMEOUT = 20.0
"""Seconds until it serves: Python, and perhaps a DNS server that is silent."""
TELL_INTERVAL = 1.0
"""Seconds between two looks whether other accounts may ask."""

Files = tuple[tuple[int, int], ...]


class KDCProxyProcess:
    """Starts it when it is configured; ``accounts`` returns who may ask now."""

    def __init__(
        self, config: GatewayConfig, tracker: Tracker, accounts: Callable[[], Iterable[str]]
    ) -> None:
        self._config = config
        self._tracker = tracker
        self._accounts = accounts
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to keep it running; does nothing where it is not configured."""
        if self._config.kdc_proxy is not None:
            self._keeper = asyncio.create_task(self._keep(), name="KDC proxy")

    async def stop(self) -> None:
        """End it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                if await self._run():
                    continue
                why = "it has ended"
            except (OSError, TimeoutError, ConfigError) as error:
                why = str(error) or "it does not come up"
            self._tracker.set(find(PROBLEM), why)
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    async def _run(self) -> bool:
        """Start it, and tell it of accounts until it ends; True: it is to have new files."""
        files = self._files()
        listener = self._listener()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "throughway.gateway.kdc_process"),
                str(listener.fileno()),
                pass_fds=(listener.fileno(),),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        finally:
            listener.close()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(_line(self._settings()))
            async with asyncio.timeout(READY_TIMEOUT):
                if not await process.stdout.readline():
                    return False
            self._tracker.clear(find(PROBLEM))
            return await self._tell(process, files)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            process._transport.close()  # type: ignore[attr-defined]

    async def _tell(self, process: asyncio.subprocess.Process, files: Files) -> bool:
        """Tell it of accounts; True when there is another certificate, whose key is there too."""
        assert process.stdin is not None
        told: list[str] | None = None
        seen = files
        while process.returncode is None:
            before, seen = seen, self._files()
            if seen != files and seen == before:  # nobody is writing them any more
                return True
            accounts = sorted(self._accounts())
            if accounts != told:
                told = accounts
                process.stdin.write(_line(accounts))
                await process.stdin.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_INTERVAL):
                    await process.wait()
        return False

    def _files(self) -> Files:
        """Return what changes with certificate and key: the process, nobody, cannot read them."""
        iphttps = self._config.iphttps
        return state_of(tuple(file for file in (iphttps.certificate, iphttps.key) if file))

    def _listener(self) -> socket.socket:
        assert self._config.kdc_proxy is not None
        host, port = self._config.kdc_proxy.listen
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=256)
        except OSError as error:
            why = f"cannot listen on {host} port {port}: {error.strerror}"
            raise ConfigError("", "kdc_proxy.listen", why) from error

    def _settings(self) -> dict[str, object]:
        config = self._config
        assert config.directory is not None
        assert config.users is not None
        kind, _, host = config.users.service.partition("@")
        return {
            "certificate": str(config.iphttps.certificate),
            "key": str(config.iphttps.key),
            "realm": config.directory.realm,
            "domain": config.directory.domain,
            "servers": list(config.directory.servers),
            "service": f"{kind}/{host}",
            "accounts": sorted(self._accounts()),
        }


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
