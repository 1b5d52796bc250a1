"""Look at the certificates of a server that was not accepted, so that they can be named.

OpenSSL keeps nothing of a chain that it refuses; so it is asked for once more, and nothing is
said to the server after that.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from throughway.model.errors import ThroughwayError
from throughway.net.dial import Dial

LOOK_TIME = 5.0
"""Seconds for connection and handshake."""
NAMES, NAME_OCTETS = 12, 200
"""Of protocols that nobody speaks: together larger than a packet of Ethernet."""
MAXIMUM_CHAIN = 8
"""Certificates."""


async def shown_chain(dial: Dial, host: str, port: int) -> tuple[bytes, ...]:
    """Return the chain (DER) that a server shows, its own first; () when it cannot be had."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with _connected(dial, host, port, context) as writer:
            return _chain(writer.get_extra_info("ssl_object"))
    except (OSError, ThroughwayError):
        return ()


async def full_size_passes(dial: Dial, host: str, port: int) -> bool:
    """Whether a server answers a first message that fills more than a packet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["x" * NAME_OCTETS + str(n) for n in range(NAMES)])
    try:
        async with _connected(dial, host, port, context):
            return True
    except ssl.SSLError:
        return True  # it has answered: it does not like what it read
    except (OSError, ThroughwayError):
        return False


async def is_accepted(dial: Dial, host: str, port: int, context: ssl.SSLContext) -> bool:
    """Return whether a server shows what such a client accepts."""
    try:
        async with _connected(dial, host, port, context):
            return True
    except (OSError, ThroughwayError):
        return False


@contextlib.asynccontextmanager
async def _connected(
    dial: Dial, host: str, port: int, context: ssl.SSLContext
) -> AsyncIterator[asyncio.StreamWriter]:
    async with asyncio.timeout(LOOK_TIME):
        sock = await dial(host, port)
        try:
            _, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host)
        except BaseException:
            sock.close()
            raise
    try:
        yield writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _chain(connection: Any) -> tuple[bytes, ...]:  # noqa: ANN401 - private before Python 3.13
    if hasattr(connection, "get_unverified_chain"):
        return tuple(connection.get_unverified_chain())[:MAXIMUM_CHAIN]
    import _ssl

    found = connection._sslobj.get_unverified_chain() or ()
    return tuple(each.public_bytes(_ssl.ENCODING_DER) for each in found)[:MAXIMUM_CHAIN]
