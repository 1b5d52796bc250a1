"""Which clients get a suite without encryption: those that offer nothing else.

Windows 8 and later offer NULL suites for IP-HTTPS, since IPsec encrypts within. OpenSSL has them
only at security level 0, so that they live in a context of their own; what a client offers decides
which one it meets, before TLS begins. In any doubt it is the one that encrypts.
"""

from enum import Enum, auto

from throughway.wire.tls import Opening, read_stream, recognise
from throughway.wire.tls_handshake import NULL_SUITES, ClientHello

MAX_HELLO = 16 * 1024
"""Bytes in which a hello must end; those of clients that offer NULL suites have some 200."""
SERVED_NULL_SUITES = frozenset({0x003B, 0x0002})
"""TLS_RSA_WITH_NULL_SHA256 and TLS_RSA_WITH_NULL_SHA."""
TLS12 = 0x0303


class Offer(Enum):
    """What the begin of a connection says."""

    UNFINISHED = auto()
    ENCRYPTION = auto()
    """Or nothing that could be read: OpenSSL will tell the client."""
    NULL_ONLY = auto()


def judge_hello(data: bytes) -> Offer:
    """Judge the first bytes of a connection."""
    if len(data) >= MAX_HELLO or recognise(data[:8]) not in (None, Opening.TLS):
        return Offer.ENCRYPTION
    stream = read_stream(data)
    if stream.messages:
        first = stream.messages[0]
        only = isinstance(first, ClientHello) and offers_null_only(first)
        return Offer.NULL_ONLY if only else Offer.ENCRYPTION
    spoilt = stream.broken or stream.alerts or stream.ciphered
    return Offer.ENCRYPTION if spoilt else Offer.UNFINISHED


def offers_null_only(hello: ClientHello) -> bool:
    """Whether there is nothing better in it than what encrypts nothing."""
    return (
        max(hello.versions) == TLS12
        and all(suite in NULL_SUITES for suite in hello.suites)
        and not SERVED_NULL_SUITES.isdisjoint(hello.suites)
    )
