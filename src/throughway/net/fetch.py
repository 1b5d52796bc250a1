"""One GET over http or https, for location probes, policy bundles and revocation lists.

A location server proves itself by its certificate, not by what it says. Only who says so is
redirected, and to http alone: what comes must prove itself, as revocation lists do.
"""

import ssl
from urllib.parse import urljoin, urlsplit

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Resolve
from throughway.net.exchange import FETCH_TIME, MAXIMUM_BODY, STRAIGHT, Asked, Way, exchange

OK = 200
REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_SHOWN = 200
"""Characters of an address that a server sends us to."""


async def fetch(
    url: str,
    asked: Asked | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
    mark: int = 0,
    limit: int = MAXIMUM_BODY,
    seconds: float = FETCH_TIME,
    way: Way = STRAIGHT,
    redirects: int = 0,
) -> bytes:
    """Return the body of a URL that answers 200; arguments as of :func:`exchange`.

    ``redirects`` is how many redirections are followed. Raises :exc:`TransportError` with the
    stage it came to.
    """
    answer = await exchange(
        url, asked, tls=tls, resolve=resolve, mark=mark, limit=limit, seconds=seconds, way=way
    )
    location = answer.headers.get("location", "")
    if answer.status in REDIRECTIONS and redirects > 0 and location:
        return await fetch(
            _next(url, location),
            asked,
            resolve=resolve,
            mark=mark,
            limit=limit,
            seconds=seconds,
            way=way,
            redirects=redirects - 1,
        )
    if answer.status != OK:
        raise TransportError(
            Stage.HTTP,
            f"the server answers {answer.status} {answer.reason}",
            windows_code=0x80190000 + answer.status,
        )
    return answer.body


def _next(url: str, location: str) -> str:
    try:
        following = urljoin(url, location)
        web = urlsplit(following).scheme == "http"
    except ValueError:
        following, web = location, False
    if not web or not following.isprintable():
        words = f"the server sends us to {following[:_SHOWN]!r}: only http is followed"
        raise TransportError(Stage.HTTP, words)
    return following
