"""EAP packets (RFC 3748 section 4), as IKE and RADIUS carry them."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from throughway.model.errors import WireError

HEADER_LENGTH = 4
MAX_LENGTH = 0xFFFF


class EAPCode(IntEnum):
    """RFC 3748 section 4."""

    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class EAPType(IntEnum):
    """The types of RFC 3748 section 5 that are spoken here; others are plain numbers."""

    IDENTITY = 1
    NOTIFICATION = 2
    NAK = 3
    GTC = 6
    TLS = 13


@dataclass(frozen=True, slots=True)
class EAPPacket:
    """One packet; type is None in Success and Failure, which carry nothing."""

    code: EAPCode
    identifier: int
    type: int | None = None
    data: bytes = b""


def parse_eap(data: bytes) -> EAPPacket:
    """Parse one packet; octets after its Length are padding (RFC 3748 section 4.1)."""
    if len(data) < HEADER_LENGTH:
        raise WireError(f"EAP packet of {len(data)} bytes")
    code, identifier, length = struct.unpack_from("!BBH", data)
    if not HEADER_LENGTH <= length <= len(data):
        raise WireError(f"EAP length {length} in {len(data)} bytes")
    try:
        code = EAPCode(code)
    except ValueError:
        raise WireError(f"EAP code {code}") from None
    if code in (EAPCode.SUCCESS, EAPCode.FAILURE):
        if length != HEADER_LENGTH:
            raise WireError(f"EAP {code.name} of {length} bytes")
        return EAPPacket(code, identifier)
    if length == HEADER_LENGTH:
        raise WireError(f"EAP {code.name} without a type")
    return EAPPacket(code, identifier, data[4], data[5:length])


def build_eap(packet: EAPPacket) -> bytes:
    """Build the bytes of one packet."""
    body = b"" if packet.type is None else bytes((packet.type,)) + packet.data
    length = HEADER_LENGTH + len(body)
    if length > MAX_LENGTH:
        raise WireError(f"EAP packet of {length} bytes")
    return struct.pack("!BBH", packet.code, packet.identifier, length) + body
