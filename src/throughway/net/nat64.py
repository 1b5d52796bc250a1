"""NAT64 by Debian's tayga: its configuration, its process, and the walls around its device.

tayga gives each client an IPv4 address of a pool that exists nowhere else, and nftables hides the
pool behind the gateway's own inside address. Only what comes out of a tunnel gets in, only to the
IPv4 prefixes that were named, and only answers come back. Formats: tayga.conf(5), RFC 6052.
"""

import asyncio
import contextlib
import socket
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from throughway.model.config import NAT64Config
from throughway.model.errors import ThroughwayError, TransportError
from throughway.net import firewall, netlink
from throughway.net.netlink import Route
from throughway.net.privileges import NOBODY
from throughway.net.process import write_private
from throughway.net.tun import set_up
from throughway.wire import icmpv6

PROGRAM = "/usr/sbin/tayga"
GROUP = "nogroup"
TABLE = "throughway-nat64"
MAIN_TABLE = 254
_ECHO_REQUEST = bytes([icmpv6.ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 0])
"""RFC 4443, section 4.1; the kernel fills the checksum in."""
_ECHO_PAUSE = 0.05
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_CONF = Path("/proc/sys/net/ipv6/conf")
_DEVICES = Path("/proc/thread-self/net/dev")


class NAT64Error(ThroughwayError):
    """The translator cannot be had."""

    problem = "nat64-broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What is let through, and to where."""

    interface: str
    pool: str
    ipv4_prefixes: tuple[str, ...]
    tunnel_interface: str = "ipsec0"
    kernel_esp: bool = False
    routes_others: bool = True
    """Whether the machine was a router for IPv4 already: else nobody else passes."""


def render_config(config: NAT64Config) -> str:
    """Return tayga's configuration."""
    return (
        f"tun-device {config.interface}\n"
        f"ipv4-addr {own_address(config.pool)}\n"
        f"prefix {config.prefix}\n"
        f"dynamic-pool {config.pool}\n"
    )


def own_address(pool: str) -> IPv4Address:
    """Return tayga's own address, from which it says that a host cannot be reached."""
    return IPv4Network(pool)[1]


def translated(prefix: str, address: IPv4Address) -> IPv6Address:
    """Return the IPv6 address of an IPv4 host (RFC 6052, section 2.2, /96)."""
    return IPv6Network(prefix)[int(address)]


def original(prefix: str, address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 host that an address stands for; None outside the prefix."""
    if address not in IPv6Network(prefix):
        return None
    return IPv4Address(int(address) & 0xFFFFFFFF)


def spawn(config: NAT64Config, directory: Path) -> "subprocess.Popen[bytes]":
    """Start tayga; its device is there soon, and goes when it ends."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, log = directory / "tayga.conf", directory / "tayga.log"
    write_private(file, render_config(config))
    write_private(log, "")
    with log.open("ab") as stream:
        try:
            return subprocess.Popen(
                # It makes the device first and is nobody from then on: who that is can write no
                # file of ours, so what it knows of clients is lost with it.
                (PROGRAM, "--nodetach", "--user", NOBODY, "--group", GROUP, "--config", str(file)),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        except OSError as error:
            raise NAT64Error(f"tayga: {error.strerror}") from error


def last_words(directory: Path) -> str:
    """Return the last line that tayga wrote."""
    try:
        lines = (directory / "tayga.log").read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def exists(interface: str) -> bool:
    """Whether there is a device of this name."""
    return interface in {name for _, name in socket.if_nameindex()}


def connect(config: NAT64Config) -> None:
    """Set the device up and lead prefix and pool to it; all of it may be there already."""
    try:
        # Nobody speaks to the device itself: it needs no address, not even its own.
        (_CONF / config.interface / "addr_gen_mode").write_text("1")
        set_up(config.interface)
        for prefix in (config.prefix, config.pool):
            netlink.add_route(_route(config, prefix))
    except (OSError, TransportError) as error:
        raise NAT64Error(f"{config.interface}: {error}") from error


def connected(config: NAT64Config) -> bool:
    """Whether the routes stand."""
    try:
        return all(
            any(
                route.prefix == prefix and route.interface == config.interface
                for route in netlink.routes(MAIN_TABLE, family)
            )
            for prefix, family in ((config.prefix, socket.AF_INET6), (config.pool, socket.AF_INET))
        )
    except OSError:
        return False


def leads(config: NAT64Config) -> bool:
    """Whether what is for the prefix goes to the device, by all routes and rules of this machine.

    Only for IPv6: to IPv4 hosts of the pool nobody else has a reason to lay a way.
    """
    own = translated(config.prefix, own_address(config.pool))
    return netlink.interface_towards(str(own)) == config.interface


def traffic(interface: str) -> tuple[int, int]:
    """Return the octets that clients sent to, and got from, the hosts behind the device."""
    for line in _DEVICES.read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == interface:
            numbers = figures.split()
            # Each packet goes into tayga and comes out again, so half of it is either way.
            return int(numbers[8]), int(numbers[0])
    return 0, 0


async def answers(config: NAT64Config, seconds: float) -> bool:
    """Whether tayga sends anything: its answer to an echo request ends at the walls, counted."""
    before, deadline = traffic(config.interface)[1], time.monotonic() + seconds
    own = translated(config.prefix, own_address(config.pool))
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), _echo_socket() as sock:
            sock.sendto(_ECHO_REQUEST, (str(own), 0))
        await asyncio.sleep(_ECHO_PAUSE)
        if traffic(config.interface)[1] != before:
            return True
    return False


def _echo_socket() -> socket.socket:
    return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def forwards() -> bool:
    """Whether the machine is a router for IPv4."""
    return _FORWARD.read_text().strip() == "1"


def set_forwarding(on: bool) -> None:
    """Make the machine a router for IPv4, or a host again."""
    try:
        _FORWARD.write_text("1" if on else "0")
    except OSError as error:
        raise NAT64Error(f"net.ipv4.ip_forward: {error.strerror}") from error


def guard(walls: Walls) -> None:
    """Raise the walls; replaces what was there."""
    firewall.draw(TABLE, render_walls(walls))


def unguard() -> None:
    """Take all of :func:`guard` back; does nothing where nothing is."""
    firewall.apply(f"table inet {TABLE}\ndelete table inet {TABLE}\n")


def guarded() -> bool:
    """Say whether the walls stand."""
    return firewall.stands(TABLE)


def render_walls(walls: Walls) -> str:
    """Return the table for ``nft -f``, replacing an older one at one stroke."""
    device, tunnel = f'"{walls.interface}"', f'"{walls.tunnel_interface}"'
    allowed = ", ".join(walls.ipv4_prefixes)
    from_tunnel, to_tunnel = f"iifname != {tunnel}", f"oifname != {tunnel}"
    if walls.kernel_esp:
        from_tunnel, to_tunnel = "meta ipsec missing", "rt ipsec missing"
    others, reject = "", "counter reject with icmp type admin-prohibited"
    if not walls.routes_others:
        others = f"meta nfproto ipv4 iifname != {device} oifname != {device} counter drop"
    return f"""table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname {device} counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    meta nfproto ipv6 oifname {device} {from_tunnel} counter drop
    meta nfproto ipv6 iifname {device} {to_tunnel} counter drop
    iifname {device} oifname {device} counter drop
    meta nfproto ipv4 iifname {device} ip daddr != {{ {allowed} }} {reject}
    meta nfproto ipv4 oifname {device} ct state != {{ established, related }} counter drop
    {others}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {walls.pool} oifname != {device} masquerade
  }}
}}
"""


def _route(config: NAT64Config, prefix: str) -> Route:
    return Route(prefix=prefix, interface=config.interface)
