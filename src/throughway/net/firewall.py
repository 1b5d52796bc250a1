"""Fail-closed on the client, nothing in plain on the gateway: routing rules and nftables.

The client's state lives in the kernel alone, so it outlives a killed daemon or charon. It stands
in two lines that do not depend on each other:

1. a routing table in which every intranet prefix is unreachable. charon's own table comes right
   before it (preference 220), so an address is reachable exactly while a tunnel for it is up;
2. an nftables table that rejects what would leave for an intranet prefix by any other way, and
   drops what claims to come from there.

Both leave packets with the mark alone that IKE and the probes of location and DNS carry: these
must find out where the client is. IPsec endpoints and the IP-HTTPS link are no intranet prefixes.
"""

import subprocess
from dataclasses import dataclass, replace
from ipaddress import IPv6Network, collapse_addresses

from throughway.model.errors import ThroughwayError
from throughway.net import netlink
from throughway.net.netlink import PROTOCOL, Route, Rule

REASONS_RATE = 50
"""Connections a second, of all clients, that ask why they were refused."""
MARK = 0x42
"""Mark of the sockets that may reach intranet addresses in plain; charon's ``fwmark = !0x42``."""
CLOSED_TABLE = 221
CLOSED_PREFERENCE = 221
"""Right behind charon's table 220."""
CLIENT_TABLE = "throughway-client"
GATEWAY_TABLE = "throughway-gateway"
MAXIMUM_SEGMENT = 1130
"""Octets of TCP payload that fit with ESP in UDP into the 1280 octets of the IP-HTTPS link."""
_ON_LINK = ("fe80::/10", "ff00::/8")
"""What force tunnelling leaves alone: such packets never go beyond the link. Multicast is for
neighbour discovery and the like; what programs send there is held back by the second line."""
_EVERYTHING = ("::/0",)
_LINK_ONLY = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, mld-listener-query, mld-listener-report, "
    "mld-listener-done, mld2-listener-report, packet-too-big } accept"
)
_DHCP = "udp sport 68 udp dport 67 accept"
_NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept"
"""They never leave the link; without them a location server on the own link has no way back."""
NFT_TIMEOUT = 10.0
"""Seconds; nft needs milliseconds, more means that it hangs."""

CLOSED_RULE = Rule(
    table=CLOSED_TABLE, priority=CLOSED_PREFERENCE, mark=MARK, invert=True, protocol=PROTOCOL
)


class FirewallError(ThroughwayError):
    """A line could not be drawn, nor seen to stand."""

    problem = "firewall-rules-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFirewall:
    """What is closed on a client."""

    prefixes: tuple[str, ...]
    """The prefixes of all tunnels."""
    exempt: tuple[str, ...] = ()
    """Prefixes within them that stay reachable: endpoints and link, where a deployment has them
    there."""
    tunnel_interface: str = "ipsec0"
    """Where libipsec encrypts."""
    kernel_esp: bool = False
    """Whether the kernel encrypts: then packets under an IPsec policy may pass."""
    everything: bool = False
    """Force tunnelling: IPv6 and IPv4 leave through a tunnel or not at all."""
    relay: tuple[str, int] | None = None
    """Under force tunnelling, where TCP of IPv4 is taken to: a relay to a proxy inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFirewall:
    """The gateway's side of the IP-HTTPS links."""

    interfaces: tuple[str, ...] = ("iphttps0",)
    """Of all workers."""
    tunnel_interface: str = "ipsec0"
    kernel_esp: bool = False
    reasons: tuple[str, int] | None = None
    """Address and TCP port at which clients ask why they were refused."""
    routes_others: bool = True
    """Whether the machine was a router already: else it is one for the tunnels alone, and nobody
    outside reaches the intranet through it just because it forwards."""


def close_client(firewall: ClientFirewall) -> None:
    """Make the prefixes unreachable but through tunnels; replaces what was closed before.

    Raises :exc:`ThroughwayError` when a line cannot be drawn; the other one is drawn then.
    """
    try:
        _close_routes(firewall)
    except OSError as error:
        draw(CLIENT_TABLE, render_client(firewall))
        raise FirewallError(f"routes of the intranet cannot be closed: {error}") from error
    try:
        draw(CLIENT_TABLE, render_client(firewall))
    except FirewallError:
        if firewall.relay is not None:  # a kernel without NAT must be closed all the same
            draw(CLIENT_TABLE, render_client(replace(firewall, relay=None)))
        raise


def open_client() -> None:
    """Take all of :func:`close_client` back; does nothing where nothing is."""
    apply(_removal(CLIENT_TABLE))
    netlink.delete_rule(CLOSED_RULE)
    netlink.flush_routes(CLOSED_TABLE)


def client_closed(firewall: ClientFirewall) -> bool:
    """Say whether both lines stand, the second one as it was drawn."""
    return (
        CLOSED_RULE in netlink.rules()
        and _closed_routes(firewall) <= set(netlink.routes(CLOSED_TABLE))
        and stands(CLIENT_TABLE)
    )


def guard_gateway(firewall: GatewayFirewall) -> None:
    """Let only IKE, ESP and ICMPv6 in from the link; replaces what was there."""
    draw(GATEWAY_TABLE, render_gateway(firewall))


def unguard_gateway() -> None:
    """Take all of :func:`guard_gateway` back; does nothing where nothing is."""
    apply(_removal(GATEWAY_TABLE))


def gateway_guarded() -> bool:
    """Say whether the gateway's table stands."""
    return stands(GATEWAY_TABLE)


def render_client(firewall: ClientFirewall) -> str:
    """Return the client's table for ``nft -f``, replacing an older one at one stroke."""
    if firewall.everything:
        return _render_everything(firewall)
    tunnel = quoted(firewall.tunnel_interface)
    outside_ipsec = "rt ipsec missing " if firewall.kernel_esp else ""
    from_outside_ipsec = "meta ipsec missing " if firewall.kernel_esp else ""
    sets = _set("intranet", firewall.prefixes)
    exempt_out = exempt_in = ""
    if firewall.exempt:
        sets += _set("exempt", firewall.exempt)
        exempt_out, exempt_in = "ip6 daddr != @exempt ", "ip6 saddr != @exempt "
    other_way = f'oifname != {{ "lo", {tunnel} }} {outside_ipsec}'
    return f"""{_removal(CLIENT_TABLE)}
table inet {CLIENT_TABLE} {{
{sets}
  chain output {{
    type filter hook output priority filter; policy accept;
    meta mark {MARK:#x} accept
    {_NEIGHBOURS}
    ip6 daddr @intranet {exempt_out}{other_way}counter reject with icmpv6 no-route
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ip6 daddr @intranet {exempt_out}{other_way}counter reject with icmpv6 no-route
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    socket mark {MARK:#x} accept
    {_NEIGHBOURS}
    ip6 saddr @intranet {exempt_in}iifname != {{ "lo", {tunnel} }} {from_outside_ipsec}counter drop
  }}
}}
"""


def _render_everything(firewall: ClientFirewall) -> str:
    """Force tunnelling: what is not for a tunnel, the link to it or this machine stays here."""
    tunnel = quoted(firewall.tunnel_interface)
    through_ipsec = "rt ipsec exists accept" if firewall.kernel_esp else ""
    from_ipsec = "meta ipsec exists accept" if firewall.kernel_esp else ""
    endpoints = _set("endpoints", firewall.exempt)
    to_proxy = ""
    if firewall.relay is not None:
        address, port = firewall.relay
        to_proxy = f"""
  chain to_proxy {{
    type nat hook output priority -100; policy accept;
    meta mark {MARK:#x} accept
    ip daddr 127.0.0.0/8 accept
    fib daddr type local accept
    meta nfproto ipv4 meta l4proto tcp dnat ip to {address}:{port}
  }}"""
    # A connection taken to the relay still shows the interface that it would have left by.
    ways = f"""ip daddr 127.0.0.0/8 accept
    oifname {{ "lo", {tunnel} }} accept
    {_NEIGHBOURS}
    ip6 daddr @endpoints accept
    {through_ipsec}"""
    return f"""{_removal(CLIENT_TABLE)}
table inet {CLIENT_TABLE} {{
{endpoints}{to_proxy}
  chain output {{
    type filter hook output priority filter; policy accept;
    meta mark {MARK:#x} accept
    {ways}
    {_LINK_ONLY}
    {_DHCP}
    meta nfproto ipv6 counter reject with icmpv6 no-route
    counter reject with icmp net-prohibited
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    oifname {tunnel} accept
    {through_ipsec}
    meta nfproto ipv6 counter reject with icmpv6 no-route
    counter reject with icmp net-prohibited
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    socket mark {MARK:#x} accept
    iifname {{ "lo", {tunnel} }} accept
    {_NEIGHBOURS}
    ip6 saddr @endpoints accept
    {from_ipsec}
    {_LINK_ONLY}
    meta nfproto ipv6 counter drop
    udp sport 67 udp dport 68 accept
    ct state established accept
    icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
    counter drop
  }}
}}
"""


def render_gateway(firewall: GatewayFirewall) -> str:
    """Return the gateway's table for ``nft -f``, replacing an older one at one stroke."""
    links = ", ".join(quoted(interface) for interface in firewall.interfaces)
    link, tunnel = f"{{ {links} }}", quoted(firewall.tunnel_interface)
    clamp = (
        f"tcp flags syn tcp option maxseg size > {MAXIMUM_SEGMENT} "
        f"tcp option maxseg size set {MAXIMUM_SEGMENT}"
    )
    decrypted = to_encrypt = ""
    if firewall.kernel_esp:
        decrypted, to_encrypt = "meta ipsec exists accept", f"oifname {link} rt ipsec exists accept"
    asked = ""
    if firewall.reasons is not None:
        address, port = firewall.reasons
        to_reasons = f"ip6 daddr {address} tcp dport {port}"
        syn = f"tcp flags & (syn | ack) == syn limit rate over {REASONS_RATE}/second"
        asked = f"{to_reasons} {syn} counter drop\n    {to_reasons} accept"
    elsewhere = f"iifname != {link} oifname != {link} accept"
    if not firewall.routes_others:
        elsewhere = (
            f"meta nfproto ipv4 iifname != {link} oifname != {link} accept\n"
            f"    iifname {tunnel} oifname != {link} accept\n"
            f"    iifname != {link} oifname {tunnel} accept"
        )
    # Full-size ESP over the link comes as fragments, of which only the first shows its port.
    # Asking for the state of connections makes the kernel put them together first; the link's
    # packets are not tracked for that.
    return f"""{_removal(GATEWAY_TABLE)}
table inet {GATEWAY_TABLE} {{
  chain untracked {{
    type filter hook prerouting priority raw; policy accept;
    iifname {link} notrack
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname != {link} accept
    {decrypted}
    ct state untracked udp dport {{ 500, 4500 }} accept
    meta l4proto {{ esp, ipv6-icmp }} accept
    {asked}
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname {{ {links}, {tunnel} }} {clamp}
    oifname {{ {links}, {tunnel} }} {clamp}
    {elsewhere}
    iifname {link} {decrypted or "counter drop"}
    {to_encrypt}
    counter drop
  }}
}}
"""


def _close_routes(firewall: ClientFirewall) -> None:
    wanted = _closed_routes(firewall)
    for route in wanted:
        netlink.add_route(route)
    netlink.add_rule(CLOSED_RULE)
    for route in netlink.routes(CLOSED_TABLE):
        if route.protocol == PROTOCOL and route not in wanted:
            netlink.delete_route(route)


def _closed_routes(firewall: ClientFirewall) -> set[Route]:
    kinds = {"unreachable": firewall.prefixes, "throw": firewall.exempt}
    if firewall.everything:
        kinds = {"unreachable": _EVERYTHING, "throw": (*firewall.exempt, *_ON_LINK)}
    return {
        Route(prefix=str(network), kind=kind, table=CLOSED_TABLE)
        for kind, prefixes in kinds.items()
        for network in _collapsed(prefixes)
    }


def _collapsed(prefixes: tuple[str, ...]) -> list[IPv6Network]:
    # nft refuses a set whose intervals overlap.
    return list(collapse_addresses(IPv6Network(prefix) for prefix in prefixes))


def _set(name: str, prefixes: tuple[str, ...]) -> str:
    networks = ", ".join(map(str, _collapsed(prefixes)))
    elements = f" elements = {{ {networks} }};" if networks else ""
    return f"  set {name} {{ type ipv6_addr; flags interval;{elements} }}\n"


def quoted(interface: str) -> str:
    """Return the name of an interface as nft takes it; FirewallError when it is none."""
    if not interface or not set(interface) <= _INTERFACE_CHARACTERS:
        raise FirewallError(f"{interface!r} is no name of an interface")
    return f'"{interface}"'


_INTERFACE_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")


def _removal(table: str) -> str:
    # Naming it first makes the removal succeed where there is none.
    return f"table inet {table}\ndelete table inet {table}\n"


def has_table(table: str) -> bool:
    """Whether the kernel has an nftables table of this name."""
    return bool(_listing(table))


def draw(table: str, text: str, *, fixed: bool = True) -> None:
    """Hand the rules of a table to nft, and remember what the kernel has made of them.

    ``fixed``: what is in its sets stays as it is now.
    """
    _DRAWN.pop(table, None)
    apply(text)
    _DRAWN[table] = fixed, _listing(table, elements=fixed)


def stands(table: str) -> bool:
    """Whether a table is there and as this process has drawn it.

    That it is there is not enough: flushed, it holds nothing back. What another process has drawn
    is only known to be there.
    """
    fixed, drawn = _DRAWN.get(table, (True, ""))
    listing = _listing(table, elements=fixed)
    return bool(listing) and listing == (drawn or listing)


_DRAWN: dict[str, tuple[bool, str]] = {}
"""Tables as nft listed them when this process had drawn them, and whether with what is in sets."""


def _listing(table: str, *, elements: bool = False) -> str:
    """Return the rules of a table without its counters, "" where there is none."""
    command = ("nft", "--stateless", *(() if elements else ("--terse",)), "list", "table")
    try:
        answer = subprocess.run(
            (*command, "inet", table), capture_output=True, timeout=NFT_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirewallError(f"nft: {error}") from error
    return "" if answer.returncode else answer.stdout.decode(errors="replace")


def apply(text: str) -> None:
    """Hand rules to ``nft -f``; raises :exc:`FirewallError` when it refuses them."""
    try:
        answer = subprocess.run(
            ["nft", "-f", "-"],
            input=text,
            capture_output=True,
            text=True,
            timeout=NFT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirewallError(f"nft: {error}") from error
    if answer.returncode:
        raise FirewallError(f"nft: {answer.stderr.strip()}")
