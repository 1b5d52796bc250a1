"""Send hellos of our own making and read what a server says in the clear."""

import asyncio
import os
import time

from throughway.probe.analysis.hellos import Answer, Hunt, Kind, is_whole, read_answer
from throughway.probe.connecting import CONNECT_TIME, connect
from throughway.wire.tls_offer import RANDOM_LENGTH, Offer, build_offer

ANSWER_TIME = 5.0
"""Seconds for a server's first words; they cost it one signature."""
_CHUNK = 64 * 1024


async def say_hello(
    address: str, port: int, offer: Offer, *, to_the_end: bool = False, seconds: float = ANSWER_TIME
) -> Answer:
    """Return what the server answers to one hello on a connection of its own."""
    try:
        sock = await connect(address, port, CONNECT_TIME)
    except OSError as error:
        return Answer(kind=Kind.SILENT, words=f"it cannot be connected to: {error or 'timeout'}")
    loop = asyncio.get_running_loop()
    data, ended = b"", False
    try:
        async with asyncio.timeout(seconds):
            await loop.sock_sendall(sock, build_offer(offer, os.urandom(3 * RANDOM_LENGTH)))
            while not ended and not is_whole(data, to_the_end=to_the_end):
                received = await loop.sock_recv(sock, _CHUNK)
                data += received
                ended = not received
    except TimeoutError:
        pass
    except OSError:
        ended = True
    finally:
        sock.close()
    return read_answer(data, ended=ended)


async def hunt_suites(address: str, port: int, server_name: str, hunt: Hunt) -> float:
    """Ask for every suite that the hunt knows; return the seconds. What was found is in it."""
    begin = time.monotonic()
    while not hunt.over:
        offer = Offer(version=hunt.version, suites=hunt.left, server_name=server_name)
        hunt.take(await say_hello(address, port, offer))
    return time.monotonic() - begin
