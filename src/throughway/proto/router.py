"""The router of an IP-HTTPS link: Router Advertisements, unsolicited and asked for.

Driven by :mod:`throughway.proto.iphttps.server`. RFC 4861 sections 6.2.4 to 6.2.6; the kernel of
the gateway sends none itself, since each client sits at the end of its own stream. No default
route is offered: clients keep their own way to the Internet, and learn routes to the IPsec
endpoints alone (RFC 4191).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from throughway.model.errors import WireError
from throughway.wire.icmpv6 import (
    PrefixInformation,
    RecursiveDNS,
    RouteInformation,
    RouterAdvertisement,
    build_icmpv6,
)
from throughway.wire.ipv6 import (
    ALL_NODES,
    MIN_MTU,
    format_address,
    parse_address,
    parse_prefix,
)

MAX_ADVERTISEMENT_INTERVAL = 600.0
"""Seconds between unsolicited advertisements (RFC 4861, section 6.2.1: MaxRtrAdvInterval)."""
PREFERRED_LIFETIME = 3600
"""Seconds: six lost advertisements before an address is deprecated."""
VALID_LIFETIME = 7200
"""Seconds: a client keeps its address, and with it its tunnels, over two hours without the link;
shorter ones are raised to two hours by RFC 4862, section 5.5.3, anyway."""
SOLICITATION_BURST = 5
"""Solicitations answered at once; a client that starts sends three (RFC 4861, section 10)."""
SOLICITATION_INTERVAL = 1.0
"""Seconds in which one more may be answered."""

ROUTER_LINK_LOCAL = parse_address("fe80::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The /64 of a link and its router's addresses on it."""

    prefix: bytes
    """16 bytes, the last eight zero."""
    address: bytes
    """The router's: the prefix's first."""
    link_local: bytes = ROUTER_LINK_LOCAL
    mtu: int = MIN_MTU

    @classmethod
    def of(cls, text: str) -> "Link":
        """Make a link of a prefix such as ``2001:db8:da:1000::/64``."""
        prefix, length = parse_prefix(text)
        if length != 64:
            raise WireError(f"the prefix of a link is a /64, not {text}")
        return cls(prefix=prefix, address=prefix[:8] + b"\0" * 7 + b"\x01")

    @classmethod
    def within(cls, text: str, number: int) -> "Link":
        """Make the link of the prefix's n-th /64, from 0; WireError where there is none."""
        if not 0 <= number < links_within(text):
            raise WireError(f"{text} has no /64 number {number}")
        first = int.from_bytes(parse_prefix(text)[0][:8]) + number
        return cls.of(f"{format_address(first.to_bytes(8) + bytes(8))}/64")

    @property
    def text(self) -> str:
        """Return the prefix as people write it."""
        return f"{format_address(self.prefix)}/64"

    def holds(self, address: bytes) -> bool:
        """Whether the address is in the link's prefix."""
        return address[:8] == self.prefix[:8]


def links_within(text: str) -> int:
    """Return how many /64 a prefix has."""
    return 1 << max(0, 64 - parse_prefix(text)[1])


@dataclass(slots=True)
class SolicitationBudget:
    """How many solicitations one client may still have answered (a token bucket)."""

    tokens: float = SOLICITATION_BURST
    filled_at: float = 0.0

    def take(self, now: float) -> bool:
        """Take one answer out of the budget; False when it is used up."""
        gained = max(0.0, now - self.filled_at) / SOLICITATION_INTERVAL
        self.tokens = min(float(SOLICITATION_BURST), self.tokens + gained)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Router:
    """Says what is to be known of the link, and when it is due to be said again."""

    def __init__(
        self, link: Link, *, routes: Sequence[str] = (), dns: Sequence[str] = (), now: float
    ) -> None:
        self.link = link
        self._advertisement = build_icmpv6(
            _advertisement(link, routes, dns), source=link.link_local, destination=ALL_NODES
        )
        self._due_at = now + MAX_ADVERTISEMENT_INTERVAL

    def advertisement(self) -> bytes:
        """Return the whole packet, multicast to all nodes of a client's stream."""
        return self._advertisement

    def answer(self, budget: SolicitationBudget, now: float) -> bytes | None:
        """Return the advertisement for a solicitation, or None when it came too often."""
        return self._advertisement if budget.take(now) else None

    def timer_at(self) -> float:
        """Return when :meth:`handle_timer` is due."""
        return self._due_at

    def handle_timer(self, now: float) -> bytes | None:
        """Return the advertisement which is due to every client, or None."""
        if now < self._due_at:
            return None
        self._due_at = now + MAX_ADVERTISEMENT_INTERVAL
        return self._advertisement


def _advertisement(link: Link, routes: Sequence[str], dns: Sequence[str]) -> RouterAdvertisement:
    """Collect what is advertised.

    The prefix is on-link, so that the client has a route to the router's own address (there is
    no default route it could use); a packet to another client goes the same way and is refused
    by the gateway.
    """
    return RouterAdvertisement(
        mtu=link.mtu,
        prefixes=(
            PrefixInformation(
                prefix=link.prefix,
                length=64,
                on_link=True,
                autonomous=True,
                valid=VALID_LIFETIME,
                preferred=PREFERRED_LIFETIME,
            ),
        ),
        routes=tuple(_route(text) for text in routes),
        dns=(RecursiveDNS(lifetime=VALID_LIFETIME, servers=tuple(map(parse_address, dns))),)
        if dns
        else (),
    )


def _route(text: str) -> RouteInformation:
    prefix, length = parse_prefix(text)
    return RouteInformation(prefix=prefix, length=length, lifetime=VALID_LIFETIME)
