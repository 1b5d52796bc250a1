"""Asking a file server whether it speaks SMB 2, without any secret ([MS-SMB2] 2.2.3, 2.2.4).

Negotiating is the first exchange of every connection and needs nobody to have logged on.
"""

import struct
from dataclasses import dataclass

from throughway.model.errors import WireError

PROTOCOL = b"\xfeSMB"
HEADER_LENGTH = 64
FRAME_LENGTH = 4
"""[MS-SMB2] 2.1: a zero octet and the length of what follows, 24 bits."""
MAX_FRAME = 64 * 1024
"""Octets; the answer is a few hundred long."""
NEGOTIATE = 0
DIALECTS = (0x0202, 0x0210, 0x0300, 0x0302)
"""Not 3.1.1, which wants contexts besides; who speaks only that says so in an answer."""
_FROM_SERVER = 1
_SIGNING_ENABLED = 1


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a server has answered."""

    status: int
    dialect: int
    """0 where it takes none of ours."""


def build_negotiate() -> bytes:
    """Build a negotiate request, framed."""
    header = struct.pack(
        "<4sHHIHHIIQIIQ16s",
        *(PROTOCOL, HEADER_LENGTH, 0, 0, NEGOTIATE, 1, 0, 0, 0, 0, 0, 0, bytes(16)),
    )
    body = struct.pack(
        "<HHHHI16sQ", 36, len(DIALECTS), _SIGNING_ENABLED, 0, 0, bytes(16), 0
    ) + struct.pack(f"<{len(DIALECTS)}H", *DIALECTS)
    return (len(header) + len(body)).to_bytes(FRAME_LENGTH, "big") + header + body


def parse_frame(data: bytes) -> int:
    """Return how long the message behind these four octets is."""
    length = int.from_bytes(data[1:FRAME_LENGTH], "big")
    if len(data) != FRAME_LENGTH or data[0] or not HEADER_LENGTH <= length <= MAX_FRAME:
        raise WireError("no SMB message")
    return length


def parse_negotiated(data: bytes) -> Negotiated:
    """Parse the answer to a negotiate request, without its frame."""
    if len(data) < HEADER_LENGTH or data[:4] != PROTOCOL:
        raise WireError("no SMB 2 message")
    status, command, _, flags = struct.unpack_from("<IHHI", data, 8)
    if command != NEGOTIATE or not flags & _FROM_SERVER:
        raise WireError("no answer to an SMB 2 negotiation")
    if status:
        return Negotiated(status, 0)
    if len(data) < HEADER_LENGTH + 6:
        raise WireError("an SMB 2 answer that is cut off")
    return Negotiated(0, int.from_bytes(data[HEADER_LENGTH + 4 : HEADER_LENGTH + 6], "little"))
