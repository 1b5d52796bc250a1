"""Where an IP-HTTPS server listens: for clients, and for a device before it; and who connects."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from throughway.model.config import IPHTTPSServerConfig
from throughway.model.errors import Stage, TransportError
from throughway.wire.ipv6 import format_address

BACKLOG = 4096
"""Connections which the kernel holds for us (as far as net.core.somaxconn lets it)."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens."""

    socket: socket.socket
    adc: bool
    """Whether only the ADC may connect."""


def endpoints_of(config: IPHTTPSServerConfig) -> tuple[tuple[str, int], ...]:
    """Return where a server listens: for clients, then for the ADC before it."""
    return config.listen + (config.adc.listen if config.adc is not None else ())


def is_adc(config: IPHTTPSServerConfig, address: str) -> bool:
    """Whether connections from there are the ADC's."""
    if config.adc is None:
        return False
    found = ipaddress.ip_address(address.partition("%")[0])
    return any(found in ipaddress.ip_network(prefix) for prefix in config.adc.addresses)


def listen(
    addresses: Iterable[tuple[str, int]], *, shared: bool = False
) -> tuple[socket.socket, ...]:
    """Listen on all addresses; ``shared``: others listen there too (SO_REUSEPORT).

    Raises TransportError when one cannot be had.
    """
    listeners: list[socket.socket] = []
    try:
        for address, port in addresses:
            listeners.append(_listen(address, port, shared=shared))
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise TransportError(
            Stage.LINK,
            f"cannot listen on {address} port {port}: {error.strerror}",
            problem="iphttps-listener-down",
        ) from error
    return tuple(listeners)


def _listen(address: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def source_of(address: str) -> str:
    """Return what the limit per source counts: hosts have a whole /64 of IPv6 to themselves."""
    if ":" not in address:
        return address
    packed = ipaddress.IPv6Address(address.partition("%")[0]).packed
    return format_address(packed[:8] + bytes(8)) + "/64"
