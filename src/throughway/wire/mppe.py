"""MS-MPPE-Send-Key and MS-MPPE-Recv-Key: session keys in RADIUS (RFC 2548 section 2.4).

A RADIUS proxy takes them out of the server's answer and puts them into its own, each time hidden
by the secret shared on that side.
"""

import hashlib

from throughway.model.errors import WireError

VENDOR = 311
"""Microsoft."""
SEND_KEY, RECV_KEY = 16, 17
MAX_KEY = 64
"""Octets; EAP-MSCHAPv2 makes 16, others 32."""
_BLOCK = 16
_SALT_LENGTH = 2


def parse_mppe_key(value: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """Return the key that an attribute hides; ``authenticator`` is the request's."""
    salt, hidden = value[:_SALT_LENGTH], value[_SALT_LENGTH:]
    if not hidden or len(hidden) % _BLOCK or not salt[0] & 0x80:
        raise WireError(f"a session key of {len(value)} bytes")
    plain, previous = b"", authenticator + salt
    for at in range(0, len(hidden), _BLOCK):
        block = hidden[at : at + _BLOCK]
        plain += _mixed(block, secret, previous)
        previous = block
    length = plain[0]
    if not 0 < length <= min(MAX_KEY, len(plain) - 1):
        raise WireError(f"a session key that claims {length} of {len(plain) - 1} bytes")
    return plain[1 : 1 + length]


def build_mppe_key(key: bytes, secret: bytes, authenticator: bytes, salt: bytes) -> bytes:
    """Return the attribute's value; of the two octets of ``salt`` the first bit becomes 1."""
    if not 0 < len(key) <= MAX_KEY or len(salt) != _SALT_LENGTH:
        raise WireError(f"a session key of {len(key)} bytes")
    salt = bytes((salt[0] | 0x80, salt[1]))
    plain = bytes((len(key),)) + key
    plain += bytes(-len(plain) % _BLOCK)
    hidden, previous = b"", authenticator + salt
    for at in range(0, len(plain), _BLOCK):
        previous = _mixed(plain[at : at + _BLOCK], secret, previous)
        hidden += previous
    return salt + hidden


def _mixed(block: bytes, secret: bytes, previous: bytes) -> bytes:
    # MD5 is what the specification says; the way to the server must be a trusted one.
    pad = hashlib.md5(secret + previous, usedforsecurity=False).digest()
    return bytes(a ^ b for a, b in zip(block, pad, strict=True))
