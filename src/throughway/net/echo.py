"""ICMPv6 echo requests of our own (RFC 4443, 4.1): whether a host answers."""

import asyncio
import os
import socket
import struct
from ipaddress import IPv6Address

_ECHO_REQUEST, _ECHO_REPLY = 128, 129
_ICMPV6 = socket.IPPROTO_ICMPV6
_ICMP6_FILTER = 1


def open_echo(*, interface: str = "", source: str = "", mark: int = 0) -> socket.socket:
    """Open a socket that hears nothing but echo replies; OSError where that is refused."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _ICMPV6)
    try:
        passed = bytearray(b"\xff" * 32)
        passed[_ECHO_REPLY // 8] ^= 1 << _ECHO_REPLY % 8
        # The kernel's filter is in words of its own byte order (RFC 3542, 3.2).
        words = struct.pack("=8I", *struct.unpack("<8I", passed))
        sock.setsockopt(_ICMPV6, _ICMP6_FILTER, words)
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        if interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        if source:
            sock.bind((source, 0))
    except OSError:
        sock.close()
        raise
    return sock


async def echo(sock: socket.socket, host: str) -> None:
    """Ask once and return with the answer, however long that takes."""
    loop, token = asyncio.get_running_loop(), os.urandom(8)
    request = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, os.getpid() & 0xFFFF, 1) + token
    await loop.sock_sendto(sock, request, (host, 0))
    while True:
        answer, sender = await loop.sock_recvfrom(sock, 128)
        genuine = IPv6Address(sender[0]) == IPv6Address(host)
        if genuine and answer[:1] == bytes([_ECHO_REPLY]) and answer[8:] == token:
            return
