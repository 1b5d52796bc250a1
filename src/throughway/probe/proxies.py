"""The web proxies that environment and configuration name, and whether they lead anywhere."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from throughway.model.errors import TransportError
from throughway.model.network import ProxySeen
from throughway.net.dial import Dialer
from throughway.net.proxy import ProxyServer, open_tunnel
from throughway.probe.fetching import resolve
from throughway.proto.proxy.schemes import Credentials
from throughway.proto.proxy.ways import parse_proxy_url

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


async def try_proxy(source: str, url: str, host: str, port: int, seconds: float) -> ProxySeen:
    """Ask a web proxy for a tunnel, with the password that stands in its URL, if any."""
    seen = ProxySeen(source=source, proxy=without_user(url))
    server = _server(url)
    if server is None:
        return replace(seen, words="it is no http proxy by its URL, and was not asked")
    begin = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            sock = await open_tunnel(server, host, port, dial=Dialer(resolve))
        sock.close()
        return replace(seen, tunnel=True, seconds=time.monotonic() - begin)
    except TimeoutError:
        words, problem = "no answer came in time", "proxy-unreachable"
    except TransportError as error:
        words, problem = str(error), error.problem
    took = time.monotonic() - begin
    return replace(seen, tunnel=False, seconds=took, words=_line(words), problem=problem)


def _server(url: str) -> ProxyServer | None:
    try:
        parsed = parse_proxy_url(url)
    except ValueError:
        return None
    who = Credentials(user=parsed.user, password=parsed.password)
    return ProxyServer(parsed.host, parsed.port, who)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:400]
