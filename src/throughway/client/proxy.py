"""Which proxies this client may use: configuration, then policy, environment, the network."""

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.policy import Policy
from throughway.net.dial import Dialer, Resolve
from throughway.net.files import read_secret
from throughway.net.firewall import MARK
from throughway.net.proxy import ProxyServer
from throughway.net.proxy_dial import Routes, WayDialer
from throughway.net.proxy_tickets import TicketRequest, make_ticket_apart
from throughway.proto.proxy.schemes import Credentials
from throughway.proto.proxy.ways import bypassed, parse_proxy_url

ROUTES = Path("/proc/net/route")
"""The kernel's IPv4 routes; the default gateway tells networks apart well enough."""


class ProxySource:
    """Says which proxies there are for a target, and who we are to them."""

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        resolve: Resolve,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._policy = policy
        self._resolve = resolve
        self._environment = os.environ if environment is None else environment
        self._known: dict[tuple[str, int, str], ProxyServer] = {}
        """With what they have taught us."""

    def dialer(self) -> WayDialer:
        """Return what connects to the gateway by all these ways."""
        return WayDialer(
            Dialer(self._resolve, mark=MARK),
            named=self.named,
            ticket=self.ticket,
            network=network_identity,
        )

    def update_policy(self, policy: Policy) -> None:
        """Take a newer policy."""
        self._policy = policy

    async def named(self, host: str, port: int) -> Routes:
        """Return the ways that somebody named: the first of those who may that did."""
        own = self._config.proxy
        policy = self._policy.transports
        if own.url:
            return self._routes(own.url, "configuration")
        if policy.proxy:
            return self._routes(policy.proxy, "policy")
        if url := self._of_environment("https_proxy") or self._of_environment("all_proxy"):
            if bypassed(host, port, self._of_environment("no_proxy")):
                return (None,)
            return self._routes(url, "environment")
        return ()

    def _routes(self, url: str, source: str) -> Routes:
        try:
            proxy = parse_proxy_url(url)
        except ValueError as error:
            raise TransportError(Stage.PROXY, f"{source}: {error}") from error
        credentials = self._credentials()
        if proxy.user:
            credentials = replace(credentials, user=proxy.user, domain="", password=proxy.password)
        return (self._server(proxy.host, proxy.port, source, credentials),)

    def _server(self, host: str, port: int, source: str, who: Credentials) -> ProxyServer:
        server = self._known.setdefault((host, port, source), ProxyServer(host, port))
        server.source, server.credentials = source, who
        return server

    def _credentials(self) -> Credentials:
        """Return who we are, with the password as it is in its file now."""
        own, password = self._config.proxy, ""
        if own.password_file is not None:
            try:
                password = read_secret(own.password_file).decode().strip("\r\n")
            except ValueError as error:
                raise TransportError(Stage.PROXY, f"proxy.password_file: {error}") from error
        return Credentials(
            user=own.user,
            password=password,
            domain=own.domain,
            workstation=socket.gethostname().partition(".")[0].upper(),
            ticket=bool(self._policy.kerberos_realm),
        )

    async def ticket(self, host: str) -> bytes:
        """Return a Negotiate token: the user's, that of ``[proxy]``, or the computer's own."""
        own, accounts = self._config.proxy, []
        if own.user:
            who = self._credentials()
            accounts.append((who.user, who.password))
        try:
            password = read_secret(self._config.password_file).decode().strip("\r\n")
        except ValueError as error:
            if not accounts:
                raise ThroughwayError(str(error)) from error
        else:
            accounts.append((self._config.account, password))
        return await make_ticket_apart(
            TicketRequest(
                host=host,
                realm=self._policy.kerberos_realm,
                ccaches=(str(self._config.runtime_directory / "user.ccache"),),
                accounts=tuple(accounts),
            )
        )

    def _of_environment(self, name: str) -> str:
        return self._environment.get(name) or self._environment.get(name.upper()) or ""


def network_identity(routes: Path = ROUTES) -> str:
    """Return what tells this network from others: interface and gateway of default routes."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        return ""
    fields = (line.split() for line in lines)
    return " ".join(sorted(f"{f[0]}:{f[2]}:{f[1]}" for f in fields if len(f) > 2))
