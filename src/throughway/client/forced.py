"""Force tunnelling on a client: the relay to the proxy inside, as the policy wants it."""

import os
from collections.abc import Callable
from urllib.parse import urlsplit

from throughway.model.config import ClientConfig
from throughway.model.policy import Policy
from throughway.net.relay import PORT, ProxyRelay

HTTP_PORT = 80


class Forced:
    """Keeps the relay in step with the policy.

    ``on_result(reason)`` is told why programs that know only IPv4 do not get out, "" when they do.
    """

    def __init__(self, config: ClientConfig, on_result: Callable[[str], None]) -> None:
        self._listen = (config.stub_address, PORT)
        self._on_result = on_result
        self._relay: ProxyRelay | None = None
        self._proxy = ""

    @property
    def relay(self) -> tuple[str, int] | None:
        """Where IPv4 connections are to be taken; None while there is no relay."""
        return self._listen if self._relay is not None else None

    async def update(self, policy: Policy) -> None:
        """Start, change or stop the relay; a failure is told, and everything stays closed."""
        wanted = policy.transports.force_tunnel_proxy if policy.transports.force_tunnel else ""
        if wanted == self._proxy:
            return
        await self.close()
        if not wanted:
            return
        parts = urlsplit(wanted)
        proxy = (parts.hostname or "", parts.port or HTTP_PORT)
        relay = ProxyRelay(self._listen, proxy, self._on_result)
        try:
            await relay.start()
        except OSError as error:
            self._on_result(f"{self._listen[0]} port {PORT}: {os.strerror(error.errno or 0)}")
            return
        self._relay, self._proxy = relay, wanted

    async def close(self) -> None:
        """End the relay and what passes through it."""
        relay, self._relay, self._proxy = self._relay, None, ""
        if relay is not None:
            await relay.close()
            self._on_result("")
