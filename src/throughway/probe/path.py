"""How large packets to a server may be: by what the kernel learns, and by trying."""

import asyncio
import errno
import socket
import time

from throughway.model.network import PathSeen
from throughway.probe.analysis.hellos import Kind
from throughway.probe.connecting import connect
from throughway.probe.hellos import say_hello
from throughway.wire.tls_offer import TLS12, Offer, suites_for

TRY_TIME = 2.0
"""Seconds for the answer to a hello; a lost packet is repeated after a fifth of one."""
FULL = 1500 - 28
"""Bytes of a UDP datagram that fills the packet of an Ethernet."""
PADDING = 4000
"""Bytes that make a hello fill several packets."""
_SETTLE = 0.3
"""Seconds in which a router says that a packet was too big."""
# Of Linux's in.h and in6.h; Python names only some.
_IP_MTU_DISCOVER, _IP_MTU, _IPV6_MTU_DISCOVER, _IPV6_MTU, _DO = 10, 14, 23, 24, 2


async def look_at_path(address: str, port: int, server_name: str) -> PathSeen:
    """Try packets of all sizes to a server that speaks TLS."""
    begin = time.monotonic()
    mtu, mss, small, large = await asyncio.gather(
        _mtu(address),
        _mss(address, port),
        _passes(address, port, server_name, 0),
        _passes(address, port, server_name, PADDING),
    )
    return PathSeen(
        address=address,
        mtu=mtu,
        mss=mss,
        small_passes=small,
        large_passes=large if small else None,
        seconds=time.monotonic() - begin,
    )


async def _passes(address: str, port: int, server_name: str, padding: int) -> bool | None:
    """Whether a hello with so much in it is answered; None when nobody is there."""
    offer = Offer(version=TLS12, suites=suites_for(TLS12), server_name=server_name, padding=padding)
    answer = await say_hello(address, port, offer, seconds=TRY_TIME)
    return answer.kind is not Kind.SILENT


async def _mss(address: str, port: int) -> int | None:
    try:
        with await connect(address, port, TRY_TIME) as sock:
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    except OSError:
        return None


async def _mtu(address: str) -> int | None:
    """Send what fills an Ethernet and must not be cut; return what the kernel then believes.

    Nobody answers the datagrams: a router on the way does, when they are too large for it.
    """
    six = ":" in address
    family, level = (
        (socket.AF_INET6, socket.IPPROTO_IPV6) if six else (socket.AF_INET, socket.IPPROTO_IP)
    )
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.setsockopt(level, _IPV6_MTU_DISCOVER if six else _IP_MTU_DISCOVER, _DO)
            sock.connect((address, 9))
            _send_full(sock)
            await asyncio.sleep(_SETTLE)
            _send_full(sock)
            return sock.getsockopt(level, _IPV6_MTU if six else _IP_MTU)
        except OSError:
            return None


def _send_full(sock: socket.socket) -> None:
    try:
        sock.send(bytes(FULL - 20 if sock.family == socket.AF_INET6 else FULL))
    except OSError as error:
        # Too long is what was asked; refused says that it got there.
        if error.errno not in (errno.EMSGSIZE, errno.ECONNREFUSED):
            raise
