"""ClientHellos which any server understands, to ask it what it would choose.

Driven by :mod:`throughway.probe.hellos`. Unlike :func:`tls_handshake.build_client_hello` these say
which groups and signatures are known (RFC 8422, RFC 8446, section 4.2), without which servers of
our days refuse everybody. OpenSSL as it is built today cannot offer the old ones.
"""

import struct
from dataclasses import dataclass

from throughway.model.errors import WireError
from throughway.wire.tls import ContentType, Record, build_record
from throughway.wire.tls_handshake import HandshakeType
from throughway.wire.tls_suites import ENCRYPTING_SUITES, TLS13_SUITES, is_worn_out

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304
OFFERED_VERSIONS = (TLS13, TLS12, TLS11, TLS10)

MAXIMUM_SUITES = 256
"""Suites of one hello; servers have stumbled over more."""
RANDOM_LENGTH = 32
_SERVER_NAME, _GROUPS, _POINT_FORMATS, _SIGNATURES = 0, 10, 11, 13
_PADDING, _EXTENDED_MASTER_SECRET = 21, 23
_SUPPORTED_VERSIONS, _PSK_MODES, _KEY_SHARE = 43, 45, 51
_RENEGOTIATION_SIGNAL = 0x00FF
_X25519 = 29
_KNOWN_GROUPS = (_X25519, 23, 24, 25, 256, 257)
"""x25519, the three NIST curves, finite fields of 2048 and 3072 bits (RFC 7919)."""
_KNOWN_SIGNATURES = (
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),  # RSASSA-PSS
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808),  # ECDSA, EdDSA
    *(0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0402, 0x0202),  # PKCS #1, SHA-1, DSA
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one hello offers."""

    version: int
    """The only one that is offered."""
    suites: tuple[int, ...]
    server_name: str = ""
    """"": none is said, as for an address."""
    padding: int = 0
    """Bytes that mean nothing (RFC 7685), to see whether large packets get through."""


def suites_for(version: int) -> tuple[int, ...]:
    """Return every suite that a version may be offered, but for those which encrypt nothing."""
    if version >= TLS13:
        return TLS13_SUITES
    older = (number for number in ENCRYPTING_SUITES if number not in TLS13_SUITES)
    return tuple(sorted(older, key=_desirability))


def _desirability(number: int) -> tuple[bool, bool, bool, int]:
    """Order as a client of our days would: a server may choose what stands first."""
    name = ENCRYPTING_SUITES[number]
    sealed = "GCM" in name or "POLY1305" in name
    return is_worn_out(number), not sealed, "ECDHE" not in name, number


def build_offer(offer: Offer, random: bytes) -> bytes:
    """Write the record with the hello; ``random`` is 96 bytes of chance.

    They make the random value, the session and the key share: nobody will compute a key of it.
    """
    if len(random) != 3 * RANDOM_LENGTH:
        raise WireError(f"a TLS hello takes {3 * RANDOM_LENGTH} bytes of chance")
    if not 0 < len(offer.suites) <= MAXIMUM_SUITES:
        raise WireError(f"a TLS hello offers 1 to {MAXIMUM_SUITES} suites")
    value, session, share = (random[i : i + RANDOM_LENGTH] for i in (0, 32, 64))
    new = offer.version >= TLS13
    suites = offer.suites if new else (*offer.suites, _RENEGOTIATION_SIGNAL)
    body = min(offer.version, TLS12).to_bytes(2, "big") + value
    body += _vector(1, session if new else b"") + _vector(2, _numbers(suites)) + b"\x01\x00"
    body += _vector(2, _extensions(offer, share))
    hello = bytes((HandshakeType.CLIENT_HELLO,)) + _vector(3, body)
    # The record's version is 1.0, as everybody's first one is (RFC 8446, section 5.1).
    return build_record(Record(ContentType.HANDSHAKE, TLS10, hello))


def _extensions(offer: Offer, share: bytes) -> bytes:
    found = []
    if offer.server_name:
        entry = b"\0" + _vector(2, offer.server_name.encode("ascii"))
        found.append((_SERVER_NAME, _vector(2, entry)))
    found.append((_GROUPS, _vector(2, _numbers(_KNOWN_GROUPS))))
    found.append((_POINT_FORMATS, b"\x01\x00"))
    if offer.version >= TLS12:
        found.append((_SIGNATURES, _vector(2, _numbers(_KNOWN_SIGNATURES))))
    if offer.version >= TLS13:
        found.append((_SUPPORTED_VERSIONS, _vector(1, _numbers((TLS13,)))))
        found.append((_PSK_MODES, b"\x01\x01"))
        found.append((_KEY_SHARE, _vector(2, _X25519.to_bytes(2, "big") + _vector(2, share))))
    else:
        found.append((_EXTENDED_MASTER_SECRET, b""))
    if offer.padding:
        found.append((_PADDING, bytes(offer.padding)))
    return b"".join(kind.to_bytes(2, "big") + _vector(2, data) for kind, data in found)


def _numbers(values: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(values)}H", *values)


def _vector(size: int, data: bytes) -> bytes:
    """Put the length, of ``size`` bytes, in front."""
    return len(data).to_bytes(size, "big") + data
