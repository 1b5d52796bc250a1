"""Link-layer headers in captures: where the IP packet begins in a frame.

The numbers are the LINKTYPE_ values of pcap and pcapng (www.tcpdump.org/linktypes.html).
"""

from enum import IntEnum

from throughway.model.errors import WireError


class LinkType(IntEnum):
    """The kinds of link whose frames are read, and those that are refused by name."""

    NULL = 0
    ETHERNET = 1
    RAW_BSD = 12
    RAW_OPENBSD = 14
    RAW = 101
    IEEE802_11 = 105
    LOOP = 108
    LINUX_SLL = 113
    IEEE802_11_RADIOTAP = 127
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


HEADER_LENGTHS: dict[int, int] = {
    LinkType.NULL: 4,
    LinkType.ETHERNET: 14,
    LinkType.RAW_BSD: 0,
    LinkType.RAW_OPENBSD: 0,
    LinkType.RAW: 0,
    LinkType.LOOP: 4,
    LinkType.LINUX_SLL: 16,
    LinkType.IPV4: 0,
    LinkType.IPV6: 0,
    LinkType.LINUX_SLL2: 20,
}
"""Bytes before the IP packet where nothing (no VLAN tag) comes between."""

MAXIMUM_TAGS = 4
"""VLAN tags of one frame; customer and provider tag are two (IEEE 802.1ad)."""

_IPV4, _IPV6, _PPPOE_SESSION = b"\x08\x00", b"\x86\xdd", b"\x88\x64"
_IP = frozenset({_IPV4, _IPV6})
_ETHERNET, _ETHERNET_LENGTH = int(LinkType.ETHERNET), 14
_TAGS = frozenset({b"\x81\x00", b"\x88\xa8", b"\x91\x00"})
_PPP_PROTOCOLS = frozenset({b"\x00\x21", b"\x00\x57"})
"""IPv4 and IPv6 in PPP (RFC 2516, RFC 5072)."""
_ETHERTYPE_OFFSETS = {LinkType.ETHERNET: 12, LinkType.LINUX_SLL: 14, LinkType.LINUX_SLL2: 0}


def find_ip(link_type: int, frame: bytes) -> int | None:
    """Return where the IP packet begins; None when the frame holds something else.

    Raises :exc:`WireError` for links that are not read here and frames that are cut off.
    """
    if link_type == _ETHERNET and frame[12:14] in _IP and len(frame) > _ETHERNET_LENGTH:
        return _ETHERNET_LENGTH
    length = HEADER_LENGTHS.get(link_type)
    if length is None:
        raise WireError(refusal(link_type))
    if len(frame) <= length:
        raise WireError(f"frame of {len(frame)} bytes, its header alone needs {length}")
    where = _ETHERTYPE_OFFSETS.get(LinkType(link_type))
    if where is None:
        return length if frame[length] >> 4 in (4, 6) else None
    return _behind_tags(frame, frame[where : where + 2], length)


def refusal(link_type: int) -> str:
    """Say why frames of such a link are not read."""
    if link_type in (LinkType.IEEE802_11, LinkType.IEEE802_11_RADIOTAP):
        return "802.11 frames as they go over the air are not read: capture without monitor mode"
    return f"link type {link_type} is not read"


def _behind_tags(frame: bytes, ethertype: bytes, offset: int) -> int | None:
    """Follow VLAN tags and a PPPoE session to the packet."""
    for _ in range(MAXIMUM_TAGS):
        if ethertype not in _TAGS:
            break
        ethertype = frame[offset + 2 : offset + 4]
        offset += 4
    if ethertype == _PPPOE_SESSION:
        ethertype = _IPV4 if frame[offset + 6 : offset + 8] in _PPP_PROTOCOLS else b""
        offset += 8
    if ethertype not in _IP:
        return None
    if len(frame) <= offset:
        raise WireError("frame ends before its IP packet")
    return offset
