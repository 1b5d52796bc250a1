"""Cables and addresses: batches for ``ip -batch``, one for the switch and one for each host.

A virtual cable is made from the switch's namespace straight into the host's, so that the
machine's own network never sees a thing.
"""

from collections.abc import Iterable, Mapping, Sequence

from throughway.lab.topology import (
    LOOPBACK,
    MOBILE_INTERFACE,
    Host,
    Interface,
    Place,
    Route,
    Topology,
    fqdn,
    port_name,
)

SETTINGS = """
set -e
for setting in "$@"; do echo "${setting#*=}" > "/proc/sys/${setting%%=*}"; done
"""
"""Run in a host with settings as arguments, such as ``net/ipv4/ip_forward=1``."""

RESOLV_CONF = """
set -e
cat > /etc/resolv.conf.new
mv -f /etc/resolv.conf.new /etc/resolv.conf
"""
"""As DHCP clients do: a new file in the old one's place."""

MASQUERADE = """
table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{outside}" masquerade
  }}
}}
table inet filter {{
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{outside}" ct state established,related accept
    iifname "{outside}" drop
  }}
}}
"""

OUTWARD_PORTS = """
table inet hotel {{
  chain forward {{
    type filter hook forward priority filter - 1; policy accept;
    oifname "{outside}" tcp dport {{ {ports} }} accept
    oifname "{outside}" drop
  }}
}}
"""
"""A drop, since such networks do not say no."""


def switch_settings() -> list[str]:
    """Return the switch's settings: bridges carry frames and have no address of their own."""
    return ["net/ipv6/conf/default/disable_ipv6=1"]


def switch_batch(topology: Topology, pids: Mapping[str, int]) -> str:
    """Return what makes every bridge and every cable; mobile hosts come unplugged."""
    lines = []
    for network in topology.networks:
        # With snooping, neighbour discovery would wait for multicast reports.
        lines.append(f"link add {network.name} type bridge mcast_snooping 0 stp_state 0")
        lines.append(f"link set {network.name} up")
    for host in topology.hosts:
        for interface in cabled(host):
            port, pid = port_name(host.name, interface.name), pids[host.name]
            lines.append(f"link add {port} type veth peer name {interface.name} netns {pid}")
            if interface.network:
                lines.append(f"link set {port} master {interface.network} up")
    return "\n".join(lines) + "\n"


def cabled(host: Host) -> tuple[Interface, ...]:
    """Return the interfaces of a host that have a cable."""
    if host.mobile:
        return (Interface(name=MOBILE_INTERFACE, network="", addresses=()),)
    return tuple(interface for interface in host.interfaces if interface.name != LOOPBACK)


def host_settings(host: Host) -> list[str]:
    """Return the kernel settings of a host; a new namespace would copy some of the machine's."""
    forwarding = int(host.forwarding)
    settings = [
        f"net/ipv4/ip_forward={forwarding}",
        f"net/ipv6/conf/all/forwarding={forwarding}",
        # Loose: edge1 and core1 have two ways out.
        "net/ipv4/conf/all/rp_filter=2",
    ]
    # Addresses work at once; interfaces that come later keep duplicate address detection.
    settings += [f"net/ipv6/conf/{i.name}/accept_dad=0" for i in cabled(host)]
    return settings


def host_batch(host: Host) -> str:
    """Return what gives a host its addresses and routes."""
    lines = ["link set lo up"]
    for interface in host.interfaces:
        lines.append(f"link set {interface.name} up")
        lines += _addresses(interface.name, interface.addresses)
    lines += _routes(host.routes)
    return "\n".join(lines) + "\n"


def plug_batch(host: str, place: Place) -> str:
    """Return what changes the cable in the switch: pulled, and put into the place's network."""
    port = port_name(host, MOBILE_INTERFACE)
    unplugged = f"link set {port} down nomaster\n"
    if not place.network:
        return unplugged
    return f"{unplugged}link set {port} master {place.network} up\n"


def cable_batch(host: str, *, up: bool) -> str:
    """Return what pulls a mobile host's cable or puts it back where it was."""
    return f"link set {port_name(host, MOBILE_INTERFACE)} {'up' if up else 'down'}\n"


def leave_batch() -> str:
    """Return what a mobile host forgets when it has left a network."""
    # Down takes IPv6 addresses and all routes with it; IPv4 addresses must be flushed.
    return f"link set {MOBILE_INTERFACE} down\naddr flush dev {MOBILE_INTERFACE}\n"


def join_batch(host: Host, place: Place) -> str:
    """Return what a mobile host is given by the network it has come into."""
    lines = [f"link set {MOBILE_INTERFACE} up"]
    lines += _addresses(MOBILE_INTERFACE, place.addresses(host.number))
    lines += _routes(place.routes)
    return "\n".join(lines) + "\n"


def build_resolv_conf(nameservers: Sequence[str], search: str) -> str:
    """Return the file as the network's settings make it."""
    lines = [f"search {search}"] if search else []
    lines += [f"nameserver {address}" for address in nameservers]
    return "\n".join(lines) + "\n"


def build_hosts(host: Host) -> str:
    """Return /etc/hosts of a host: itself, nobody else."""
    own = [a.partition("/")[0] for i in cabled(host) for a in i.addresses] or ["127.0.1.1"]
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {fqdn(host.name)} {host.name}" for address in own]
    return "\n".join(lines) + "\n"


def _addresses(interface: str, addresses: Iterable[str]) -> list[str]:
    return [
        f"addr add {address} dev {interface}{' nodad' if ':' in address else ''}"
        for address in addresses
    ]


def _routes(routes: Iterable[Route]) -> list[str]:
    return [f"route add {_prefix(route)} via {route.via}" for route in routes]


def _prefix(route: Route) -> str:
    # In a batch there is no `ip -6`: the prefix itself must say which family is meant.
    if route.prefix != "default":
        return route.prefix
    return "::/0" if ":" in route.via else "0.0.0.0/0"
