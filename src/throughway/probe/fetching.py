"""Fetch revocation lists, OCSP answers and missing issuers, as any client on the Internet would."""

import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

from throughway.model.errors import TransportError
from throughway.model.probing import PointSeen
from throughway.net.fetch import fetch
from throughway.probe.analysis.certificates import issuer_of, see_certificate
from throughway.probe.analysis.revocation import Question, judge, not_asked, not_had, web_address
from throughway.probe.names import look_up

FETCH_TIME = 8.0
"""Seconds for one address; Windows gives up after 15 for all lists together."""
MAXIMUM_LIST = 32 * 1024 * 1024
"""Bytes of a CRL; there are some of more than ten million."""
MAXIMUM_CERTIFICATE = 256 * 1024
MAXIMUM_ISSUERS = 3
"""Certificates that are fetched to complete one chain."""


async def resolve(host: str) -> Sequence[str]:
    """Find addresses for a fetch without a thread that would outlive us."""
    return tuple(a for each in await look_up(host) for a in each.addresses)


async def ask_point(question: Question) -> tuple[PointSeen, bytes]:
    """Ask one place; return what it is good for and what it sent."""
    begin = time.monotonic()
    url = web_address(question)
    if not url:
        return not_asked(question), b""
    try:
        body = await fetch(url, resolve=resolve, limit=MAXIMUM_LIST, seconds=FETCH_TIME)
    except TransportError as error:
        return not_had(question, error, time.monotonic() - begin), b""
    return judge(question, body, datetime.now(UTC), time.monotonic() - begin), body


async def fetch_issuers(last: x509.Certificate) -> tuple[x509.Certificate, ...]:
    """Follow the addresses in certificates to who issued them, from the last one that was sent."""
    found: list[x509.Certificate] = []
    while len(found) < MAXIMUM_ISSUERS and last.subject != last.issuer:
        issuer = await _issuer(last)
        if issuer is None:
            break
        found.append(issuer)
        last = issuer
    return tuple(found)


async def _issuer(certificate: x509.Certificate) -> x509.Certificate | None:
    for url in see_certificate(certificate, certificate.not_valid_after_utc).issuer_urls:
        try:
            body = await fetch(url, resolve=resolve, limit=MAXIMUM_CERTIFICATE, seconds=FETCH_TIME)
            issuer = issuer_of(certificate, (_read(body),))
        except (TransportError, ValueError, UnsupportedAlgorithm):
            continue
        if issuer is not None:
            return issuer
    return None


def _read(body: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        if body.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(body)
        return x509.load_der_x509_certificate(body)
