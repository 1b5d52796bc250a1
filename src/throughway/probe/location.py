"""Ask a network location server, as the client does: who proves it says where we are."""

import time
from collections.abc import Sequence

from throughway.model.errors import TransportError
from throughway.model.network import LocationSeen
from throughway.net.fetch import fetch
from throughway.net.tls import client_context
from throughway.probe.fetching import resolve


async def ask_location(url: str, anchors: Sequence[str], seconds: float) -> LocationSeen:
    """Return whether it has answered with a certificate of one of the anchors (PEM)."""
    begin = time.monotonic()
    try:
        await fetch(url, tls=client_context(anchors=anchors), resolve=resolve, seconds=seconds)
    except TransportError as error:
        return LocationSeen(url=url, seconds=time.monotonic() - begin, words=str(error))
    return LocationSeen(url=url, proven=True, seconds=time.monotonic() - begin)
