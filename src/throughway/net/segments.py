"""Packets and super-packets, as a TUN device with offload speaks them, in Python.

A super-packet is one IPv6 packet of up to 65,535 bytes behind a ``virtio_net_hdr`` that says how
the kernel would cut it. ``_segments.c`` is the same, faster; the tests hold both against a version
that looks at one packet at a time.
"""

import contextlib
import functools
import itertools
import os
import struct
from typing import Final

from throughway.wire.ipv6 import HEADER_LENGTH, VERSION

VNET: Final = struct.Struct("=BBHHHH")
"""flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; in the machine's byte order."""
NEEDS_CSUM: Final = 1
GSO_NONE: Final = 0
GSO_TCPV6: Final = 4
GSO_UDP_L4: Final = 5
GSO_ECN: Final = 0x80
LARGEST: Final = 65535
"""Bytes of a super-packet."""
MOST: Final = 64
"""Packets merged into one: the kernel's bound for UDP."""
TCP: Final = 6
UDP: Final = 17

_PLAIN = bytes(VNET.size)
_TCP_HEADER, _UDP_HEADER = 20, 8
_TCP_CHECKSUM, _UDP_CHECKSUM = 16, 6
_FIN, _PSH, _ACK, _CWR = 0x01, 0x08, 0x10, 0x80
_FLAGS, _PORTS_END = 13, HEADER_LENGTH + 4

Buffer = bytes | bytearray | memoryview


def segment(source: Buffer, length: int, target: bytearray | memoryview, offset: int, /) -> int:
    """Cut one read of the device, ``source[:length]``, into packets at ``target[offset:]``.

    Returns the new end of the target; it is ``offset`` when this is no IPv6 packet, or there is
    no room.
    """
    size = length - VNET.size
    if (
        size < HEADER_LENGTH
        or source[VNET.size] >> 4 != VERSION
        or size != HEADER_LENGTH + (source[VNET.size + 4] << 8 | source[VNET.size + 5])
    ):
        return offset
    packet = memoryview(source)[VNET.size : length]
    if source[0] & NEEDS_CSUM:
        return _complete(packet, VNET.unpack_from(source), target, offset)
    after = offset + size
    if source[1] & ~GSO_ECN or after > len(target):
        return offset
    target[offset:after] = packet
    return after


def fill(
    fd: int, raw: memoryview, target: bytearray | memoryview, limit: int, /
) -> tuple[int, int]:
    """Cut what waits in the device into packets at ``target``, until it is ``limit`` bytes.

    ``raw`` has room for the largest read. Returns the end of what is in the target, and how many
    reads were refused as :func:`segment` does.
    """
    end = taken = refused = 0
    header, view = bytearray(VNET.size), memoryview(target)
    largest = len(raw) - VNET.size
    with contextlib.suppress(BlockingIOError):
        while taken < limit and end < limit:
            into = view[end:] if len(target) - end >= largest else raw[VNET.size :]
            size = os.readv(fd, (header, into))
            if not size:
                break
            taken += size
            length = size - VNET.size
            if (
                header[0] & NEEDS_CSUM
                or header[1]
                or into[0] >> 4 != VERSION
                or length != HEADER_LENGTH + (into[4] << 8 | into[5])
                or len(target) - end < largest
            ):
                raw[: VNET.size] = header
                raw[VNET.size : size] = into[:length]
                before, end = end, segment(raw, size, target, end)
                refused += end == before
            else:
                end += length  # it lies where it belongs
    return end, refused


def coalesce(fd: int, buffer: Buffer, start: int, end: int, udp: bool, /) -> int:
    """Write the packets of ``buffer[start:end]``, merged where they may be; in their order.

    With ``udp`` datagrams are merged too. Returns how many packets were refused.
    """
    view, refused = memoryview(buffer), 0
    while offsets := _mergeable(view, start, end, udp=udp):
        if len(offsets) == 2:
            parts: list[Buffer] = [_PLAIN, view[start : offsets[1]]]
        else:
            parts = _merged(view, offsets)
        try:
            os.writev(fd, parts)
        except OSError:  # such as EINVAL for a malformed packet: the packet is lost, not the link
            refused += len(offsets) - 1
        start = offsets[-1]
    return refused


def _complete(
    packet: memoryview, vnet: tuple[int, ...], target: bytearray | memoryview, offset: int
) -> int:
    """Cut a super-packet, or write the checksum which the kernel left out."""
    _, kind, _, step, upper, field = vnet
    if upper < HEADER_LENGTH or upper + field + 2 > len(packet):
        return offset
    if kind & ~GSO_ECN != GSO_NONE:
        return _cut(packet, (kind & ~GSO_ECN, step, upper, field), target, offset)
    after = offset + len(packet)
    if after > len(target):
        return offset
    target[offset:after] = packet
    # The field holds the sum of the pseudo-header.
    _finish(target, offset + upper + field, _sum(packet[upper:]), udp=field == _UDP_CHECKSUM)
    return after


def _cut(
    packet: memoryview, how: tuple[int, int, int, int], target: bytearray | memoryview, offset: int
) -> int:
    kind, step, upper, field = how
    size, tcp = len(packet), kind == GSO_TCPV6
    if tcp and field == _TCP_CHECKSUM and upper + _TCP_HEADER <= size:
        own = (packet[upper + 12] >> 4) * 4
        if own < _TCP_HEADER:
            return offset
        head = upper + own
    elif kind == GSO_UDP_L4 and field == _UDP_CHECKSUM:
        head = upper + _UDP_HEADER
    else:
        return offset
    if head > size or not step:
        return offset
    count = -(-(size - head) // step) or 1
    if count * head + size - head > len(target) - offset:
        return offset
    # The pseudo-header without its length, which is each segment's own.
    base = int.from_bytes(packet[upper + field : upper + field + 2]) - (size - upper)
    for number in range(count):
        segment = bytearray(packet[:head])
        segment += packet[head + number * step : head + (number + 1) * step]
        segment[4:6] = (len(segment) - HEADER_LENGTH).to_bytes(2)
        if tcp:
            sequence = int.from_bytes(packet[upper + 4 : upper + 8]) + number * step
            segment[upper + 4 : upper + 8] = (sequence & 0xFFFFFFFF).to_bytes(4)
            if number + 1 < count:
                segment[upper + _FLAGS] &= ~(_FIN | _PSH)
            if number:
                segment[upper + _FLAGS] &= ~_CWR
        else:
            segment[upper + 4 : upper + 6] = (len(segment) - upper).to_bytes(2)
        segment[upper + field : upper + field + 2] = b"\0\0"
        total = base + len(segment) - upper + _sum(memoryview(segment)[upper:])
        _finish(segment, upper + field, total, udp=not tcp)
        target[offset : offset + len(segment)] = segment
        offset += len(segment)
    return offset


def _sum(data: memoryview) -> int:
    """Return something that is the sum of all 16-bit words modulo 65535.

    Since 65536 is 1 modulo 65535, so is every power of it: the number which all bytes make.
    """
    return int.from_bytes(data) << 8 * (len(data) % 2)


def _finish(packet: bytearray | memoryview, field: int, total: int, *, udp: bool) -> None:
    """Write the checksum of a sum that holds everything; UDP has none that is 0."""
    checksum = -total % 0xFFFF
    packet[field : field + 2] = (0xFFFF if udp and not checksum else checksum).to_bytes(2)


def _mergeable(view: memoryview, start: int, end: int, *, udp: bool) -> list[int]:
    """Return the offsets of the packets from ``start`` on that may be one, and of their end.

    There are none where no whole packet is.
    """
    if end - start < HEADER_LENGTH or view[start] >> 4 != VERSION:
        return []
    after = start + HEADER_LENGTH + (view[start + 4] << 8 | view[start + 5])
    if after > end:
        return []
    offsets = [start, after]
    head = _head_length(view[start:after], udp=udp)
    if head and not (view[start + 6] == TCP and view[start + HEADER_LENGTH + _FLAGS] & _PSH):
        _extend(offsets, view, end, head)
    return offsets


def _extend(offsets: list[int], view: memoryview, end: int, head: int) -> None:
    """Add the ends of the packets that may be one with the first.

    A packet is looked at as one number: what the headers must have in common is a mask, and its
    checksum is right when, modulo 65535, it is as much as what lies before the addresses.
    """
    start, at = offsets
    tcp, size = view[start + 6] == TCP, at - start
    step, total, verified, last = size - head, size, False, 0
    mask = _equal(head, tcp=tcp)
    first = int.from_bytes(view[start : start + head]) & mask
    # All words before the addresses, but the length and the protocol, which checksums are of too.
    right = (_sum(view[start : start + 4]) + view[start + 7] + view[start + 6] * 0xFF) % 0xFFFF
    sequence, to_sequence, to_flags = int.from_bytes(view[start + 44 : start + 48]), 0, 0
    if tcp:
        to_sequence, to_flags = 8 * (head - 48), 8 * (head - 54)
    # Division is dear: numbers are folded twice before it, at whole words.
    half, quarter = size // 4 * 16, size // 8 * 16
    low_half, low_quarter = (1 << half) - 1, (1 << quarter) - 1
    while not last and len(offsets) <= MOST and end - at > head:
        payload = HEADER_LENGTH - head + (view[at + 4] << 8 | view[at + 5])
        after = at + head + payload
        total += payload
        if after > end or not 0 < payload <= step or total > LARGEST:
            return
        number = int.from_bytes(view[at:after])
        header = number >> 8 * payload
        if header & mask != first:
            return
        if tcp:
            sequence = sequence + step & 0xFFFFFFFF
            last = header >> to_flags & _PSH
            if header >> to_sequence & 0xFFFFFFFF != sequence:
                return
        elif header >> 16 & 0xFFFF != payload + _UDP_HEADER or not header & 0xFFFF:
            return
        number <<= 8 * (payload % 2)
        number = (number >> half) + (number & low_half)
        if ((number >> quarter) + (number & low_quarter)) % 0xFFFF != right:
            return
        if not (verified or _verify(view[start : offsets[1]])):
            return
        verified, last = True, last or payload < step
        offsets.append(after)
        at = after


def _head_length(packet: memoryview, *, udp: bool) -> int:
    """Return the length of the headers of a packet that others may follow, else 0."""
    upper = packet[HEADER_LENGTH:]
    if packet[6] == TCP and len(upper) > _TCP_HEADER:
        own = (upper[12] >> 4) * 4
        plain = upper[_FLAGS] & ~_PSH == _ACK and not upper[12] & 0x0F
        return HEADER_LENGTH + own if plain and _TCP_HEADER <= own < len(upper) else 0
    if udp and packet[6] == UDP and len(upper) > _UDP_HEADER and _whole_datagram(packet):
        return HEADER_LENGTH + _UDP_HEADER
    return 0


def _whole_datagram(packet: memoryview) -> bool:
    """Whether the length of a UDP header is right and there is a checksum."""
    return (packet[44] << 8 | packet[45]) == len(packet) - HEADER_LENGTH and (
        packet[46] << 8 | packet[47]
    ) != 0


@functools.cache
def _equal(head: int, *, tcp: bool) -> int:
    """Return a mask of the bits which the headers of merged packets have in common."""
    mask = bytearray(b"\xff" * head)
    mask[4:6] = b"\0\0"
    if tcp:
        mask[44:48] = bytes(4)
        mask[HEADER_LENGTH + _FLAGS] = 0xFF & ~_PSH
        mask[56:58] = b"\0\0"
    else:
        mask[_PORTS_END:] = bytes(4)
    return int.from_bytes(mask)


def _verify(packet: memoryview) -> bool:
    """Whether the checksum is right; the addresses lie next to what it is of."""
    return not (_sum(packet[8:]) + len(packet) - HEADER_LENGTH + packet[6]) % 0xFFFF


def _merged(view: memoryview, offsets: list[int]) -> list[Buffer]:
    start, after = offsets[:2]
    tcp = view[start + 6] == TCP
    own = (view[start + HEADER_LENGTH + 12] >> 4) * 4 if tcp else _UDP_HEADER
    head = HEADER_LENGTH + own
    payloads = [view[a + head : b] for a, b in itertools.pairwise(offsets)]
    size = own + sum(map(len, payloads))
    merged = bytearray(view[start : start + head])
    merged[4:6] = size.to_bytes(2)
    if tcp:
        merged[HEADER_LENGTH + _FLAGS] |= view[offsets[-2] + HEADER_LENGTH + _FLAGS] & _PSH
    else:
        merged[_PORTS_END : _PORTS_END + 2] = size.to_bytes(2)
    field = _TCP_CHECKSUM if tcp else _UDP_CHECKSUM
    pseudo = (_sum(view[start + 8 : start + HEADER_LENGTH]) + size + merged[6]) % 0xFFFF or 0xFFFF
    merged[HEADER_LENGTH + field : HEADER_LENGTH + field + 2] = pseudo.to_bytes(2)
    kind = GSO_TCPV6 if tcp else GSO_UDP_L4
    header = VNET.pack(NEEDS_CSUM, kind, head, after - start - head, HEADER_LENGTH, field)
    return [header, merged, *payloads]
