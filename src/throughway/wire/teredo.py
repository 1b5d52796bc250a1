"""Teredo: addresses and what comes in front of its IPv6 packets (RFC 4380, RFC 5991, RFC 6081)."""

import struct
from dataclasses import dataclass
from enum import StrEnum

from throughway.model.errors import WireError
from throughway.wire.icmpv6 import NEXT_HEADER as ICMPV6
from throughway.wire.icmpv6 import ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION
from throughway.wire.ipv6 import HEADER_LENGTH, IPv6Packet, build_packet, packet_length

PORT = 3544
PREFIX = bytes.fromhex("20010000")
"""2001::/32."""
NO_NEXT_HEADER = 59
CONE = 0x8000
"""The flag of a cone NAT, which RFC 5991 wants to be 0."""
_RANDOM_FLAGS = 0x3CFF
"""The twelve random bits of RFC 5991, section 5.1."""

SERVER_PREFIX_LENGTH = 64
"""Bits which the addresses of one server's clients share."""

_AUTHENTICATION, _ORIGIN = b"\x00\x01", b"\x00\x00"
_ORIGIN_LENGTH = 8
_NONCE_LENGTH = 8
MAXIMUM_TRAILERS = 8
"""Trailers of one packet (RFC 6081, section 4)."""


class Kind(StrEnum):
    """What a Teredo packet is for."""

    SOLICITATION = "router solicitation"
    ADVERTISEMENT = "router advertisement"
    BUBBLE = "bubble"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Mapping:
    """An IPv4 address and port as the Internet sees them."""

    address: bytes
    port: int

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.address))}:{self.port}"


@dataclass(frozen=True, slots=True)
class TeredoAddress:
    """The parts of an address (RFC 4380, section 4; RFC 5991, section 5.1)."""

    server: bytes
    """IPv4 address of the server."""
    flags: int
    mapping: Mapping
    """Where the client is to be reached."""

    @property
    def cone(self) -> bool:
        """Whether the client says that its NAT is a cone."""
        return bool(self.flags & CONE)


@dataclass(frozen=True, slots=True)
class Authentication:
    """RFC 4380, section 5.1.1."""

    client: bytes
    value: bytes
    nonce: bytes
    confirmation: int
    """0, or more when the client shall get a new key."""


@dataclass(frozen=True, slots=True)
class Trailer:
    """What RFC 6081 puts behind the packet."""

    type: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TeredoPacket:
    """One datagram of Teredo."""

    packet: bytes
    """The IPv6 packet."""
    authentication: Authentication | None = None
    origin: Mapping | None = None
    """Where the server saw the datagram coming from."""
    trailers: tuple[Trailer, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it is for."""
        following = self.packet[6]
        if following == NO_NEXT_HEADER and len(self.packet) == HEADER_LENGTH:
            return Kind.BUBBLE
        first = self.packet[HEADER_LENGTH : HEADER_LENGTH + 1]
        if following == ICMPV6 and first == bytes((ROUTER_SOLICITATION,)):
            return Kind.SOLICITATION
        if following == ICMPV6 and first == bytes((ROUTER_ADVERTISEMENT,)):
            return Kind.ADVERTISEMENT
        return Kind.DATA


def is_teredo(address: bytes) -> bool:
    """Whether the IPv6 address is in 2001::/32."""
    return address[:4] == PREFIX


def parse_teredo_address(address: bytes) -> TeredoAddress:
    """Take an address apart; port and address in it are inverted so that no NAT changes them."""
    if len(address) != 16 or not is_teredo(address):
        raise WireError(f"no Teredo address: {address.hex()}")
    flags, port = struct.unpack_from("!HH", address, 8)
    return TeredoAddress(address[4:8], flags, Mapping(_inverted(address[12:16]), port ^ 0xFFFF))


def build_teredo_address(address: TeredoAddress) -> bytes:
    """Put an address together."""
    if len(address.server) != 4 or len(address.mapping.address) != 4:
        raise WireError("Teredo addresses hold IPv4 addresses")
    middle = struct.pack("!HH", address.flags, address.mapping.port ^ 0xFFFF)
    return PREFIX + address.server + middle + _inverted(address.mapping.address)


def build_server_prefix(server: bytes) -> bytes:
    """Return the /64 of the clients of a server, as 16 bytes."""
    if len(server) != 4:
        raise WireError("a Teredo server has an IPv4 address")
    return PREFIX + server + bytes(8)


def secondary_address(server: bytes) -> bytes:
    """Return a server's other address: the one after its first, as Windows takes it to be."""
    following = int.from_bytes(server, "big") + 1
    return (following & 0xFFFFFFFF).to_bytes(4, "big")


def build_link_local(flags: int, mapping: Mapping) -> bytes:
    """Return the address that solicitations come from and advertisements too (5.2.1)."""
    middle = struct.pack("!HH", flags, mapping.port ^ 0xFFFF)
    return b"\xfe\x80" + bytes(6) + middle + _inverted(mapping.address)


def build_bubble(source: bytes, destination: bytes) -> bytes:
    """Return a packet that carries nothing: it opens a NAT (RFC 4380, section 2.8)."""
    return build_packet(
        IPv6Packet(source=source, destination=destination, next_header=NO_NEXT_HEADER, payload=b"")
    )


def random_flags(chance: int) -> int:
    """Spread 12 bits of chance over the flags (RFC 5991, section 5.1): ``00RR RR00 RRRR RRRR``."""
    return (chance & 0xF00) << 2 | chance & 0xFF


def parse_teredo(data: bytes) -> TeredoPacket:
    """Read one datagram."""
    authentication = origin = None
    if data[:2] == _AUTHENTICATION:
        authentication, data = _take_authentication(data)
    if data[:2] == _ORIGIN:
        origin, data = _take_origin(data)
    length = packet_length(data)
    if length > len(data):
        raise WireError(f"IPv6 packet says {length} bytes, has {len(data)}")
    return TeredoPacket(
        packet=data[:length],
        authentication=authentication,
        origin=origin,
        trailers=_trailers(data[length:]),
    )


def build_teredo(packet: TeredoPacket) -> bytes:
    """Write one datagram."""
    head = b""
    if (a := packet.authentication) is not None:
        if len(a.nonce) != _NONCE_LENGTH or max(len(a.client), len(a.value)) > 0xFF:
            raise WireError("Teredo authentication with wrong lengths")
        lengths = bytes((len(a.client), len(a.value)))
        head += _AUTHENTICATION + lengths + a.client + a.value + a.nonce + bytes((a.confirmation,))
    if (o := packet.origin) is not None:
        head += _ORIGIN + (o.port ^ 0xFFFF).to_bytes(2, "big") + _inverted(o.address)
    tail = b"".join(bytes((t.type, len(t.value))) + t.value for t in packet.trailers)
    return head + packet.packet + tail


def _take_authentication(data: bytes) -> tuple[Authentication, bytes]:
    if len(data) < 4:
        raise WireError("Teredo authentication is cut off")
    first = 4 + data[2]
    second = first + data[3]
    end = second + _NONCE_LENGTH + 1
    if len(data) < end:
        raise WireError("Teredo authentication is cut off")
    nonce = data[second : second + _NONCE_LENGTH]
    return Authentication(data[4:first], data[first:second], nonce, data[end - 1]), data[end:]


def _take_origin(data: bytes) -> tuple[Mapping, bytes]:
    if len(data) < _ORIGIN_LENGTH:
        raise WireError("Teredo origin indication is cut off")
    port = int.from_bytes(data[2:4], "big") ^ 0xFFFF
    return Mapping(_inverted(data[4:8]), port), data[_ORIGIN_LENGTH:]


def _trailers(data: bytes) -> tuple[Trailer, ...]:
    """Read trailers; what is none ends them (RFC 6081, section 4)."""
    found: list[Trailer] = []
    while len(data) >= 2 and len(found) < MAXIMUM_TRAILERS:
        end = 2 + data[1]
        if len(data) < end:
            break
        found.append(Trailer(data[0], data[2:end]))
        data = data[end:]
    return tuple(found)


def _inverted(address: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in address)
