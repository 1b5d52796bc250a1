"""IP packets of both versions as a capture shows them: perhaps cut off, with unknown parts.

RFC 791, RFC 8200 (section 4: extension headers). Checksums are not looked at: adapters that
compute them leave wrong ones in captures of their own host.
"""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from throughway.model.errors import WireError
from throughway.wire import ipv6

ICMP, TCP, UDP, IPV6_IN_IPV4, ESP, AH, ICMPV6, NO_NEXT_HEADER = 1, 6, 17, 41, 50, 51, 58, 59

IPV4_HEADER_LENGTH = 20
_IPV4 = struct.Struct("!BxHxxHBB2x4s4s")
_MORE_FRAGMENTS = 0x2000
_DONT_FRAGMENT = 0x4000
_OFFSET_MASK = 0x1FFF
_FRAGMENTED = _MORE_FRAGMENTS | _OFFSET_MASK


class IPHeader(NamedTuple):
    """What is above all IP headers of a packet; a tuple, since there may be millions."""

    version: int
    source: bytes
    destination: bytes
    protocol: int
    """What the payload is, behind extension headers."""
    hop_limit: int
    start: int
    """Where the payload begins in what was parsed."""
    end: int
    """Where it ends, at most the end of what was captured."""
    missing: int = 0
    """Bytes of the payload that were not captured."""
    fragment_offset: int = 0
    """Bytes; the payload of a packet with more than 0 begins in the middle."""
    more_fragments: bool = False
    dont_fragment: bool = False


def parse_ip(data: bytes, offset: int = 0, end: int | None = None) -> IPHeader:
    """Read the headers of the packet at ``offset``."""
    end = len(data) if end is None else end
    if offset >= end:
        raise WireError("no IP packet")
    version = data[offset] >> 4
    if version == 4:
        return _parse_ipv4(data, offset, end)
    if version == 6:
        return _parse_ipv6(data, offset, end)
    raise WireError(f"IP version {version}")


def format_ip(address: bytes) -> str:
    """Write an address of either version."""
    return str(IPv4Address(address) if len(address) == 4 else IPv6Address(address))


def _parse_ipv4(data: bytes, offset: int, end: int) -> IPHeader:
    if end - offset < IPV4_HEADER_LENGTH:
        raise WireError(f"IPv4 header of {end - offset} bytes")
    first, total, fragment, hops, protocol, source, destination = _IPV4.unpack_from(data, offset)
    start = offset + (first & 0xF) * 4
    # Adapters that cut segments themselves leave the length 0 in captures of their own host.
    after = offset + total if total else end
    if start - offset < IPV4_HEADER_LENGTH or start > min(after, end):
        raise WireError("IPv4 header with wrong lengths")
    known = min(after, end)
    missing = after - known
    if fragment & _FRAGMENTED == 0:
        dont = bool(fragment)
        return IPHeader(
            4, source, destination, protocol, hops, start, known, missing, dont_fragment=dont
        )
    return IPHeader(
        *(4, source, destination, protocol, hops, start, known, missing),
        (fragment & _OFFSET_MASK) * 8,
        bool(fragment & _MORE_FRAGMENTS),
        bool(fragment & _DONT_FRAGMENT),
    )


def _parse_ipv6(data: bytes, offset: int, end: int) -> IPHeader:
    length = ipv6.packet_length(data, offset)
    if end - offset < ipv6.HEADER_LENGTH:
        raise WireError(f"IPv6 header of {end - offset} bytes")
    # 0: jumbograms, and segments which the adapter cuts.
    after = offset + length if length > ipv6.HEADER_LENGTH else end
    known = min(after, end)
    source = data[offset + 8 : offset + 24]
    destination = data[offset + 24 : offset + 40]
    start = offset + ipv6.HEADER_LENGTH
    protocol, fragment_offset, more = data[offset + 6], 0, False
    if protocol in ipv6.EXTENSION_HEADERS:
        chain = ipv6.skip_extension_headers(data, protocol, start, known)
        protocol, start = chain.protocol, chain.start
        fragment_offset, more = chain.fragment_offset, chain.more_fragments
    return IPHeader(
        *(6, source, destination, protocol, data[offset + 7], start, known, after - known),
        fragment_offset,
        more,
    )
