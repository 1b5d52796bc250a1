"""6to4 addresses and the checks of its packets (RFC 3056, RFC 3964)."""

from functools import lru_cache
from ipaddress import IPv4Address

from throughway.model.errors import WireError

PREFIX = b"\x20\x02"
"""2002::/16."""
PROTOCOL = 41
ANYCAST_RELAY = IPv4Address("192.88.99.1")
"""Deprecated by RFC 7526: nobody answers there any more."""

_SPECIAL = IPv4Address("192.88.99.0").packed[:3]


def is_sixtofour(address: bytes) -> bool:
    """Whether the IPv6 address is in 2002::/16."""
    return address[:2] == PREFIX


def embedded_address(address: bytes) -> bytes:
    """Return the IPv4 address within a 6to4 address."""
    if len(address) != 16 or not is_sixtofour(address):
        raise WireError(f"no 6to4 address: {address.hex()}")
    return address[2:6]


def build_prefix(ipv4: bytes) -> bytes:
    """Return the /48 of a public IPv4 address, as 16 bytes."""
    if not is_usable(ipv4):
        raise WireError(f"no 6to4 prefix for {ipv4.hex()}")
    return PREFIX + ipv4 + bytes(10)


def build_endpoint(ipv4: bytes) -> bytes:
    """Return the address which Windows gives the adapter: the IPv4 address twice."""
    return build_prefix(ipv4)[:12] + ipv4


@lru_cache(maxsize=4096)
def is_usable(ipv4: bytes) -> bool:
    """Whether an IPv4 address may stand in a 6to4 address (RFC 3964, section 5.3.1).

    Not private, loopback, link-local, multicast, reserved, shared (RFC 6598) or the relays' own.
    """
    return len(ipv4) == 4 and IPv4Address(ipv4).is_global and ipv4[:3] != _SPECIAL and ipv4[0] < 224


def check_packet(outer_source: bytes, outer_destination: bytes, inner: bytes) -> None:
    """Raise :exc:`WireError` when a packet as it came in must be dropped (RFC 3964, section 5).

    ``inner`` is the IPv6 packet. A 6to4 source must be that of the outer header; one which is
    native has come by a relay, and only then its outer source is anybody's.
    """
    if len(inner) < 40:
        raise WireError("6to4 without a whole IPv6 header")
    for address in (outer_source, outer_destination):
        if address != ANYCAST_RELAY.packed and not is_usable(address):
            raise WireError(f"6to4 with the outer address {IPv4Address(address)}")
    source, destination = inner[8:24], inner[24:40]
    if is_sixtofour(source) and embedded_address(source) != outer_source:
        raise WireError("6to4 source is not that of the outer header")
    if is_sixtofour(destination) and not is_usable(embedded_address(destination)):
        raise WireError("6to4 destination holds no public address")
