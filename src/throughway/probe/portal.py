"""Ask for a page whose text is known: a portal answers with something else."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from throughway import __version__
from throughway.model.errors import Stage, WireError
from throughway.model.network import PortalSeen
from throughway.probe.connecting import connect, trouble_of
from throughway.probe.fetching import resolve
from throughway.wire.http import MAXIMUM_HEAD, Response, parse_response

ANSWER_TIME = 3.0
"""Seconds for the name, the connection and the page together."""
MAXIMUM_PAGE = 64 * 1024
"""Bytes; a portal's page may be longer, but it shows early what it is."""


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page and what must come when it is asked for."""

    url: str
    status: int
    body: bytes


PAGES = (
    KnownPage("http://www.msftconnecttest.com/connecttest.txt", 200, b"Microsoft Connect Test"),
    KnownPage("http://connectivitycheck.gstatic.com/generate_204", 204, b""),
)
"""What Windows and Android ask for; a network that opens itself to anybody does so to them."""


async def ask_page(page: KnownPage, seconds: float = ANSWER_TIME) -> PortalSeen:
    """Ask for a page and compare."""
    begin = time.monotonic()
    words, response, body = "", None, b""
    try:
        async with asyncio.timeout(seconds):
            response, body = await _get(page.url)
    except TimeoutError:
        words = "no answer came in time"
    except OSError as error:
        words = trouble_of(error, Stage.CONNECT).words if error.errno else str(error)
    except WireError:
        words = "what answers does not speak HTTP"
    took = time.monotonic() - begin
    if response is None:
        return PortalSeen(url=page.url, seconds=took, words=words)
    return PortalSeen(
        url=page.url,
        open=response.status == page.status and body.strip() == page.body,
        status=response.status,
        location=_line(response.redirect),
        seconds=took,
    )


async def _get(url: str) -> tuple[Response, bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    addresses = await resolve(host)
    if not addresses:
        raise OSError(f"{host} has no address")
    sock = await connect(addresses[0], parts.port or 80)
    loop = asyncio.get_running_loop()
    request = (
        f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"User-Agent: throughway/{__version__}\r\nConnection: close\r\n\r\n"
    )
    data = b""
    with sock:
        await loop.sock_sendall(sock, request.encode("ascii"))
        while len(data) < MAXIMUM_PAGE and not _is_whole(data):
            received = await loop.sock_recv(sock, 16384)
            if not received:
                break
            data += received
    response = parse_response(data[:MAXIMUM_HEAD])
    return response, data[response.length :]


def _is_whole(data: bytes) -> bool:
    """Whether head and body are there, as far as the head says how long that is."""
    try:
        response = parse_response(data[:MAXIMUM_HEAD])
    except WireError:
        return len(data) >= MAXIMUM_HEAD
    if not response.complete:
        return False
    length = response.headers.get("content-length")
    if response.status in (204, 304):
        return True
    return length.isascii() and length.isdigit() and len(data) >= response.length + int(length[:9])


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:400]
