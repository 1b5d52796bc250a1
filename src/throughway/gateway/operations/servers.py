"""What clients ask through the infrastructure tunnel: the policy, the management servers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from throughway.catalogue.domain import MANAGEMENT_SERVER_UNREACHABLE
from throughway.catalogue.policy import (
    BUNDLE_MISSING,
    EXPIRED,
    FETCH_FAILED,
    MALFORMED,
    OUT_OF_DATE,
    SIGNATURE_INVALID,
)
from throughway.gateway.publish import policy_url
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import GatewayConfig, PublishConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.findings import Component
from throughway.net import netlink
from throughway.net.fetch import fetch
from throughway.net.files import read_file
from throughway.pki import bundle

ASK_TIME = 2.5
"""Seconds in which a server must take a connection."""
INTERVAL = 15.0
"""Seconds between two looks at servers of others."""
PORTS = (443, 80, 53, 22)
"""Tried on a host of which nothing is known: that it refuses is an answer, too."""
SINGLE = 128
"""Length of a prefix that is one host."""

Server = tuple[str, int]
"""Host, and port; 0: whichever answers."""


def checks(config: Callable[[], GatewayConfig]) -> tuple[Check, ...]:
    """Return the checks."""

    async def look_at_policy() -> Iterable[Found] | str:
        publish = config().publish
        assert publish is not None
        assert publish.serve is not None
        url = policy_url(*publish.serve)
        try:
            await fetch(url, seconds=ASK_TIME)
        except TransportError as error:
            if error.stage is Stage.HTTP:  # it answers; that there is no bundle is told by itself
                return f"{url}: {error}"
            return [Found(FETCH_FAILED, f"{url}: {error}")]
        return f"{url} answers"

    async def look_at_bundle() -> Iterable[Found] | str:
        publish = config().publish
        assert publish is not None
        return await asyncio.to_thread(_judged, publish, time.time())

    async def look_at_servers() -> Iterable[Found] | str:
        servers = management_servers(config())
        answers = await asyncio.gather(*(_reach(server) for server in servers))
        down = [
            Found(MANAGEMENT_SERVER_UNREACHABLE, f"{_words(server)}: {why}", _words(server))
            for server, why in zip(servers, answers, strict=True)
            if why
        ]
        silent = [_words(s) for s, why in zip(servers, answers, strict=True) if why is None]
        if silent and not down:
            raise CannotTell(f"{', '.join(silent)}: neither an answer nor a refusal")
        return down or f"{', '.join(map(_words, servers))} answer"

    return (
        Check(
            name="policy-server",
            title="Server of the policy",
            component=Component.POLICY,
            problems=(FETCH_FAILED,),
            look=look_at_policy,
            wanted=lambda: "" if _serves(config()) else "no publish.serve is configured",
        ),
        Check(
            name="policy-bundle",
            title="Policy that clients are given",
            component=Component.POLICY,
            problems=(BUNDLE_MISSING, SIGNATURE_INVALID, MALFORMED, EXPIRED, OUT_OF_DATE),
            look=look_at_bundle,
            wanted=lambda: "" if config().publish is not None else "nothing is published",
        ),
        Check(
            name="management-servers",
            title="Management servers",
            component=Component.DOMAIN,
            problems=(MANAGEMENT_SERVER_UNREACHABLE,),
            look=look_at_servers,
            interval=INTERVAL,
            wanted=lambda: "" if management_servers(config()) else "the configuration names none",
        ),
    )


def _judged(publish: PublishConfig, now: float) -> Iterable[Found] | str:
    """Judge the bundle as a client does; the signature only where the public key lies here."""
    try:
        data = read_file(publish.bundle, bundle.MAX_BUNDLE)
    except ValueError as error:
        return [Found(BUNDLE_MISSING, str(error))]
    try:
        try:
            key = bundle.parse_public_key(read_file(publish.signing_key.with_suffix(".pub")))
        except (ValueError, ThroughwayError):
            key = bundle.claimed_key(data)  # the key is kept elsewhere, and with it its other half
        policy = bundle.verify(data, key, now=0)
    except (ThroughwayError, ValueError) as error:
        refused = getattr(error, "problem", "") == SIGNATURE_INVALID.code
        return [Found(SIGNATURE_INVALID if refused else MALFORMED, f"{publish.bundle}: {error}")]
    ends = time.strftime("%Y-%m-%d", time.gmtime(policy.expires_at))
    words = f"{publish.bundle}: version {policy.version} ends on {ends}"
    if now >= policy.expires_at:
        return [Found(EXPIRED, words)]
    return [Found(OUT_OF_DATE, words)] if policy.ends_soon(now) else words


def _serves(config: GatewayConfig) -> bool:
    return config.publish is not None and config.publish.serve is not None


def management_servers(config: GatewayConfig) -> tuple[Server, ...]:
    """Return what is named as one host: in the infrastructure prefixes, by enrolment and codes."""
    own = {str(address.address) for address in netlink.addresses()}
    own |= {config.ipsec.infrastructure_endpoint, config.ipsec.intranet_endpoint}
    found = [(host, 0) for host in _hosts(config.ipsec.infrastructure_prefixes) if host not in own]
    found += [_of_url(url) for url in _urls(config)]
    return tuple(dict.fromkeys(found))


def _hosts(prefixes: Iterable[str]) -> Iterator[str]:
    for network in map(ip_network, prefixes):
        if network.prefixlen == SINGLE:
            yield str(network.network_address)


def _urls(config: GatewayConfig) -> Iterator[str]:
    if config.enrolment is not None:
        yield config.enrolment.url
    if config.users is not None and config.users.codes is not None:
        yield config.users.codes.authority


def _of_url(url: str) -> Server:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _words(server: Server) -> str:
    host, port = server
    return f"{host} port {port}" if port else host


async def _reach(server: Server) -> str | None:
    """Return why a server cannot be reached, "" when it can; None: nothing was heard at all."""
    host, port = server
    if port:
        return await _connects(host, port) or ""
    answers = await asyncio.gather(*(_connects(host, each) for each in PORTS))
    if any(answer in ("", _REFUSED) for answer in answers):
        return ""
    return next((answer for answer in answers if answer != _SILENT), None)


_REFUSED, _SILENT = "it refuses the connection", "no answer"


async def _connects(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(ASK_TIME):
            _reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return _SILENT
    except ConnectionRefusedError:
        return _REFUSED
    except OSError as error:
        return str(error.strerror or error)
    writer.transport.abort()
    return ""
