"""MD4 (RFC 1320), which NT hashes are made of and OpenSSL 3 no longer gives."""

import struct

_MASK = 0xFFFFFFFF
_BLOCK = 64
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
# Each round: the constant added, the shifts, and the order in which the words are taken.
_ROUNDS = (
    (0, (3, 7, 11, 19), tuple(range(16))),
    (0x5A827999, (3, 5, 9, 13), (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
    (0x6ED9EBA1, (3, 9, 11, 15), (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)),
)


def md4(data: bytes) -> bytes:
    """Return the digest of ``data``."""
    padding = b"\x80" + bytes((55 - len(data)) % _BLOCK)
    data = data + padding + struct.pack("<Q", 8 * len(data))
    state: tuple[int, ...] = _START
    for start in range(0, len(data), _BLOCK):
        state = _compress(state, struct.unpack_from("<16I", data, start))
    return struct.pack("<4I", *state)


def _compress(state: tuple[int, ...], words: tuple[int, ...]) -> tuple[int, ...]:
    a, b, c, d = state
    for number, (constant, shifts, order) in enumerate(_ROUNDS):
        for step, index in enumerate(order):
            total = (a + _mix(number, b, c, d) + words[index] + constant) & _MASK
            shift = shifts[step % 4]
            turned = (total << shift | total >> (32 - shift)) & _MASK
            a, b, c, d = d, turned, b, c
    return tuple((x + y) & _MASK for x, y in zip(state, (a, b, c, d), strict=True))


def _mix(number: int, x: int, y: int, z: int) -> int:
    if number == 0:
        return x & y | ~x & z
    return (x & y | x & z | y & z) if number == 1 else x ^ y ^ z
