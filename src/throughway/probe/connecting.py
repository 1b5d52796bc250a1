"""Connect to one address, with the time it took and what went wrong in the product's own words."""

import asyncio
import errno
import socket
import time

from throughway.model.errors import Stage, TransportError
from throughway.model.probing import ConnectionSeen, Trouble
from throughway.net.tls import transport_error

CONNECT_TIME = 5.0
"""Seconds; TCP repeats a lost SYN after 1 and 3."""


async def connect(address: str, port: int, seconds: float = CONNECT_TIME) -> socket.socket:
    """Return a connected, non-blocking socket; raises :exc:`OSError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def try_to_connect(address: str, port: int, seconds: float = CONNECT_TIME) -> ConnectionSeen:
    """Connect and hang up."""
    begin = time.monotonic()
    trouble = None
    try:
        (await connect(address, port, seconds)).close()
    except OSError as error:
        trouble = trouble_of(error, Stage.CONNECT)
    return ConnectionSeen(
        address=address, port=port, seconds=time.monotonic() - begin, trouble=trouble
    )


def trouble_of(error: BaseException, stage: Stage) -> Trouble:
    """Say what an error of this stage means."""
    if isinstance(error, ConnectionError) and error.errno is None:
        # asyncio's, when the other end hangs up in the handshake.
        error = ConnectionResetError(errno.ECONNRESET, "")
    told: TransportError = transport_error(error, stage)
    return Trouble(words=str(told), problem=told.problem, windows_code=told.windows_code)
