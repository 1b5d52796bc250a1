"""Pages that everybody knows, and what portals make of them."""

import asyncio

import pytest

from tests.probe.probe_world import HOME, answering, speaking
from throughway.model.network import PortalSeen
from throughway.probe.portal import KnownPage, ask_page

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\nMicrosoft Connect Test"
LOGIN = b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "body", "is_open"),
    [
        (PAGE, 200, b"Microsoft Connect Test", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (LOGIN, 200, b"Microsoft Connect Test", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome", 200, b"x", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nW", 204, b"", False),
        (b"220 ftp\r\n" * 3000, 204, b"", None),
        (b"", 204, b"", None),
    ],
    ids=["page", "empty", "portal", "another", "body", "ftp", "silence"],
)
def test_pages(answer: bytes, status: int, body: bytes, is_open: bool | None) -> None:
    async def scenario() -> PortalSeen:
        async with speaking(answering(answer)) as port:
            return await ask_page(KnownPage(f"http://{HOME}:{port}/x", status, body), seconds=1.0)

    seen = asyncio.run(scenario())
    assert seen.open is is_open
    assert (seen.location == "http://portal.test/") == (answer == LOGIN)
    assert bool(seen.words) == (is_open is None)


def test_nobody_there() -> None:
    seen = asyncio.run(ask_page(KnownPage(f"http://{HOME}:1/", 204, b"")))
    assert (seen.open, seen.words) == (None, "the connection was refused")
