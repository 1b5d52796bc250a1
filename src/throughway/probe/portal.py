"""Ask for a page whose text is known: a portal answers with something else."""

import asyncio
import time

from throughway.model.errors import TransportError
from throughway.model.network import PortalSeen
from throughway.net.portal import ask
from throughway.probe.fetching import resolve
from throughway.proto.portal import Verdict, judge

ANSWER_TIME = 3.0
"""Seconds for the name, the connection and the page together."""
PAGES = (
    "http://www.msftconnecttest.com/connecttest.txt",
    "http://connectivitycheck.gstatic.com/generate_204",
)
"""What Windows and Android ask for; a network that opens itself to anybody does so to them."""
_OPEN = {Verdict.FREE: True, Verdict.CAPTIVE: False, Verdict.UNCLEAR: None}


async def ask_page(url: str, seconds: float = ANSWER_TIME) -> PortalSeen:
    """Ask for a page, and say whether it is what everybody knows."""
    begin = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            answer = await ask(url, resolve=resolve)
    except TimeoutError:
        took = time.monotonic() - begin
        return PortalSeen(url=url, seconds=took, words="no answer came in time")
    except TransportError as error:
        return PortalSeen(url=url, seconds=time.monotonic() - begin, words=_line(str(error)))
    verdict, sign_in = judge(answer, url, own=True)
    unclear = verdict is Verdict.UNCLEAR
    return PortalSeen(
        url=url,
        open=_OPEN[verdict],
        status=answer.status,
        location=_line(sign_in),
        seconds=time.monotonic() - begin,
        words=f"it answers {answer.status}, which says nothing" if unclear else "",
    )


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:400]
