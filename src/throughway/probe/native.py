"""Whether native IPv6 gets to the gateway: an echo request over the network's own interface."""

import asyncio
import contextlib
import os
import socket
import struct
import time
from ipaddress import IPv6Address

from throughway.model.network import AddressSeen, NativeSeen
from throughway.net.firewall import MARK

WAIT = 2.0
"""Seconds for the reply."""
AGAIN = 0.7
"""Seconds after which it is asked once more."""
_REQUEST, _REPLY = 128, 129
_ICMPV6 = socket.IPPROTO_ICMPV6
_MAXIMUM_PACKETS = 256


async def try_native(endpoint: str, own: AddressSeen, *, wait: float = WAIT) -> NativeSeen:
    """Ask an endpoint for an echo from this address and interface, past our own tunnels."""
    begin = time.monotonic()
    try:
        sock = _socket()
    except PermissionError:
        words = "was not asked: that takes rights that this program has not got (root)"
        return NativeSeen(endpoint=endpoint, tried=False, words=words)
    with sock:
        try:
            with contextlib.suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, own.interface.encode())
            sock.bind((own.address, 0))
            answered, words = await _ask(sock, endpoint, wait), "does not answer"
        except OSError as error:
            answered, words = False, error.strerror or str(error)
    took = time.monotonic() - begin
    words = "" if answered else words
    return NativeSeen(endpoint=endpoint, tried=True, answered=answered, seconds=took, words=words)


def _socket() -> socket.socket:
    """Return a socket for echoes, by the right that many systems give everybody, else by root's."""
    kind = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | kind, _ICMPV6)
    except PermissionError:
        return socket.socket(socket.AF_INET6, socket.SOCK_RAW | kind, _ICMPV6)


async def _ask(sock: socket.socket, endpoint: str, wait: float) -> bool:
    token = os.urandom(16)
    request = struct.pack("!BBHHH", _REQUEST, 0, 0, os.getpid() & 0xFFFF, 1) + token
    loop, until = asyncio.get_running_loop(), time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        await loop.sock_sendto(sock, request, (endpoint, 0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(AGAIN, left)):
                for _ in range(_MAXIMUM_PACKETS):
                    answer, sender = await loop.sock_recvfrom(sock, 128)
                    genuine = IPv6Address(sender[0].partition("%")[0]) == IPv6Address(endpoint)
                    if genuine and answer[:1] == bytes((_REPLY,)) and answer[8:] == token:
                        return True
    return False
