"""Pages that everybody knows, and what portals make of them."""

import asyncio

import pytest

from tests.patience import PATIENCE
from tests.probe.probe_world import HOME, answering, speaking
from throughway.model.network import PortalSeen
from throughway.probe.portal import ask_page

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\nMicrosoft Connect Test"
LOGIN = b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "is_open"),
    [
        (PAGE, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (LOGIN, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome", False),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", None),
        (b"220 ftp\r\n" * 3000, None),
        (b"", None),
    ],
    ids=["page", "empty", "portal", "another", "away", "ftp", "silence"],
)
def test_pages(answer: bytes, is_open: bool | None) -> None:
    async def scenario() -> PortalSeen:
        async with speaking(answering(answer)) as port:
            return await ask_page(f"http://{HOME}:{port}/x", seconds=PATIENCE if answer else 1.0)

    seen = asyncio.run(scenario())
    assert seen.open is is_open
    assert (seen.location == "http://portal.test/") == (answer == LOGIN)
    assert bool(seen.words) == (is_open is None)


def test_nobody_there() -> None:
    seen = asyncio.run(ask_page(f"http://{HOME}:1/"))
    assert seen.open is None
    assert "refused" in seen.words
