"""Revocation on a client: where lists come from, outside of the tunnels, and who is judged.

Lists are fetched as the gateway is reached: directly, marked so that no tunnel takes them, or by
a web proxy, one beginning shortly after the other. A proxy is asked to fetch them itself, since
few let anybody CONNECT to port 80; only one that wants to know who asks gets a CONNECT.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from throughway.catalogue.location import OF_CERTIFICATE
from throughway.client.proxy import ProxySource
from throughway.health import log
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.revocation import Revocation, Verdict
from throughway.net.dial import Dialer
from throughway.net.exchange import Way
from throughway.net.fetch import fetch
from throughway.net.firewall import MARK
from throughway.net.proxy import ProxyServer, open_tunnel
from throughway.net.revocation import Checker
from throughway.net.revocation_cache import RevocationCache
from throughway.net.revocation_lists import (
    FETCH_TIME,
    MAXIMUM_REDIRECTS,
    RevocationLists,
    Want,
    question,
)

DIRECTORY = "revocation"
"""Of the state directory."""
MAXIMUM_LIST = 8 * 1024 * 1024
"""Bytes of a list: the client's memory is budgeted."""
LEAD = 1.0
"""Seconds that a way has before the next one is tried beside it."""
LOCATION_PATIENCE = 0.9
"""Seconds that a location server waits for its lists; its probe has 1.5. What comes later counts in
the next round, which then begins at once."""
REVOKED = "iphttps-cert-revoked"
_UNREACHABLE = ("iphttps-crl-unreachable", "iphttps-ocsp-unreachable")
_PROXY_AUTHENTICATION = 0x80190000 + 407


class ClientRevocation:
    """The lists of a client, and its judgement of the IP-HTTPS server.

    ``on_refused(error)`` tells that the server that was let in last is revoked, ``on_listed()``
    that a list has come without which a server was refused.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        proxies: ProxySource,
        on_refused: Callable[[TransportError], None],
        on_listed: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._on_listed = on_listed
        self._proxies = proxies
        self._log = log.logger("client")
        cache = RevocationCache(config.state_directory / DIRECTORY)
        self.lists = RevocationLists(cache, self._ask, on_failure=self._failed)
        self._server = Checker(self.lists, policy=Revocation.NONE, on_late=on_refused)
        self._location = Checker(
            self.lists,
            policy=Revocation.NONE,
            patience=dict.fromkeys(Revocation, LOCATION_PATIENCE),
        )
        self._server_unknown = self._location_unknown = False
        self.on_located: Callable[[], None] = lambda: None
        """Told when a list has come that a location server was not believed without."""
        self.lists.subscribe(self._came)
        self.update_policy(policy)

    def update_policy(self, policy: Policy) -> None:
        """Take a newer policy."""
        own = self._config.iphttps_revocation
        self._server.policy = Revocation(own) if own else policy.revocation.iphttps
        self._location.policy = policy.revocation.location

    def network_changed(self) -> None:
        """Ask again what failed in another network."""
        self.lists.network_changed()

    async def judge_server(self, connection: ssl.SSLObject) -> None:
        """Judge the IP-HTTPS server; TransportError when it is refused."""
        self._server_unknown = False
        try:
            await self._judge(self._server, connection)
        except TransportError as error:
            self._server_unknown = error.problem != REVOKED
            raise

    async def judge_location(self, connection: ssl.SSLObject) -> None:
        """Judge a location server, in the time that such a one has."""
        self._location_unknown = False
        try:
            await self._judge(self._location, connection)
        except TransportError as error:
            self._location_unknown = error.problem != REVOKED
            raise

    async def fetch(self, url: str) -> bytes:
        """Fetch what lies where lists are: outside, by whichever way leads there."""
        return await self._ask(url, b"")

    async def stop(self) -> None:
        """End what is under way."""
        await self.lists.stop()

    async def _judge(self, checker: Checker, connection: ssl.SSLObject) -> None:
        self.lists.start()
        judged = await checker.check(connection)
        unknown = [verdict for verdict in judged.verdicts if verdict.fault is not None]
        for verdict in unknown:
            self._tell(verdict)

    def _came(self, _want: Want, _data: bytes) -> None:
        self._server.look_again()
        if self._server_unknown:
            self._server_unknown = False
            self._on_listed()
        if self._location_unknown:
            self._location_unknown = False
            self.on_located()

    def _tell(self, verdict: Verdict) -> None:
        self._log.info(
            "revocation could not be checked",
            certificate=verdict.subject,
            serial=verdict.serial,
            reason=verdict.why,
            url=verdict.url or None,
        )

    def _failed(self, url: str, why: str) -> None:
        if why:
            self._log.info("revocation list not fetched", url=url, reason=why)

    async def _ask(self, url: str, post: bytes) -> bytes:
        """Fetch by whichever way leads there first."""
        host, port = _target(url)
        try:
            named = await self._proxies.named(host, port)
        except TransportError:
            named = ()
        ways = named if None in named else (*named, None)
        attempts = [self._by(way, url, post) for way in ways]
        if not named and self._config.proxy.detect:
            attempts.append(self._found(url, post))
        return await _first(attempts)

    async def _found(self, url: str, post: bytes) -> bytes:
        """Fetch by a proxy that the network itself offers."""
        for proxy in await self._proxies.find(*_target(url)):
            if proxy is not None:
                return await self._by(proxy, url, post)
        raise TransportError(Stage.PROXY, "the network offers no proxy")

    async def _by(self, proxy: ProxyServer | None, url: str, post: bytes) -> bytes:
        direct = Dialer(self._proxies.resolve, mark=MARK)
        if proxy is None:
            return await _fetch(url, post, Way(dial=direct))
        try:
            return await _fetch(url, post, Way(dial=direct, proxy=(proxy.host, proxy.port)))
        except TransportError as error:
            if error.windows_code != _PROXY_AUTHENTICATION:
                raise _by_proxy(proxy, error) from error

        async def dial(host: str, port: int) -> socket.socket:
            ticket = self._proxies.ticket
            return await open_tunnel(proxy, host, port, dial=direct, ticket=ticket)

        return await _fetch(url, post, Way(dial=dial))


async def _fetch(url: str, post: bytes, way: Way) -> bytes:
    return await fetch(
        url,
        question(post),
        limit=MAXIMUM_LIST,
        seconds=FETCH_TIME,
        way=way,
        redirects=MAXIMUM_REDIRECTS,
    )


def _by_proxy(proxy: ProxyServer, error: TransportError) -> TransportError:
    return TransportError(
        error.stage, f"by proxy {proxy}: {error}", windows_code=error.windows_code
    )


async def _first(attempts: list[Coroutine[Any, Any, bytes]]) -> bytes:
    """Return what the first attempt brings that succeeds; the first one's error if none does."""
    waiting, errors = list(attempts), []
    running: set[asyncio.Task[bytes]] = set()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(waiting.pop(0)))
            done, running = await asyncio.wait(
                running, timeout=LEAD if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                error = each.exception()
                if error is None:
                    return each.result()
                errors.append(error)
        raise errors[0]
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for left in waiting:
            left.close()


def problem_of_location(error: BaseException | None) -> str:
    """Return what is wrong with a location server's certificate, by the error of its probe.

    "" when that is not what was wrong. A server is judged in the same words wherever it is.
    """
    problem = error.problem if isinstance(error, TransportError) else ""
    if problem == REVOKED:
        return "nls-cert-revoked"
    if problem in _UNREACHABLE:
        return "nls-crl-unreachable"
    if any(word in problem for word in ("crl", "ocsp", "revocation")):
        return "nls-crl-unusable"
    return "nls-certificate-invalid" if "cert" in problem else ""


def tell_location(tracker: Tracker, url: str, error: BaseException | None) -> None:
    """Tell why a location server proves nothing: it strands clients inside."""
    found = problem_of_location(error)
    for problem in OF_CERTIFICATE:
        if problem.code == found:
            tracker.set(problem, f"{url}: {error}", key=url)
        else:
            tracker.clear(problem, key=url)


def _target(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or 80
    except ValueError as error:
        raise TransportError(Stage.RESOLVE, f"{url}: {error}") from error
