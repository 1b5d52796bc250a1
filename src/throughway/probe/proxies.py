"""The web proxies that environment, configuration and scripts name, and where they lead."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from throughway.model.errors import TransportError
from throughway.model.network import ProxySeen
from throughway.net.dial import Dialer
from throughway.net.fetch import fetch
from throughway.net.proxy import ProxyServer, Ticket, no_ticket, open_tunnel, silence
from throughway.net.proxy_script import MAXIMUM_SCRIPT, UNUSABLE, find_proxy
from throughway.probe.fetching import resolve
from throughway.proto.proxy.connect import SILENT, UNREACHABLE
from throughway.proto.proxy.schemes import Credentials
from throughway.proto.proxy.ways import parse_proxy_url, parse_routes

MAXIMUM_PROXIES = 3
"""Of one script that are asked."""
THERE_AFTER = 0.4
"""The part of the time for a proxy after which it is asked whether it is there at all."""
VARIABLES = ("https_proxy", "all_proxy", "http_proxy")


def named_proxies(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return variable and URL of each that is set, as it stands."""
    found = []
    for name in VARIABLES:
        for variable in (name, name.upper()):
            if value := environment.get(variable, ""):
                found.append((variable, value))
                break
    return tuple(found)


def configured_proxies(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``variable=proxy`` of each that is set, without user names and passwords."""
    return tuple(f"{name}={without_user(url)}" for name, url in named_proxies(environment))


def without_user(value: str) -> str:
    """Return the URL of a proxy without the user name and password in it."""
    try:
        parts = urlsplit(value if "://" in value else f"//{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(not a URL)"
    host = f"[{host}]" if ":" in host else host
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{host}:{port}" if port else f"{scheme}{host}"


def script_name(url: str) -> str:
    """Return the URL of a script as it can be shown."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    return f"{without_user(url)}{path}"


@dataclass(frozen=True, slots=True)
class Who:
    """Who the client is to proxies that ask."""

    credentials: Credentials = field(default_factory=Credentials)
    ticket: Ticket = no_ticket


NOBODY = Who()


async def try_proxy(
    source: str, url: str, host: str, port: int, seconds: float, who: Who = NOBODY
) -> ProxySeen:
    """Ask a web proxy for a tunnel, with the password that stands in its URL, if any."""
    seen = ProxySeen(source=source, proxy=without_user(url))
    server = _server(url, who.credentials)
    if server is None:
        return replace(seen, words="it is no http proxy by its URL, and was not asked")
    begin, dial = time.monotonic(), Dialer(resolve)
    there = asyncio.create_task(_is_there(server, dial, seconds * THERE_AFTER))
    try:
        async with asyncio.timeout(seconds):
            sock = await open_tunnel(server, host, port, dial=dial, ticket=who.ticket)
        sock.close()
        return replace(seen, tunnel=True, seconds=time.monotonic() - begin)
    except TimeoutError:
        words, problem = "no answer came in time", UNREACHABLE
        if there.done() and there.result():
            words, problem = f"it is there, and has no connection to {host} in time", SILENT
    except TransportError as error:
        words, problem = str(error), error.problem
    finally:
        there.cancel()
    took = time.monotonic() - begin
    return replace(seen, tunnel=False, seconds=took, words=_line(words), problem=problem)


async def _is_there(proxy: ProxyServer, dial: Dialer, after: float) -> bool:
    """Whether a proxy answers, asked something that takes it no time."""
    await asyncio.sleep(after)
    return await silence(proxy, dial) is None


async def try_script(
    source: str, url: str, host: str, port: int, seconds: float, who: Who = NOBODY
) -> tuple[ProxySeen, ...]:
    """Run a script (PAC) as the client does, and ask the proxies that it names."""
    seen = ProxySeen(source=source, proxy=script_name(url))
    begin = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            body = await fetch(url, resolve=resolve, limit=MAXIMUM_SCRIPT, seconds=seconds)
            script = body.decode("utf-8-sig", errors="replace")
            result = await find_proxy(script, host, port, resolve=resolve)
    except TimeoutError:
        words = "no script came in time"
    except TransportError as error:
        words = _line(str(error))
    else:
        return await _of_script(seen, result, host, port, begin + seconds, who)
    took = time.monotonic() - begin
    return (replace(seen, seconds=took, words=words, problem=UNUSABLE),)


async def _of_script(
    seen: ProxySeen, result: str, host: str, port: int, until: float, who: Who
) -> tuple[ProxySeen, ...]:
    routes = parse_routes(result)
    named = [f"http://{_authority(*route)}" for route in routes if route is not None]
    words = ", ".join([*named, *(["the direct way"] if None in routes else [])])
    said = replace(seen, words=f"it names {words or 'nothing that we speak to'}")
    left = max(until - time.monotonic(), 0.0)
    tried = (
        try_proxy(f"the script of {seen.source}", proxy, host, port, left, who)
        for proxy in named[:MAXIMUM_PROXIES]
    )
    return (said, *await asyncio.gather(*tried))


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _server(url: str, who: Credentials) -> ProxyServer | None:
    try:
        parsed = parse_proxy_url(url)
    except ValueError:
        return None
    if parsed.user:
        who = replace(who, user=parsed.user, domain="", password=parsed.password)
    return ProxyServer(parsed.host, parsed.port, who)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:400]
