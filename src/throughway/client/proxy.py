"""Which proxies this client may use: configuration, then policy, environment, the network.

Scripts (PAC) are fetched anew after :data:`SCRIPT_AGE` and in another network. What the network
itself offers (WPAD) comes from strangers: its proxies get a Kerberos ticket or nothing.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from throughway.client.user import UserStore
from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.policy import Policy
from throughway.net.dial import Dialer, Resolve
from throughway.net.fetch import fetch
from throughway.net.files import read_secret
from throughway.net.firewall import MARK
from throughway.net.proxy import OnSilent, ProxyServer
from throughway.net.proxy_dial import Routes, WayDialer
from throughway.net.proxy_script import MAXIMUM_SCRIPT, UNUSABLE, find_proxy
from throughway.net.proxy_tickets import TicketRequest, make_ticket_apart
from throughway.net.resolvconf import RESOLV_CONF, intranet_domains, parse_resolv_conf
from throughway.proto.proxy.schemes import Credentials
from throughway.proto.proxy.ways import bypassed, parse_proxy_url, parse_routes, wpad_names

SCRIPT_AGE = 600.0
"""Seconds that a script is good for."""
SCRIPT_RETRY = 60.0
"""Seconds after which one that could not be had is fetched again: every look costs time."""
FETCH_TIME = 3.0
"""Seconds to fetch one; it is near, or it is not there."""
MAXIMUM_SEARCH = 3
"""Domains in which the network's own script is looked for."""
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
        resolv_conf: Path = RESOLV_CONF,
        mark: int = MARK,
        ccache: Path | None = None,
    ) -> None:
        self._config = config
        self._policy = policy
        self.resolve = resolve
        self._environment = os.environ if environment is None else environment
        self._resolv_conf = resolv_conf
        self._mark = mark
        self._ccache = ccache or UserStore(config.runtime_directory).ccache
        """Of the user whose tickets count first."""
        self._scripts: dict[str, tuple[str, float, str | TransportError]] = {}
        """By URL: the network, until when it is good, and the script or why there is none."""
        self.small = False
        """Whether segments must be small: larger packets vanish on the way."""
        self._known: dict[tuple[str, int, str], ProxyServer] = {}
        """With what they have taught us."""

    def dialer(
        self, *, full_size: bool = False, on_silent: OnSilent = lambda error: None
    ) -> WayDialer:
        """Return what connects to the gateway by all these ways."""
        return WayDialer(
            Dialer(self.resolve, mark=self._mark, small=lambda: self.small and not full_size),
            named=self.named,
            find=self.find if self._config.proxy.detect else None,
            ticket=self.ticket,
            network=network_identity,
            on_silent=on_silent,
        )

    def update_policy(self, policy: Policy) -> None:
        """Take a newer policy."""
        self._policy = policy

    def network_changed(self) -> None:
        """Ask for scripts anew: this may be another network, or somebody has mended them."""
        self._scripts.clear()

    async def named(self, host: str, port: int) -> Routes:
        """Return the ways that somebody named: the first of those who may that did."""
        own = self._config.proxy
        policy = self._policy.transports
        if own.script:
            return await self._by_script(own.script, "configuration's script", host, port)
        if own.url:
            return self._routes(own.url, "configuration")
        if policy.proxy_script:
            return await self._by_script(policy.proxy_script, "policy's script", host, port)
        if policy.proxy:
            return self._routes(policy.proxy, "policy")
        if url := self._of_environment("https_proxy") or self._of_environment("all_proxy"):
            if bypassed(host, port, self._of_environment("no_proxy")):
                return (None,)
            return self._routes(url, "environment")
        return ()

    async def find(self, host: str, port: int) -> Routes:
        """Return the ways that the network itself offers."""
        try:
            search = parse_resolv_conf(self._resolv_conf.read_text()).search
        except (OSError, ValueError):
            search = ()
        names = wpad_names(search, intranet_domains(self._policy.nrpt))
        for name in names[:MAXIMUM_SEARCH]:
            try:
                await self._fetched(url := f"http://{name}/wpad.dat")
            except TransportError:
                continue
            return await self._by_script(url, "the network's script", host, port, disclose=False)
        return ()

    async def _by_script(
        self, url: str, source: str, host: str, port: int, *, disclose: bool = True
    ) -> Routes:
        """Run a script; () where it names nothing that we speak to."""
        try:
            script = await self._fetched(url)
            try:
                result = await find_proxy(
                    script, host, port, resolve=self.resolve, addresses=own_addresses()
                )
            except TransportError:
                self._scripts.pop(url, None)  # somebody may mend it any moment
                raise
        except TransportError as error:
            words = f"{source} {url}: {error}"
            raise TransportError(Stage.PROXY, words, problem=UNUSABLE) from error
        who = replace(self.credentials(), disclose=disclose)
        return tuple(
            None if route is None else self._server(*route, source, who)
            for route in parse_routes(result)
        )

    async def _fetched(self, url: str) -> str:
        network, now = network_identity(), time.monotonic()
        of, until, script = self._scripts.get(url, ("", 0.0, ""))
        if of != network or now > until:
            try:
                body = await fetch(
                    url,
                    resolve=self.resolve,
                    mark=self._mark,
                    limit=MAXIMUM_SCRIPT,
                    seconds=FETCH_TIME,
                )
                until, script = now + SCRIPT_AGE, _decoded(body)
            except TransportError as error:
                until, script = now + SCRIPT_RETRY, error
            self._scripts[url] = (network, until, script)
        if isinstance(script, TransportError):
            raise script
        return script

    def _routes(self, url: str, source: str) -> Routes:
        try:
            proxy = parse_proxy_url(url)
        except ValueError as error:
            raise TransportError(Stage.PROXY, f"{source}: {error}") from error
        credentials = self.credentials()
        if proxy.user:
            credentials = replace(credentials, user=proxy.user, domain="", password=proxy.password)
        return (self._server(proxy.host, proxy.port, source, credentials),)

    def _server(self, host: str, port: int, source: str, who: Credentials) -> ProxyServer:
        server = self._known.setdefault((host, port, source), ProxyServer(host, port))
        server.source, server.credentials = source, who
        return server

    def credentials(self) -> Credentials:
        """Return who we are to proxies, with the password as it is in its file now."""
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
            who = self.credentials()
            accounts.append((who.user, who.password))
        try:
            if self._config.password_file is None:
                raise ValueError("there is no ticket, and no password of the computer account")
            password = read_secret(self._config.password_file).decode().strip("\r\n")
        except ValueError as error:
            if not accounts and not self._ccache.exists():
                raise ThroughwayError(str(error)) from error
        else:
            accounts.append((self._config.account, password))
        return await make_ticket_apart(
            TicketRequest(
                host=host,
                realm=self._policy.kerberos_realm,
                ccaches=(str(self._ccache),),
                accounts=tuple(accounts),
            )
        )

    def _of_environment(self, name: str) -> str:
        return self._environment.get(name) or self._environment.get(name.upper()) or ""


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def own_addresses() -> tuple[str, ...]:
    """Return this computer's addresses that lead outward; nothing is sent to find them."""
    addresses = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.connect((target, 9))
            addresses.append(str(sock.getsockname()[0]))
    return tuple(addresses)


def network_identity(routes: Path = ROUTES) -> str:
    """Return what tells this network from others: interface and gateway of default routes."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        return ""
    fields = (line.split() for line in lines)
    return " ".join(sorted(f"{f[0]}:{f[2]}:{f[1]}" for f in fields if len(f) > 2))
