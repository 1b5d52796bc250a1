"""Which ways lead out of a network, and in what order to try them.

A way is ``direct`` or the name of a proxy (``host:port``). What worked in a network is remembered
for that network, and what failed after it had seemed to work: a connection that is let through
but leads nowhere is no way.
"""

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

DIRECT = "direct"
MAXIMUM_NETWORKS = 64
"""Networks that are remembered; the one not seen for longest goes first."""
MAXIMUM_ROUTES = 8
"""Of one result of a PAC script."""
DEFAULT_PORT = 80
"""Of a proxy in a PAC script's result; a URL says its own or means 80."""


@dataclass(frozen=True, slots=True)
class ProxyURL:
    """A proxy as configuration and environment name it."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


def parse_proxy_url(text: str) -> ProxyURL:
    """Read ``http://[user:password@]host:port``; raises ValueError in words for people."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        # Without Python's own words: a password with a "/" in it would be quoted as the port.
        raise ValueError("not the URL of a proxy: signs in it must be escaped (%2F)") from None
    if parts.scheme != "http":
        # TLS inside TLS: ssl would have to run over memory twice for every packet.
        raise ValueError(f"a proxy is spoken to by http, not by {parts.scheme}")
    if not host or not host.isascii() or not host.isprintable() or parts.path not in ("", "/"):
        raise ValueError("not the URL of a proxy, such as http://proxy.example.com:3128")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return ProxyURL(host, DEFAULT_PORT if port is None else port, user, password)


_ROUTE = re.compile(r"(?:PROXY|HTTP)[ \t]+(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.I)


def parse_routes(text: str) -> tuple[tuple[str, int] | None, ...]:
    """Read what a PAC script returns: proxies in order, None for DIRECT.

    What we do not speak (SOCKS, HTTPS) is passed over.
    """
    routes: list[tuple[str, int] | None] = []
    for word in text.split(";"):
        word = word.strip()
        match = _ROUTE.fullmatch(word)
        if word.upper() == "DIRECT":
            routes.append(None)
        elif match is not None and 0 < (port := int(match[2] or DEFAULT_PORT)) <= 0xFFFF:
            routes.append((match[1].strip("[]").lower(), port))
    return tuple(dict.fromkeys(routes))[:MAXIMUM_ROUTES]


_EXCEPTION = re.compile(r"(\[[^\]]+\]|[^:]+)(?::([0-9]+))?")
"""A name, an address or a prefix, with or without a port."""


def bypassed(host: str, port: int, exceptions: str) -> bool:
    """Whether ``NO_PROXY`` excepts a host: names with what is below them, addresses, prefixes."""
    host = host.lower().rstrip(".")
    for word in exceptions.lower().replace(",", " ").split():
        match = _EXCEPTION.fullmatch(word)
        name, its_port = (match[1].strip("[]"), match[2]) if match else (word, None)
        if its_port in (None, str(port)) and (name == "*" or _covers(name, host)):
            return True
    return False


def _covers(word: str, host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = word.removeprefix("*").lstrip(".").rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ipaddress.ip_network(word, strict=False)
    except ValueError:
        return False


class Ways:
    """What is known of the ways out of each network, in memory only."""

    def __init__(self) -> None:
        self._networks: OrderedDict[str, _Known] = OrderedDict()

    def order(self, network: str, ways: Iterable[str]) -> list[str]:
        """Return the ways, the most promising first; of equals, the order they came in."""
        known = self._networks.get(network) or _Known()

        def rank(way: str) -> int:
            return 0 if way == known.good else 2 if way in known.bad else 1

        return sorted(ways, key=rank)

    def succeeded(self, network: str, way: str) -> None:
        """The gateway was reached by this way."""
        known = self._of(network)
        known.good = way
        known.bad.discard(way)

    def failed(self, network: str, way: str) -> None:
        """This way let us connect, but not to the gateway."""
        known = self._of(network)
        known.bad.add(way)
        if known.good == way:
            known.good = ""

    def forget(self, network: str) -> None:
        """Know nothing of a network: somebody says that it is another one now."""
        self._networks.pop(network, None)

    def _of(self, network: str) -> "_Known":
        known = self._networks.setdefault(network, _Known())
        self._networks.move_to_end(network)
        if len(self._networks) > MAXIMUM_NETWORKS:
            self._networks.popitem(last=False)
        return known


@dataclass(slots=True)
class _Known:
    good: str = ""
    bad: set[str] = field(default_factory=set)


def wpad_names(search: Sequence[str], exempt: Sequence[str] = ()) -> tuple[str, ...]:
    """Return where a network's script may be: ``wpad`` in each of its own domains.

    Never in a domain above one of them, nor in a top-level domain: whoever owns ``wpad.com`` is
    not the network's administrator. ``exempt`` are domains that are not this network's.
    """
    names = []
    for domain in search:
        domain = domain.lower().strip(".")
        foreign = any(domain == own or domain.endswith(f".{own}") for own in exempt)
        if "." in domain and not foreign:
            names.append(f"wpad.{domain}")
    return tuple(dict.fromkeys(names))
