"""One GET over http or https, for location probes and policy bundles.

A location server proves itself by its certificate, not by what it says.
"""

import ssl

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Resolve
from throughway.net.exchange import FETCH_TIME, MAXIMUM_BODY, exchange

OK = 200


async def fetch(
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
    mark: int = 0,
    limit: int = MAXIMUM_BODY,
    seconds: float = FETCH_TIME,
) -> bytes:
    """Return the body of a URL that answers 200; arguments as of :func:`exchange`.

    Raises :exc:`TransportError` with the stage it came to.
    """
    answer = await exchange(url, tls=tls, resolve=resolve, mark=mark, limit=limit, seconds=seconds)
    if answer.status != OK:
        raise TransportError(
            Stage.HTTP,
            f"the server answers {answer.status} {answer.reason}",
            windows_code=0x80190000 + answer.status,
        )
    return answer.body
