"""NTLMv2, [MS-NLMP] 3.3.2: what a client answers to a challenge. Nothing older is spoken."""

import hashlib
import hmac
import struct
from dataclasses import dataclass

from throughway.proto.proxy.md4 import md4
from throughway.wire.ntlm import (
    MIC_OFFSET,
    AuthenticateMessage,
    ChallengeMessage,
    Flag,
    Pair,
    build_authenticate,
    build_negotiate,
    build_pairs,
    parse_challenge,
)

FLAGS = (
    Flag.UNICODE
    | Flag.REQUEST_TARGET
    | Flag.NTLM
    | Flag.ALWAYS_SIGN
    | Flag.EXTENDED_SESSION_SECURITY
    | Flag.TARGET_INFO
    | Flag.VERSION
    | Flag.KEY_128
    | Flag.KEY_56
)
NONCE_BYTES = 8
_MIC_PRESENT = 0x2
"""MsvAvFlags: there is a message integrity code."""
_EPOCH = 116_444_736_000_000_000
"""1970-01-01 in the 100 ns units since 1601-01-01 that Windows counts in."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a proof is made with."""

    nt_proof: bytes
    session_base_key: bytes


def filetime(wall_time: float) -> bytes:
    """Write a time as Windows does."""
    return struct.pack("<Q", _EPOCH + int(wall_time * 10_000_000))


def response_key(user: str, password: str, domain: str) -> bytes:
    """NTOWFv2 of [MS-NLMP] 3.3.2."""
    nt_hash = md4(password.encode("utf-16-le"))
    return _hmac(nt_hash, (user.upper() + domain).encode("utf-16-le"))


def prove(
    key: bytes, challenge: bytes, nonce: bytes, time: bytes, pairs: bytes
) -> tuple[bytes, bytes, Keys]:
    """Return the NT and the LM response and the keys, ComputeResponse of [MS-NLMP] 3.3.2."""
    temp = b"\x01\x01" + bytes(6) + time + nonce + bytes(4) + pairs + bytes(4)
    proof = _hmac(key, challenge + temp)
    lm_response = _hmac(key, challenge + nonce) + nonce
    return proof + temp, lm_response, Keys(proof, _hmac(key, proof))


class NTLM:
    """One exchange: :meth:`negotiate`, then :meth:`authenticate` on the same connection."""

    def __init__(self, user: str, password: str, domain: str, workstation: str) -> None:
        self._user, self._password = user, password
        self._domain, self._workstation = domain, workstation
        self._negotiate = build_negotiate(FLAGS)

    def negotiate(self) -> bytes:
        """Return the first message."""
        return self._negotiate

    def authenticate(self, data: bytes, *, nonce: bytes, wall_time: float) -> bytes:
        """Return the proof for a server's message; raises WireError when that is none."""
        message = parse_challenge(data)
        stamp = message.get(Pair.TIMESTAMP)
        pairs = _own_pairs(message) if stamp else message.pairs
        key = response_key(self._user, self._password, self._domain)
        # With the server's own time in it the old kind of response is left out (3.1.5.1.2).
        nt_response, lm_response, keys = prove(
            key, message.challenge, nonce, stamp or filetime(wall_time), build_pairs(pairs)
        )
        built = build_authenticate(
            AuthenticateMessage(
                lm_response=bytes(24) if stamp else lm_response,
                nt_response=nt_response,
                domain=self._domain,
                user=self._user,
                workstation=self._workstation,
                flags=FLAGS & (message.flags | Flag.VERSION) | Flag.UNICODE,
            )
        )
        if not stamp:
            return built
        mic = _hmac(keys.session_base_key, self._negotiate + data + built)
        return built[:MIC_OFFSET] + mic + built[MIC_OFFSET + len(mic) :]


def _own_pairs(message: ChallengeMessage) -> tuple[tuple[int, bytes], ...]:
    """Return the server's pairs with what we add: that there is a MIC."""
    (flags,) = struct.unpack("<I", message.get(Pair.FLAGS)[:4].ljust(4, b"\0"))
    others = tuple(pair for pair in message.pairs if pair[0] != Pair.FLAGS)
    return (*others, (Pair.FLAGS, struct.pack("<I", flags | _MIC_PRESENT)))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.md5).digest()
