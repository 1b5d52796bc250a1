"""Addresses that nobody on the Internet can reach, since every network has them for itself."""

import ipaddress

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7")
)
"""RFC 1918, 3927, and 4193; what is there for documentation stands for public addresses."""


def is_private(text: str) -> bool:
    """Whether an address is of a network's own; text that is none is not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE)
