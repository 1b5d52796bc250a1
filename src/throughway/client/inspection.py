"""Name the certificate of a server that was not accepted, and who it is: OpenSSL does neither.

OpenSSL has one word for an authority that is not trusted and for one that the server should have
sent and did not. Where the certificate says where its issuer's own is to be had (RFC 5280,
4.2.2.1), that is fetched; when the server is accepted with it, and only then, it is missing.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from throughway.model.errors import ThroughwayError, TransportError
from throughway.net.dial import Dial
from throughway.net.shown import is_accepted, shown_chain
from throughway.pki.impostor import unmasked
from throughway.pki.judgement import find_issuer, issuer_urls, name_of, words_of
from throughway.pki.pem import UNREADABLE, build_certificate_pem

LOOK_AGAIN = 60.0
"""Seconds after which a server that is still not accepted is looked at again."""
MAXIMUM_MISSING = 3
"""Authorities between the server's and its root."""
UNTRUSTED, MISSING = "iphttps-cert-untrusted-root", "iphttps-cert-intermediate-missing"
UNNAMED = frozenset(
    {
        *("iphttps-cert-expired", "iphttps-cert-not-yet-valid", "iphttps-cert-name-mismatch"),
        *("iphttps-cert-untrusted-root", "iphttps-cert-intermediate-missing"),
        *("iphttps-cert-wrong-usage", "iphttps-cert-chain-invalid"),
    }
)
"""Problems whose words are OpenSSL's."""


Fetch = Callable[[str], Awaitable[bytes]]
Context = Callable[[tuple[str, ...]], ssl.SSLContext]


class Inspection:
    """Looks at the server once for each problem; ``on_seen(error)`` tells the error with words.

    ``fetch(url)`` brings what lies outside, ``context(more)`` is how the server is judged, with
    ``more`` certificates (PEM) at hand.
    """

    def __init__(
        self,
        dial: Dial,
        on_seen: Callable[[TransportError], None],
        *,
        fetch: Fetch,
        context: Context,
    ) -> None:
        self._dial = dial
        self._on_seen = on_seen
        self._fetch, self._context = fetch, context
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
            if problem == UNTRUSTED and (missing := await self._missing(chain)):
                more = tuple(build_certificate_pem(each).decode() for each in missing)
                if await is_accepted(self._dial, host, parts.port or 443, self._context(more)):
                    problem = MISSING
                    words += f"; it does not send that of {name_of(missing[0].subject)}"
            self._seen[error.problem] = (time.monotonic() + LOOK_AGAIN, problem, words)
            self._on_seen(_with(error, problem, words))

    async def _missing(self, chain: tuple[bytes, ...]) -> list[x509.Certificate]:
        """Return the authorities that stand between what is shown and a root."""
        found: list[x509.Certificate] = []
        with contextlib.suppress(ThroughwayError, OSError, *UNREADABLE):
            last = x509.load_der_x509_certificate(chain[-1])
            while len(found) < MAXIMUM_MISSING and last.issuer != last.subject:
                issuer = await self._issuer(last, len(chain) + len(found) - 1)
                if issuer is None or issuer.issuer == issuer.subject:
                    break  # a root is trusted or not, whoever sends it
                found.append(issuer)
                last = issuer
        return found

    async def _issuer(self, of: x509.Certificate, below: int) -> x509.Certificate | None:
        for url in issuer_urls(of):
            if url.startswith("http://"):
                data = await self._fetch(url)
                pem = data.startswith(b"-----")
                read = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
                return find_issuer(of, (read(data),), below)
        return None


def _with(error: TransportError, problem: str, words: str) -> TransportError:
    if not words:
        return error
    return TransportError(
        error.stage, f"{error}; {words}", windows_code=error.windows_code, problem=problem
    )
