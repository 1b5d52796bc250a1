"""What the gateway and its clients need of the intranet: names, controllers, location server."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.resolver

from throughway.catalogue.domain import DC_UNREACHABLE, KERBEROS_UNREACHABLE
from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.location import NLS_CERTIFICATE_INVALID, NLS_UNREACHABLE_INSIDE
from throughway.catalogue.names import NRPT_DNS_SERVER_UNREACHABLE
from throughway.gateway.operations.names import ASK_TIME, TRIES, asks
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import GatewayConfig
from throughway.model.errors import TransportError, WireError
from throughway.model.findings import Component, Problem
from throughway.net import kdc_proxy
from throughway.net.fetch import fetch
from throughway.net.tls import client_context
from throughway.proto.nrpt.locators import locator_in
from throughway.wire.kerberos import build_as_request, parse_error

MAX_CONTROLLERS = 8
"""Domain controllers that are asked in one look."""
LDAP, KERBEROS = 389, 88
TOLERATED = 120.0
"""Seconds by which clocks may differ: Kerberos takes five minutes, and it does not get better."""
NOBODY = "throughway-clock-check"
"""A name that no account has."""

Asking = Callable[[str, int], Awaitable[None]]
"""Asks a host at a port; raises OSError or WireError where there is no good answer."""


def checks(config: Callable[[], GatewayConfig]) -> tuple[Check, ...]:
    """Return the checks."""
    controllers = Controllers(config)
    servers = Location(config)

    async def look_at_names() -> Iterable[Found] | str:
        asked = list(_name_servers(config()))
        realm = controllers.realm()
        answers = await asyncio.gather(
            *(asks(server, name, locator=locator_in(name, realm)) for server, name in asked)
        )
        silent = [
            Found(NRPT_DNS_SERVER_UNREACHABLE, f"{server}: {why}", server)
            for (server, _), why in zip(asked, answers, strict=True)
            if why
        ]
        verb = "answers" if len(asked) == 1 else "answer"
        return silent or f"{', '.join(server for server, _ in asked)} {verb}"

    return (
        Check(
            name="dns",
            title="DNS servers of the intranet",
            component=Component.NAMES,
            problems=(NRPT_DNS_SERVER_UNREACHABLE,),
            look=look_at_names,
            wanted=lambda: "" if any(_name_servers(config())) else "the policy names none",
        ),
        Check(
            name="domain-controller",
            title="Domain controllers",
            component=Component.DOMAIN,
            problems=(DC_UNREACHABLE,),
            look=controllers.look_at_ldap,
            wanted=controllers.wanted,
        ),
        Check(
            name="kerberos",
            title="Kerberos",
            component=Component.DOMAIN,
            problems=(KERBEROS_UNREACHABLE,),
            look=controllers.look_at_kerberos,
            wanted=controllers.wanted,
        ),
        Check(
            name="clock",
            title="Clock",
            component=Component.HOST,
            problems=(CLOCK_SKEW,),
            look=controllers.look_at_clock,
            wanted=controllers.wanted,
        ),
        Check(
            name="location-server",
            title="Network Location Server",
            component=Component.LOCATION,
            problems=(NLS_UNREACHABLE_INSIDE, NLS_CERTIFICATE_INVALID),
            look=servers.look,
            wanted=servers.wanted,
        ),
    )


def _name_servers(config: GatewayConfig) -> Iterator[tuple[str, str]]:
    """Yield each server of the rules with a name to ask it for."""
    seen = set()
    for rule in config.publish.nrpt if config.publish is not None else ():
        for server in rule.servers:
            if server not in seen:
                seen.add(server)
                yield server, rule.namespace.lstrip(".") or "."


class Controllers:
    """The domain's controllers, found by DNS as clients find them."""

    def __init__(self, config: Callable[[], GatewayConfig]) -> None:
        self._config = config
        self._offset: float | None = None
        """Of the KDCs' clock from ours in seconds, as last seen."""

    def wanted(self) -> str:
        """Say why there is no domain to look at."""
        return "" if self.realm() else "no [users] and no [directory]: there is no domain"

    def realm(self) -> str:
        """Return the domain's, "" where none is configured."""
        config = self._config()
        if config.directory is not None:
            return config.directory.realm
        return config.users.realm if config.users is not None else ""

    async def look_at_ldap(self) -> Iterable[Found] | str:
        """Try whether a controller takes connections."""
        return await self._look("_ldap._tcp.dc._msdcs", LDAP, self._connects, DC_UNREACHABLE)

    async def look_at_kerberos(self) -> Iterable[Found] | str:
        """Try whether a KDC answers."""
        return await self._look("_kerberos._tcp", KERBEROS, self._answers, KERBEROS_UNREACHABLE)

    async def look_at_clock(self) -> Iterable[Found] | str:
        """Compare clocks with a KDC's."""
        await self.look_at_kerberos()
        if self._offset is None:
            return "no KDC has told the time"
        if abs(self._offset) <= TOLERATED:
            return f"{abs(self._offset):.0f} s from the domain's"
        side = "behind" if self._offset > 0 else "ahead of"
        words = f"this machine's clock is {abs(self._offset):.0f} s {side} the domain's"
        return [Found(CLOCK_SKEW, words)]

    async def _look(
        self, service: str, port: int, ask: Asking, problem: Problem
    ) -> Iterable[Found] | str:
        """Ask every controller that the DNS names; one that answers is enough."""
        name = f"{service}.{self.realm().lower()}"
        try:
            hosts = await _controllers(name)
        except dns.exception.DNSException as error:
            raise CannotTell(f"{name}: {error}") from None  # of the DNS another check tells
        answers = await asyncio.gather(*(self._ask_host(host, port, ask) for host in hosts))
        good = [host for host, why in zip(hosts, answers, strict=True) if not why]
        if good:
            return f"{', '.join(good)} answers on port {port}"
        told = "; ".join(f"{host}: {why}" for host, why in zip(hosts, answers, strict=True))
        return [Found(problem, told or f"{name} names nobody")]

    async def _ask_host(self, host: str, port: int, ask: Asking) -> str:
        """Ask at each of its addresses until one answers; return why none does."""
        why = ""
        try:
            async with asyncio.timeout(ASK_TIME * TRIES):
                for address in await _addresses(host, port):
                    try:
                        await ask(address, port)
                    except (OSError, WireError, asyncio.IncompleteReadError) as error:
                        why = why or f"port {port}: {_words(error)}"
                    else:
                        return ""
        except TimeoutError:
            return f"no answer on port {port}"
        except OSError as error:  # of its name
            return _words(error)
        return why

    async def _connects(self, host: str, port: int) -> None:
        _reader, writer = await asyncio.open_connection(host, port)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _answers(self, host: str, port: int) -> None:
        """Ask for a ticket that nobody gets; the refusal bears the KDC's clock."""
        nonce = int.from_bytes(os.urandom(4), "big") >> 1
        request = build_as_request(NOBODY, self.realm(), nonce)
        sent = time.time()
        error = parse_error(await kdc_proxy.exchange((host, port), request))
        self._offset = error.time.timestamp() - (sent + time.time()) / 2


async def _addresses(host: str, port: int) -> Iterable[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(address[0]) for *_, address in found)


def _words(error: Exception) -> str:
    """Return what a person reads of an error: without numbers and addresses."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # asyncio has words of its own, with an address in them
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


async def _controllers(name: str) -> list[str]:
    try:
        answer = await dns.asyncresolver.resolve(name, "SRV", lifetime=ASK_TIME)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    records = sorted(answer, key=lambda record: record.priority)
    return [str(record.target).rstrip(".") for record in records][:MAX_CONTROLLERS]


class Location:
    """The Network Location Server, seen from where inside computers see it."""

    def __init__(self, config: Callable[[], GatewayConfig]) -> None:
        self._config = config

    def wanted(self) -> str:
        """Say why there is none to look at."""
        publish = self._config().publish
        return "" if publish is not None and publish.nls_urls else "the policy names none"

    async def look(self) -> Iterable[Found] | str:
        """Fetch every URL as a client does."""
        publish = self._config().publish
        assert publish is not None
        try:
            anchors = tuple(anchor.read_text() for anchor in publish.trust_anchors)
        except (OSError, ValueError) as error:
            raise CannotTell(str(error)) from None
        answers = await asyncio.gather(*(_fetched(url, anchors) for url in publish.nls_urls))
        wrong = [found for found in answers if found is not None]
        return wrong or f"{', '.join(publish.nls_urls)} answers"


async def _fetched(url: str, anchors: tuple[str, ...]) -> Found | None:
    try:
        await fetch(url, tls=client_context(anchors=anchors), seconds=ASK_TIME * TRIES)
    except TransportError as error:
        problem = NLS_CERTIFICATE_INVALID if "cert" in error.problem else NLS_UNREACHABLE_INSIDE
        return Found(problem, f"{urlsplit(url).hostname}: {error}", url)
    return None
