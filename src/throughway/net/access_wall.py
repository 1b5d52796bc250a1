"""How far each client gets through its tunnels, on the gateway: an nftables table of its own.

Clients are told apart by the address of their end, which IPsec proves: what comes out of a
tunnel has no other one (traffic selectors of one address). Prefixes are granted before charon is
told that a user may come in; what nobody was granted stays outside, so a killed daemon that
comes back begins closed. Infrastructure servers are open to every computer: their tunnel leads
nowhere else.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, collapse_addresses

from throughway.net import firewall

TABLE = "throughway-access"
Granted = Mapping[str, tuple[str, ...]]
"""Prefixes by the client's address."""
_ERRORS = (
    "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessWall:
    """What does not change while the gateway runs."""

    open_prefixes: tuple[str, ...]
    """The infrastructure tunnel's."""
    tunnel_interface: str = "ipsec0"
    kernel_esp: bool = False


class Grants:
    """Who may reach what, now; each change is one transaction of nftables."""

    def __init__(self) -> None:
        self.wall: AccessWall | None = None
        """As it was raised last."""
        self._granted: dict[str, tuple[str, ...]] = {}
        self._one = asyncio.Lock()

    @property
    def granted(self) -> Mapping[str, tuple[str, ...]]:
        """The prefixes by the client's address."""
        return self._granted

    async def grant(self, address: str, prefixes: tuple[str, ...]) -> None:
        """Let a client reach these prefixes, and no others any more."""
        await self.change(lambda granted: {**granted, address: prefixes})

    async def keep(self, addresses: Iterable[str]) -> None:
        """Take back what was granted to all others."""
        kept = set(addresses)
        await self.change(lambda granted: {a: p for a, p in granted.items() if a in kept})

    async def change(self, changed: Callable[[Granted], Granted]) -> None:
        """Grant exactly what ``changed`` makes of what is granted then.

        One after the other: two who come in the same moment must not undo each other's. Raises
        :exc:`FirewallError`, and nothing has changed then.
        """
        async with self._one:
            granted = dict(changed(self._granted))
            if granted != self._granted:
                await asyncio.to_thread(firewall.apply, render_grants(granted))
                self._granted = granted

    async def raise_again(self, wall: AccessWall) -> None:
        """Make the table, with all that is granted: at the start, and when somebody wiped it."""
        async with self._one:
            text = render(wall) + render_grants(self._granted)
            await asyncio.to_thread(firewall.draw, TABLE, text, fixed=False)
            self.wall = wall

    async def remove(self) -> None:
        """Leave nothing behind."""
        async with self._one:
            await asyncio.to_thread(firewall.apply, removal())
            self._granted = {}


def standing() -> bool:
    """Say whether the table is there, with its rules."""
    return firewall.stands(TABLE)


def render(wall: AccessWall) -> str:
    """Return the table for ``nft -f``, with nothing granted."""
    networks = collapse_addresses(IPv6Network(prefix) for prefix in wall.open_prefixes)
    opened = ", ".join(map(str, networks))
    if wall.kernel_esp:
        arriving, leaving = "meta ipsec exists", "rt ipsec exists"
    else:
        interface = firewall.quoted(wall.tunnel_interface)
        arriving, leaving = f"iifname {interface}", f"oifname {interface}"
    return f"""{removal()}
table inet {TABLE} {{
  set granted {{ type ipv6_addr . ipv6_addr; flags interval; }}
  set open {{ type ipv6_addr; flags interval; elements = {{ {opened} }}; }}
  chain arriving {{
    ip6 saddr . ip6 daddr @granted accept
    ip6 daddr @open accept
    counter reject with icmpv6 admin-prohibited
  }}
  chain leaving {{
    ip6 daddr . ip6 saddr @granted accept
    ip6 saddr @open accept
    {_ERRORS} accept
    counter drop
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    {arriving} jump arriving
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {arriving} jump arriving
    {leaving} jump leaving
  }}
  chain output {{
    type filter hook output priority filter; policy accept;
    {leaving} jump leaving
  }}
}}
"""


def render_grants(granted: Mapping[str, tuple[str, ...]]) -> str:
    """Return what puts exactly this into the table's set."""
    elements = ", ".join(
        f"{IPv6Address(address)} . {network}"
        for address, prefixes in granted.items()
        for network in collapse_addresses(IPv6Network(prefix) for prefix in prefixes)
    )
    text = f"flush set inet {TABLE} granted\n"
    return text + (f"add element inet {TABLE} granted {{ {elements} }}\n" if elements else "")


def removal() -> str:
    """Return what takes the table away, also where there is none."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"
