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

from throughway.client.proxy import ProxySource
from throughway.health import log
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
from throughway.net.revocation_lists import FETCH_TIME, MAXIMUM_REDIRECTS, RevocationLists, question

DIRECTORY = "revocation"
"""Of the state directory."""
MAXIMUM_LIST = 8 * 1024 * 1024
"""Bytes of a list: the client's memory is budgeted."""
LEAD = 1.0
"""Seconds that a way has before the next one is tried beside it."""
_PROXY_AUTHENTICATION = 0x80190000 + 407


class ClientRevocation:
    """The lists of a client, and its judgement of the IP-HTTPS server.

    ``on_refused(error)`` tells that the server that was let in last is revoked.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        proxies: ProxySource,
        on_refused: Callable[[TransportError], None],
    ) -> None:
        self._config = config
        self._proxies = proxies
        self._log = log.logger("client")
        cache = RevocationCache(config.state_directory / DIRECTORY)
        self.lists = RevocationLists(cache, self._ask, on_failure=self._failed)
        self._server = Checker(self.lists, policy=Revocation.NONE, on_late=on_refused)
        self._location = Checker(self.lists, policy=Revocation.NONE)
        self.lists.subscribe(lambda want, data: self._server.look_again())
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
        await self._judge(self._server, connection)

    async def judge_location(self, connection: ssl.SSLObject) -> None:
        """Judge a location server."""
        await self._judge(self._location, connection)

    async def stop(self) -> None:
        """End what is under way."""
        await self.lists.stop()

    async def _judge(self, checker: Checker, connection: ssl.SSLObject) -> None:
        self.lists.start()
        judged = await checker.check(connection)
        unknown = [verdict for verdict in judged.verdicts if verdict.fault is not None]
        for verdict in unknown:
            self._tell(verdict)

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


def of_certificate(error: BaseException | None) -> bool:
    """Whether an error says that a server's certificate is not accepted."""
    problem = error.problem if isinstance(error, TransportError) else ""
    return any(word in problem for word in ("cert", "crl", "ocsp"))


def _target(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or 80
    except ValueError as error:
        raise TransportError(Stage.RESOLVE, f"{url}: {error}") from error
