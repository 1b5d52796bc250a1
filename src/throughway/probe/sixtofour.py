"""Whether 6to4 gets to a server: an echo request in protocol 41, where we may send one."""

import asyncio
import os
import socket
import time
from ipaddress import IPv4Address

from throughway.model.errors import WireError
from throughway.model.probing import SixToFourSeen
from throughway.wire.icmpv6 import Echo, build_icmpv6, parse_icmpv6
from throughway.wire.ipv6 import format_address, parse_packet
from throughway.wire.sixtofour import build_endpoint, is_usable

PROTOCOL = 41
WAIT = 2.0
"""Seconds for the reply."""
_IPV4_HEADER = 20
_MAXIMUM_PACKETS = 256


async def try_sixtofour(address: str, *, wait: float = WAIT) -> SixToFourSeen:
    """Ask the 6to4 address of a host for an echo, or say why that could not be tried."""
    server = IPv4Address(address).packed
    if not is_usable(server):
        return _not_tried("", f"{address} is no public address")
    endpoint = build_endpoint(server)
    shown = format_address(endpoint)
    own = _own_address(address)
    if own is None:
        return _not_tried(shown, "there is no route to it")
    if not is_usable(own):
        return _not_tried(shown, "this computer has no public IPv4 address of its own")
    try:
        sock = raw_socket()
    except PermissionError:
        return _not_tried(shown, "protocol 41 takes rights that this program has not got (root)")
    except OSError as error:
        return _not_tried(shown, error.strerror or str(error))
    with sock:
        return await _ask(sock, address, own, endpoint, wait)


def raw_socket() -> socket.socket:
    """Return a socket for protocol 41; raises PermissionError for most people."""
    return socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, PROTOCOL)


async def _ask(
    sock: socket.socket, address: str, own: bytes, endpoint: bytes, wait: float
) -> SixToFourSeen:
    begin, identifier, source = time.monotonic(), os.getpid() & 0xFFFF, build_endpoint(own)
    echo = Echo(reply=False, identifier=identifier, sequence=1, data=os.urandom(16))
    answered, words = False, "no reply came"
    try:
        async with asyncio.timeout(wait):
            sock.sendto(build_icmpv6(echo, source=source, destination=endpoint), (address, 0))
            for _ in range(_MAXIMUM_PACKETS):
                data = await asyncio.get_running_loop().sock_recv(sock, 2048)
                if _is_reply(data, echo):
                    answered, words = True, ""
                    break
    except TimeoutError:
        pass
    except OSError as error:
        words = error.strerror or str(error)
    return SixToFourSeen(
        endpoint=format_address(endpoint),
        tried=True,
        answered=answered,
        seconds=time.monotonic() - begin,
        words=words,
    )


def _is_reply(data: bytes, echo: Echo) -> bool:
    """Whether a packet, with its IPv4 header in front, answers the echo."""
    header = (data[0] & 0xF) * 4 if len(data) > _IPV4_HEADER else _IPV4_HEADER
    try:
        message = parse_icmpv6(parse_packet(data[header:]))
    except WireError:
        return False
    return isinstance(message, Echo) and message.reply and message.data == echo.data


def _own_address(address: str) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, 9))
        except OSError:
            return None
        return socket.inet_aton(sock.getsockname()[0])


def _not_tried(endpoint: str, why: str) -> SixToFourSeen:
    return SixToFourSeen(endpoint=endpoint, tried=False, words=why)
