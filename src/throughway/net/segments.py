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
                raw[VNET.size : size] = into[: max(0, length)]
                before, end = end, segment(raw, size, target, end)
                refused += end == before
            else:
                end += length  # it lies where it belongs
    return end, refused


def coalesce(fd: int, buffer: bytes | bytearray, start: int, end: int, udp: bool, /) -> int:
    """Write the packets of ``buffer[start:end]``, merged where they may be; in their order.

    With ``udp`` datagrams are merged too. Returns how many packets were refused.
    """
    data = bytes(memoryview(buffer)[start:end])  # numbers are made faster of parts of bytes
    view, refused, start, end = memoryview(data), 0, 0, len(data)
    while end - start >= HEADER_LENGTH and data[start] >> 4 == VERSION:
        after = start + HEADER_LENGTH + (data[start + 4] << 8 | data[start + 5])
        if after > end:
            break
        head = _head_length(data, start, after, udp=udp)
        offsets = _extend(data, start, after, end, head) if head else [start, after]
        whole = len(offsets) == 2
        try:
            os.writev(fd, (_PLAIN, view[start:after]) if whole else _merged(view, offsets, head))
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


def _sum(data: bytes | memoryview) -> int:
    """Return something that is the sum of all 16-bit words modulo 65535.

    Since 65536 is 1 modulo 65535, so is every power of it: the number which all bytes make.
    """
    return int.from_bytes(data) << 8 * (len(data) % 2)


def _finish(packet: bytearray | memoryview, field: int, total: int, *, udp: bool) -> None:
    """Write the checksum of a sum that holds everything; UDP has none that is 0."""
    checksum = -total % 0xFFFF
    packet[field : field + 2] = (0xFFFF if udp and not checksum else checksum).to_bytes(2)


def _extend(data: bytes, start: int, after: int, end: int, head: int) -> list[int]:
    """Return the offsets of the packets that may be one with the first, and of their end."""
    size, tcp = after - start, data[start + 6] == TCP
    if end - after <= head or not _verify(data[start:after]):
        return [start, after]
    step, most = size - head, min(MOST, (LARGEST - head) // (size - head))
    at = _alike(data, start, min(end, start + most * size), head)
    offsets = list(range(start, at + 1, size))
    count = len(offsets) - 1
    room = min(step, LARGEST - head - count * step)
    if count == MOST or end - at <= head or not room:
        return offsets
    # One more may be shorter or carry PSH, and then it is the last.
    payload = HEADER_LENGTH - head + (data[at + 4] << 8 | data[at + 5])
    after = at + head + payload
    if after > end or not 0 < payload <= room:
        return offsets
    mask = _equal(head, tcp=tcp, last=True)
    first = int.from_bytes(data[start : start + head])
    last = int.from_bytes(data[at : at + head])
    if tcp:
        first = _advanced(first, count * step, 8 * (head - 48))
    elif last >> 16 & 0xFFFF != payload + _UDP_HEADER or not last & 0xFFFF:
        return offsets
    if not (first ^ last) & mask and _verify(data[at:after]):
        offsets.append(after)
    return offsets


def _alike(data: bytes, start: int, end: int, head: int) -> int:
    """Return where the packets end that are as long as the first and continue it.

    A packet is looked at as a number: what it must have in common with the first is a mask, and
    its checksum is right when, modulo 65535, it is as much as what lies before the addresses.
    """
    tcp = data[start + 6] == TCP
    size = HEADER_LENGTH + (data[start + 4] << 8 | data[start + 5])
    # Two halves are, modulo 65535, as much as their sum. Division is dear: it has an eighth left.
    middle, odd = max(size // 4 * 2, head + head % 2), size % 2 * 8
    quarter, eighth = middle // 4 * 16, middle // 8 * 16
    low_quarter, low_eighth = (1 << quarter) - 1, (1 << eighth) - 1
    to_head, to_sequence = 8 * (middle - head), 8 * (head - 48)
    step, wrap = 0, -1
    if tcp:  # the sequence number, which begins again at some packet
        step = size - head << to_sequence
        left = (1 << 32) - int.from_bytes(data[start + 44 : start + 48])
        wrap = start + -(-left // (size - head)) * size
    mask, read = _equal(head, tcp=tcp, last=False), int.from_bytes
    expected = read(data[start : start + head]) & mask
    # All words before the addresses, but the length and the protocol, which checksums are of too.
    right = (_sum(data[start : start + 4]) + data[start + 7] + data[start + 6] * 0xFF) % 0xFFFF
    at = start + size
    while at + size <= end:
        half = read(data[at : at + middle])
        header = half >> to_head
        expected += step
        if at == wrap:
            expected -= 1 << 32 + to_sequence
        if header & mask != expected:
            break
        number = half + (read(data[at + middle : at + size]) << odd)
        number = (number >> quarter) + (number & low_quarter)
        if ((number >> eighth) + (number & low_eighth)) % 0xFFFF != right:
            break
        if not tcp and not header & 0xFFFF:
            break
        at += size
    return at


def _advanced(header: int, by: int, to_sequence: int) -> int:
    """Return a header with a later sequence number."""
    over = (header >> to_sequence & 0xFFFFFFFF) + by >> 32
    return header + (by << to_sequence) - (over << 32 + to_sequence)


def _head_length(packets: bytes, start: int, after: int, *, udp: bool) -> int:
    """Return the length of the headers of a packet that others may follow, else 0."""
    protocol, upper = packets[start + 6], start + HEADER_LENGTH
    size = after - upper
    if protocol == TCP and size > _TCP_HEADER and packets[upper + _FLAGS] == _ACK:
        own, reserved = divmod(packets[upper + 12], 16)
        return HEADER_LENGTH + own * 4 if not reserved and _TCP_HEADER <= own * 4 < size else 0
    if protocol == UDP and udp and size > _UDP_HEADER:
        whole = packets[upper + 4] << 8 | packets[upper + 5] == size
        return HEADER_LENGTH + _UDP_HEADER if whole and any(packets[upper + 6 : upper + 8]) else 0
    return 0


@functools.cache
def _equal(head: int, *, tcp: bool, last: bool) -> int:
    """Return a mask of the bits which the headers of merged packets have in common."""
    mask = bytearray(b"\xff" * head)
    checksum = HEADER_LENGTH + (_TCP_CHECKSUM if tcp else _UDP_CHECKSUM)
    mask[checksum : checksum + 2] = b"\0\0"
    if last:
        mask[4:6] = b"\0\0"
        if tcp:
            mask[HEADER_LENGTH + _FLAGS] = 0xFF & ~_PSH
        else:
            mask[44:46] = b"\0\0"
    return int.from_bytes(mask)


def _verify(packet: bytes) -> bool:
    """Whether the checksum is right; the addresses lie next to what it is of."""
    return not (_sum(packet[8:]) + len(packet) - HEADER_LENGTH + packet[6]) % 0xFFFF


def _merged(view: memoryview, offsets: list[int], head: int) -> list[Buffer]:
    start, after = offsets[:2]
    tcp = view[start + 6] == TCP
    payloads = [view[a + head : b] for a, b in itertools.pairwise(offsets)]
    size = head - HEADER_LENGTH + (len(offsets) - 2) * len(payloads[0]) + len(payloads[-1])
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
