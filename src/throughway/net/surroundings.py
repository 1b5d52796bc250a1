"""By what a network is known again: its router's link-layer address, else its prefix.

Names and addresses repeat from one network to the next (192.168.1.0/24 is everywhere); the router's
own address does not.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from throughway.net import netlink
from throughway.net.firewall import MARK

PATIENCE = 0.1
"""Seconds for the router to answer on the link."""
INTERVAL = 0.01
DISCARD = 9
"""The port of a datagram that only serves to make the kernel ask for the neighbour."""


async def recognise(ignored: frozenset[str] = frozenset()) -> str:
    """Return what this network is known by, "" where there is none; takes a tenth of a second."""
    gateways = tuple(_gateways(ignored))
    for interface, gateway in gateways:
        _provoke(interface, gateway)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while gateways:
        known = {(n.interface, str(n.address)): n.link_address for n in netlink.neighbours()}
        for way in gateways:
            if way in known:
                return f"router {known[way]}"
        if loop.time() >= deadline:
            break
        await asyncio.sleep(INTERVAL)
    return _prefix(ignored)


def silent_router(*, unreachable: bool = False) -> str:
    """Return the default router if it was looked for on its link and does not answer, "" else.

    Of several, all have to be silent. What it says follows an attempt to reach somebody: only
    then does the kernel look for the router. ``unreachable``: that attempt has failed since a
    host cannot be reached. No router has said so whose own address is not known, so the kernel
    has given up looking for it, even where it has begun again.
    """
    try:
        gateways = tuple(_gateways(frozenset()))
        silent = netlink.silent_neighbours(asked=unreachable) if gateways else frozenset()
    except OSError:
        return ""
    return gateways[0][1] if gateways and all(way in silent for way in gateways) else ""


def _gateways(ignored: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Return interface and address of the default routers, the preferred one first."""
    for family in (socket.AF_INET, socket.AF_INET6):
        routes = netlink.routes(netlink.MAIN_TABLE, family)
        for route in sorted(routes, key=lambda route: route.metric):
            usable = route.via and route.interface and route.interface not in ignored
            if usable and ip_network(route.prefix).prefixlen == 0:
                yield route.interface, route.via


def _provoke(interface: str, gateway: str) -> None:
    version = ip_address(gateway).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        zone = () if version == 4 else (0, socket.if_nametoindex(interface))
        sock.sendto(b"", (gateway, DISCARD, *zone))


def _prefix(ignored: frozenset[str]) -> str:
    prefixes = sorted(
        str(ip_network(f"{a.address}/{a.prefix_length}", strict=False))
        for a in netlink.addresses()
        if a.usable and a.interface not in ignored and not a.address.is_loopback
    )
    return f"prefix {prefixes[0]}" if prefixes else ""
