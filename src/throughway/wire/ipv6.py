"""IPv6 packets (RFC 8200) and addresses (RFC 4291) as 16 bytes.

IP-HTTPS carries packets back to back with no framing of their own: the length of a packet is
its fixed header plus the Payload Length field, so a stream can be cut only while it is in step.
"""

import ipaddress
from dataclasses import dataclass

from throughway.model.errors import WireError

HEADER_LENGTH = 40
VERSION = 6
ADDRESS_LENGTH = 16
MAX_PAYLOAD = 0xFFFF
MAX_PACKET = HEADER_LENGTH + MAX_PAYLOAD
"""Bytes; jumbograms (RFC 2675) do not exist on our links."""
MIN_MTU = 1280
"""Bytes; every IPv6 link carries packets of this size (RFC 8200, section 5)."""

SOURCE_OFFSET = 8
DESTINATION_OFFSET = 24

HOP_BY_HOP = 0
"""Next Header of the Hop-by-Hop Options, which MLD reports carry (RFC 2710, section 3)."""

_ROUTING, FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS = 43, 44, 51, 60
EXTENSION_HEADERS = frozenset(
    {HOP_BY_HOP, _ROUTING, FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS}
)
"""Those that say themselves how long they are and what follows (RFC 8200, section 4)."""
MAXIMUM_EXTENSION_HEADERS = 8
"""Headers of one packet; RFC 8200, section 4.1 has use for six."""

UNSPECIFIED = bytes(16)
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
ALL_ROUTERS = bytes.fromhex("ff020000000000000000000000000002")
_SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")


@dataclass(frozen=True, slots=True, kw_only=True)
class IPv6Packet:
    """One packet: the fixed header and what follows it."""

    source: bytes
    destination: bytes
    next_header: int
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0


@dataclass(frozen=True, slots=True)
class ExtensionHeaders:
    """Where a chain of extension headers leads."""

    protocol: int
    """The Next Header of the last."""
    start: int
    """Where what it names begins."""
    fragment_offset: int = 0
    """Bytes; what begins here is the middle of the payload when it is more than 0."""
    more_fragments: bool = False


def packet_length(buffer: bytes | bytearray | memoryview, offset: int = 0) -> int:
    """Return the length of the packet whose header starts at ``offset``.

    Raises :exc:`WireError` when the header is short or not IPv6.
    """
    if len(buffer) - offset < HEADER_LENGTH:
        raise WireError(f"IPv6 header is {len(buffer) - offset} bytes, needs {HEADER_LENGTH}")
    if buffer[offset] >> 4 != VERSION:
        raise WireError(f"IP version is {buffer[offset] >> 4}, expected {VERSION}")
    return HEADER_LENGTH + (buffer[offset + 4] << 8 | buffer[offset + 5])


def parse_packet(data: bytes) -> IPv6Packet:
    """Read exactly one packet."""
    length = packet_length(data)
    if length != len(data):
        raise WireError(f"IPv6 packet says {length} bytes, has {len(data)}")
    first = int.from_bytes(data[:4], "big")
    return IPv6Packet(
        source=bytes(data[8:24]),
        destination=bytes(data[24:40]),
        next_header=data[6],
        hop_limit=data[7],
        payload=bytes(data[HEADER_LENGTH:]),
        traffic_class=first >> 20 & 0xFF,
        flow_label=first & 0xFFFFF,
    )


def skip_extension_headers(data: bytes, next_header: int, start: int, end: int) -> ExtensionHeaders:
    """Follow the chain that begins at ``start`` with a header of that kind (RFC 8200, 4).

    A fragment that is not the first ends it: what follows is no header.
    """
    offset, more = 0, False
    for _ in range(MAXIMUM_EXTENSION_HEADERS):
        if next_header not in EXTENSION_HEADERS or offset:
            return ExtensionHeaders(next_header, start, offset, more)
        if end - start < 8:
            raise WireError("IPv6 extension header is cut off")
        length = (data[start + 1] + 1) * 8
        if next_header == FRAGMENT:
            length = 8
            field = data[start + 2] << 8 | data[start + 3]
            offset, more = field & 0xFFF8, bool(field & 1)
        elif next_header == _AUTHENTICATION:
            length = (data[start + 1] + 2) * 4
        next_header = data[start]
        start += length
        if start > end:
            raise WireError("IPv6 extension header is cut off")
    raise WireError(f"more than {MAXIMUM_EXTENSION_HEADERS} IPv6 extension headers")


def build_packet(packet: IPv6Packet) -> bytes:
    """Write one packet."""
    if len(packet.payload) > MAX_PAYLOAD:
        raise WireError(f"IPv6 payload is {len(packet.payload)} bytes, at most {MAX_PAYLOAD} fit")
    if len(packet.source) != ADDRESS_LENGTH or len(packet.destination) != ADDRESS_LENGTH:
        raise WireError("IPv6 addresses have 16 bytes")
    first = VERSION << 28 | packet.traffic_class << 20 | packet.flow_label
    return b"".join(
        (
            first.to_bytes(4, "big"),
            len(packet.payload).to_bytes(2, "big"),
            bytes((packet.next_header, packet.hop_limit)),
            packet.source,
            packet.destination,
            packet.payload,
        )
    )


def parse_address(text: str) -> bytes:
    """Read an address as people write it."""
    try:
        return ipaddress.IPv6Address(text).packed
    except ValueError as error:
        raise WireError(f"not an IPv6 address: {text}") from error


def format_address(address: bytes) -> str:
    """Write an address in its shortest form (RFC 5952)."""
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError as error:
        raise WireError(f"not an IPv6 address: {address.hex()}") from error


def parse_prefix(text: str) -> tuple[bytes, int]:
    """Read ``2001:db8::/32``; bits beyond the length must be zero."""
    try:
        network = ipaddress.IPv6Network(text)
    except ValueError as error:
        raise WireError(f"not an IPv6 prefix: {text}") from error
    return network.network_address.packed, network.prefixlen


def is_multicast(address: bytes) -> bool:
    """Whether the address is in ff00::/8."""
    return address[0] == 0xFF


def is_link_local(address: bytes) -> bool:
    """Whether the address is in fe80::/10."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def solicited_node(address: bytes) -> bytes:
    """Return the solicited-node multicast address (RFC 4291, section 2.7.1)."""
    return _SOLICITED_NODE + address[13:]


def is_solicited_node(address: bytes) -> bool:
    """Whether the address is in ff02::1:ff00:0/104."""
    return address[:13] == _SOLICITED_NODE
