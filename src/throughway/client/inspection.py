"""Name the certificate of a server that was not accepted, and who it is: OpenSSL does neither."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from throughway.model.errors import TransportError
from throughway.net.dial import Dial
from throughway.net.shown import shown_chain
from throughway.pki.impostor import unmasked
from throughway.pki.judgement import words_of

LOOK_AGAIN = 60.0
"""Seconds after which a server that is still not accepted is looked at again."""
UNNAMED = frozenset(
    {
        *("iphttps-cert-expired", "iphttps-cert-not-yet-valid", "iphttps-cert-name-mismatch"),
        *("iphttps-cert-untrusted-root", "iphttps-cert-intermediate-missing"),
        *("iphttps-cert-wrong-usage", "iphttps-cert-chain-invalid"),
    }
)
"""Problems whose words are OpenSSL's."""


class Inspection:
    """Looks at the server once for each problem; ``on_seen(error)`` tells the error with words."""

    def __init__(self, dial: Dial, on_seen: Callable[[TransportError], None]) -> None:
        self._dial = dial
        self._on_seen = on_seen
        self._seen: dict[str, tuple[float, str, str]] = {}
        """By problem: until when it is not looked at again, what lies behind it, what was seen."""
        self._looking: asyncio.Task[None] | None = None

    def named(self, error: TransportError, url: str) -> TransportError:
        """Return the error with whose certificate it is, as far as it was seen already."""
        if error.problem not in UNNAMED:
            return error
        until, problem, words = self._seen.get(error.problem, (0.0, "", ""))
        if time.monotonic() < until:
            return _with(error, problem, words)
        self._seen[error.problem] = (time.monotonic() + LOOK_AGAIN, "", "")
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look(error, url))
        return error

    async def stop(self) -> None:
        """Forget what was seen."""
        looking, self._looking = self._looking, None
        self._seen.clear()
        if looking is not None:
            looking.cancel()
            await asyncio.wait((looking,))

    async def _look(self, error: TransportError, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        chain = await shown_chain(self._dial, host, parts.port or 443)
        words = words_of(chain, datetime.now(UTC))
        if words:
            problem = unmasked(error.problem, chain, host)
            self._seen[error.problem] = (time.monotonic() + LOOK_AGAIN, problem, words)
            self._on_seen(_with(error, problem, words))


def _with(error: TransportError, problem: str, words: str) -> TransportError:
    if not words:
        return error
    return TransportError(
        error.stage, f"{error}; {words}", windows_code=error.windows_code, problem=problem
    )
