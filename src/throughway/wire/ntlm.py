"""The three messages of NTLM, [MS-NLMP] 2.2.1, as an HTTP client sends and gets them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from throughway.model.errors import WireError

SIGNATURE = b"NTLMSSP\0"
NEGOTIATE, CHALLENGE, AUTHENTICATE = 1, 2, 3
MAXIMUM_MESSAGE = 16_384
"""Bytes; a domain's names need some hundred."""
MAXIMUM_PAIRS = 64

_CHALLENGE = struct.Struct("<8sI HHI I 8s 8s HHI")
_FIELD = struct.Struct("<HHI")
_PAIR = struct.Struct("<HH")
_AUTHENTICATE_HEAD = 88
"""Bytes before the payload: signature, type, six fields, flags, version, MIC."""
MIC_OFFSET = 72
"""Where the message integrity code stands in an AUTHENTICATE message."""
MIC_LENGTH = 16


class Flag(IntFlag):
    """[MS-NLMP] 2.2.2.5, those that we set or look at."""

    UNICODE = 0x00000001
    OEM = 0x00000002
    REQUEST_TARGET = 0x00000004
    NTLM = 0x00000200
    ALWAYS_SIGN = 0x00008000
    EXTENDED_SESSION_SECURITY = 0x00080000
    TARGET_INFO = 0x00800000
    VERSION = 0x02000000
    KEY_128 = 0x20000000
    KEY_56 = 0x80000000


class Pair(IntEnum):
    """What an AV_PAIR tells, [MS-NLMP] 2.2.2.1."""

    END = 0
    NETBIOS_COMPUTER = 1
    NETBIOS_DOMAIN = 2
    DNS_COMPUTER = 3
    DNS_DOMAIN = 4
    FLAGS = 6
    TIMESTAMP = 7
    TARGET_NAME = 9
    CHANNEL_BINDINGS = 10


@dataclass(frozen=True, slots=True)
class ChallengeMessage:
    """The server's message."""

    flags: int
    challenge: bytes
    target_name: str
    pairs: tuple[tuple[int, bytes], ...]
    """Without the end."""

    def get(self, kind: int) -> bytes:
        """Return the value of a pair, b"" when it is not there."""
        return next((value for key, value in self.pairs if key == kind), b"")


def build_negotiate(flags: int) -> bytes:
    """Write the first message, without names: they would go in the clear."""
    head = struct.pack("<8sII", SIGNATURE, NEGOTIATE, flags)
    empty = _FIELD.pack(0, 0, 0)
    return head + empty + empty + _version()


def parse_challenge(data: bytes) -> ChallengeMessage:
    """Read the server's message."""
    if len(data) > MAXIMUM_MESSAGE:
        raise WireError(f"an NTLM message of {len(data)} bytes")
    try:
        signature, kind, *rest = _CHALLENGE.unpack_from(data)
    except struct.error as error:
        # Old servers leave the pairs out; without them there is no NTLMv2.
        raise WireError("an NTLM challenge that is too short for NTLMv2") from error
    if signature != SIGNATURE or kind != CHALLENGE:
        raise WireError("not an NTLM challenge")
    name_length, _, name_at, flags, challenge, _, length, _, at = rest
    name = _slice(data, name_at, name_length)
    text = name.decode("utf-16-le" if flags & Flag.UNICODE else "latin-1", "replace")
    return ChallengeMessage(flags, challenge, text, parse_pairs(_slice(data, at, length)))


def build_challenge(message: ChallengeMessage) -> bytes:
    """Write a server's message, for the tests and the lab."""
    encoding = "utf-16-le" if message.flags & Flag.UNICODE else "latin-1"
    name, pairs = message.target_name.encode(encoding), build_pairs(message.pairs)
    at = _CHALLENGE.size + 8
    head = _CHALLENGE.pack(
        *(SIGNATURE, CHALLENGE, len(name), len(name), at, message.flags, message.challenge),
        *(bytes(8), len(pairs), len(pairs), at + len(name)),
    )
    return head + _version() + name + pairs


def parse_pairs(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read AV_PAIRs up to their end."""
    pairs: list[tuple[int, bytes]] = []
    position = 0
    while position < len(data):
        if len(pairs) == MAXIMUM_PAIRS or position + _PAIR.size > len(data):
            raise WireError("AV_PAIRs without an end")
        kind, length = _PAIR.unpack_from(data, position)
        if kind == Pair.END:
            break
        position += _PAIR.size
        pairs.append((kind, _slice(data, position, length)))
        position += length
    return tuple(pairs)


def build_pairs(pairs: Sequence[tuple[int, bytes]]) -> bytes:
    """Write AV_PAIRs with their end."""
    written = (_PAIR.pack(kind, len(value)) + value for kind, value in pairs)
    return b"".join(written) + _PAIR.pack(Pair.END, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticateMessage:
    """The client's proof."""

    lm_response: bytes
    nt_response: bytes
    domain: str
    user: str
    workstation: str
    flags: int
    mic: bytes = bytes(MIC_LENGTH)


def build_authenticate(message: AuthenticateMessage) -> bytes:
    """Write the last message, in Unicode."""
    values = (
        message.lm_response,
        message.nt_response,
        message.domain.encode("utf-16-le"),
        message.user.encode("utf-16-le"),
        message.workstation.encode("utf-16-le"),
        b"",  # no session key: HTTP neither signs nor seals
    )
    fields, at = b"", _AUTHENTICATE_HEAD
    for value in values:
        if len(value) > 0xFFFF:
            raise WireError("a value that is too long for an NTLM message")
        fields += _FIELD.pack(len(value), len(value), at)
        at += len(value)
    head = struct.pack("<8sI", SIGNATURE, AUTHENTICATE) + fields + struct.pack("<I", message.flags)
    return head + _version() + message.mic + b"".join(values)


def parse_authenticate(data: bytes) -> AuthenticateMessage:
    """Read a client's proof, for the tests and the lab."""
    if len(data) < _AUTHENTICATE_HEAD or not data.startswith(SIGNATURE + b"\x03\0\0\0"):
        raise WireError("not an NTLM AUTHENTICATE message")
    fields = [_FIELD.unpack_from(data, 12 + 8 * number) for number in range(6)]
    lm, nt, domain, user, workstation, _ = (_slice(data, at, size) for size, _, at in fields)
    (flags,) = struct.unpack_from("<I", data, 60)
    return AuthenticateMessage(
        lm_response=lm,
        nt_response=nt,
        domain=domain.decode("utf-16-le", "replace"),
        user=user.decode("utf-16-le", "replace"),
        workstation=workstation.decode("utf-16-le", "replace"),
        flags=flags,
        mic=data[MIC_OFFSET : MIC_OFFSET + MIC_LENGTH],
    )


def _slice(data: bytes, at: int, length: int) -> bytes:
    if length and at + length > len(data):
        raise WireError("a field that reaches behind the end of its NTLM message")
    return data[at : at + length]


def _version() -> bytes:
    return bytes([10, 0, 0, 0, 0, 0, 0, 15])
