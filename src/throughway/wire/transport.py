"""TCP segments (RFC 9293), UDP datagrams (RFC 768) and ICMP errors (RFC 792, RFC 4443).

As a capture shows them: the payload may be cut off, checksums are not looked at.
"""

import struct
from enum import IntFlag
from typing import NamedTuple

from throughway.model.errors import WireError
from throughway.wire.ip import ICMP, ICMPV6, IPHeader, parse_ip

TCP_HEADER_LENGTH = 20
UDP_HEADER_LENGTH = 8
_ICMP_HEADER_LENGTH = 8
_TCP = struct.Struct("!HHIIBBH")
_ICMP_ERRORS = {
    ICMP: frozenset({3, 4, 5, 11, 12}),
    ICMPV6: frozenset({1, 2, 3, 4}),
}
"""The types which quote the packet that they are about."""


class TCPFlags(IntFlag):
    """Control bits of RFC 9293, section 3.1."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


class TCPSegment(NamedTuple):
    """One segment; flags as a number, since there may be millions."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgment: int
    flags: int
    window: int
    payload: bytes
    length: int
    """Bytes of payload that were sent, captured or not."""


class UDPDatagram(NamedTuple):
    """One datagram, or as much of it as its first fragment has."""

    source_port: int
    destination_port: int
    payload: bytes
    length: int
    """Bytes of payload that were sent, captured or not."""


class ICMPError(NamedTuple):
    """Somebody on the way says that a packet did not arrive."""

    type: int
    code: int
    detail: int
    """The second word: the MTU of the next hop in Packet Too Big and Fragmentation Needed."""
    packet: IPHeader
    """The packet that it is about."""
    ports: tuple[int, int] | None
    """Its ports, where it has such and enough of it is quoted."""


def parse_tcp(data: bytes, ip: IPHeader) -> TCPSegment:
    """Read the segment that is the payload of a packet."""
    start, end = ip.start, ip.end
    if end - start < TCP_HEADER_LENGTH:
        raise WireError(f"TCP header of {end - start} bytes")
    source, destination, sequence, ack, size, flags, window = _TCP.unpack_from(data, start)
    begin = start + (size >> 4) * 4
    if begin - start < TCP_HEADER_LENGTH or begin > end + ip.missing:
        raise WireError("TCP header with a wrong length")
    length = end + ip.missing - begin
    payload = data[begin:end]
    return TCPSegment(source, destination, sequence, ack, flags, window, payload, length)


def parse_udp(data: bytes, ip: IPHeader) -> UDPDatagram:
    """Read the datagram that is the payload of a packet."""
    start, end = ip.start, ip.end
    if end - start < UDP_HEADER_LENGTH:
        raise WireError(f"UDP header of {end - start} bytes")
    source, destination, length = struct.unpack_from("!HHH", data, start)
    begin = start + UDP_HEADER_LENGTH
    # 0: a jumbogram (RFC 2675), or a segment which the adapter cuts.
    if length:
        if length < UDP_HEADER_LENGTH:
            raise WireError(f"UDP length {length}")
        end = min(end, start + length)
    sent = length - UDP_HEADER_LENGTH if length else end + ip.missing - begin
    return UDPDatagram(source, destination, data[begin:end], sent)


def parse_icmp_error(data: bytes, ip: IPHeader) -> ICMPError | None:
    """Read an ICMP message of either version; None when it is no error."""
    start, end = ip.start, ip.end
    if end - start < _ICMP_HEADER_LENGTH:
        raise WireError(f"ICMP message of {end - start} bytes")
    kind, code, _, detail = struct.unpack_from("!BBHI", data, start)
    if kind not in _ICMP_ERRORS.get(ip.protocol, ()):
        return None
    about = parse_ip(data, start + _ICMP_HEADER_LENGTH, end)
    ports = None
    if about.end - about.start >= 4 and not about.fragment_offset:
        ports = struct.unpack_from("!HH", data, about.start)
    return ICMPError(kind, code, detail, about, ports)
