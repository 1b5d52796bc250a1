"""Traffic, and what becomes of it when one looks at one packet at a time.

The reference has nothing in common with the implementations: it knows packets as fields, adds
checksums word by word, and says what may be merged as a list of sentences.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from throughway.net.segments import VNET

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << n for n in range(8))
TCP, UDP = 6, 17


def ones_complement(data: bytes) -> int:
    """Add 16-bit words as RFC 1071 says it; 0 only when there are no bits at all."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + b"\0" * (len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum_of(data: bytes, *, udp: bool = False) -> int:
    """Return the checksum; of the two zeros 0, and for UDP the other one."""
    checksum = 0xFFFF - ones_complement(data)
    if checksum == 0xFFFF:
        checksum = 0
    return checksum or (0xFFFF if udp else 0)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """What packets of a flow have in common."""

    source: bytes = bytes.fromhex("20010db800da10000000000000000001")
    destination: bytes = bytes.fromhex("20010db800c000000000000000000080")
    ports: bytes = b"\x12\x34\x01\xbb"
    first: int = 6 << 28
    hop_limit: int = 64

    def pseudo_header(self, length: int, protocol: int) -> bytes:
        return self.source + self.destination + struct.pack("!II", length, protocol)

    def pseudo_sum(self, length: int, protocol: int) -> int:
        return ones_complement(self.pseudo_header(length, protocol))

    def packet(self, upper: bytes, protocol: int) -> bytes:
        head = struct.pack("!IHBB", self.first, len(upper), protocol, self.hop_limit)
        return head + self.source + self.destination + upper

    def segment(
        self,
        payload: bytes,
        sequence: int = 0,
        *,
        acknowledgement: int = 7,
        flags: int = ACK,
        window: int = 500,
        urgent: int = 0,
        options: bytes = b"",
        reserved: int = 0,
        length: int | None = None,
        spoil: int = 0,
    ) -> bytes:
        """Return a TCP segment; ``spoil`` is added to its checksum."""
        words = (5 + len(options) // 4) if length is None else length
        fixed = self.ports + struct.pack(
            "!IIBBH", sequence % 2**32, acknowledgement, words << 4 | reserved, flags, window
        )
        rest = struct.pack("!H", urgent) + options + payload
        pseudo = self.pseudo_header(len(fixed) + 2 + len(rest), TCP)
        checksum = (checksum_of(pseudo + fixed + b"\0\0" + rest) + spoil) % 2**16
        return self.packet(fixed + checksum.to_bytes(2) + rest, TCP)

    def datagram(
        self, payload: bytes, *, length: int | None = None, spoil: int = 0, bare: bool = False
    ) -> bytes:
        """Return a UDP datagram; a ``bare`` one has no checksum."""
        size = 8 + len(payload)
        fixed = self.ports + (size if length is None else length).to_bytes(2)
        pseudo = self.pseudo_header(size, UDP)
        checksum = (checksum_of(pseudo + fixed + b"\0\0" + payload, udp=True) + spoil) % 2**16
        return self.packet(fixed + (b"\0\0" if bare else checksum.to_bytes(2)) + payload, UDP)


def cut(data: bytes) -> list[bytes]:
    """Return the whole packets at the beginning."""
    packets = []
    while len(data) >= 40 and data[0] >> 4 == 6:
        size = 40 + int.from_bytes(data[4:6])
        if size > len(data):
            break
        packets.append(data[:size])
        data = data[size:]
    return packets


# Cutting


def reference_segment(read: bytes, room: int) -> bytes:
    """Return the packets of one read of the device, b"" when it is refused."""
    if len(read) < VNET.size + 40:
        return b""
    flags, kind, _, step, upper, offset = VNET.unpack(read[: VNET.size])
    kind, packet = kind & 0x7F, read[VNET.size :]
    if cut(packet) != [packet]:
        return b""
    if not flags & 1:
        return packet if kind == 0 and len(packet) <= room else b""
    if upper < 40 or upper + offset + 2 > len(packet):
        return b""
    if kind == 0:
        checksum = checksum_of(packet[upper:], udp=offset == 6)
        whole = _with(packet, upper + offset, checksum.to_bytes(2))
        return whole if len(whole) <= room else b""
    if (kind, offset) not in ((4, 16), (5, 6)) or not step:
        return b""
    if kind == 4 and (upper + 20 > len(packet) or packet[upper + 12] >> 4 < 5):
        return b""
    head = upper + (8 if kind == 5 else (packet[upper + 12] >> 4) * 4)
    if head > len(packet):
        return b""
    payload = packet[head:]
    parts = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
    if sum(map(len, parts)) + head * len(parts) > room:
        return b""
    return b"".join(
        _part(packet[:head], upper, kind == 4, parts, number) for number in range(len(parts))
    )


def _part(head: bytes, upper: int, tcp: bool, parts: list[bytes], number: int) -> bytes:
    own = len(head) - upper
    pseudo = int.from_bytes(head[upper + (16 if tcp else 6) :][:2])
    pseudo += 0xFFFF - (own + sum(map(len, parts))) + own + len(parts[number])
    part = _with(head, 4, (len(head) - 40 + len(parts[number])).to_bytes(2))
    if tcp:
        sequence = int.from_bytes(head[upper + 4 : upper + 8]) + sum(map(len, parts[:number]))
        flags = head[upper + 13]
        if number != len(parts) - 1:
            flags &= 0xFF - FIN - PSH
        if number != 0:
            flags &= 0xFF - CWR
        part = _with(part, upper + 4, (sequence % 2**32).to_bytes(4))
        part = _with(part, upper + 13, bytes([flags]))
    else:
        part = _with(part, upper + 4, (8 + len(parts[number])).to_bytes(2))
    field = upper + (16 if tcp else 6)
    part = _with(part, field, b"\0\0") + parts[number]
    checksum = checksum_of(pseudo.to_bytes(4) + part[upper:], udp=not tcp)
    return _with(part, field, checksum.to_bytes(2))


def _with(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


# Merging


@dataclass
class Group:
    """Packets that were written as one."""

    packets: list[bytes] = field(default_factory=list)

    @property
    def first(self) -> bytes:
        return self.packets[0]

    @property
    def head(self) -> int:
        return 40 + (8 if self.first[6] == UDP else (self.first[52] >> 4) * 4)

    def takes(self, packet: bytes, *, udp: bool) -> bool:
        """Whether a packet may be added to the ones that are there."""
        first, last = self.first, self.packets[-1]
        if not all(_alone_well(one, udp=udp) for one in (first, last, packet)):
            return False
        payloads = [len(one) - self.head for one in (first, last, packet)]
        same = [
            len(self.packets) < 64,
            sum(len(one) - self.head for one in self.packets) + len(packet) <= 65535,
            first[:4] == packet[:4],
            first[6:44] == packet[6:44],
            payloads[0] == payloads[1] >= payloads[2],
        ]
        if first[6] == packet[6] == TCP:
            expected = int.from_bytes(last[44:48]) + payloads[1]
            same += [
                first[52] == packet[52],
                last[53] & PSH == 0,
                int.from_bytes(packet[44:48]) == expected % 2**32,
                first[48:52] == packet[48:52],
                first[54:56] == packet[54:56],
                first[58 : self.head] == packet[58 : self.head],
            ]
        return all(same)

    def written(self) -> bytes:
        """Return what the device gets."""
        if len(self.packets) == 1:
            return bytes(VNET.size) + self.first
        tcp = self.first[6] == TCP
        payload = b"".join(packet[self.head :] for packet in self.packets)
        size = self.head - 40 + len(payload)
        head = _with(self.first[: self.head], 4, size.to_bytes(2))
        pseudo = head[8:40] + struct.pack("!II", size, head[6])
        if tcp:
            head = _with(head, 53, bytes([head[53] | self.packets[-1][53] & PSH]))
        else:
            head = _with(head, 44, size.to_bytes(2))
        offset = 16 if tcp else 6
        head = _with(head, 40 + offset, ones_complement(pseudo).to_bytes(2))
        step = len(self.first) - self.head
        return VNET.pack(1, 4 if tcp else 5, self.head, step, 40, offset) + head + payload


def _alone_well(packet: bytes, *, udp: bool) -> bool:
    """Whether this is a packet that merges at all."""
    if packet[6] == UDP and udp and len(packet) > 48:
        well = int.from_bytes(packet[44:46]) == len(packet) - 40 and packet[46:48] != b"\0\0"
    elif packet[6] == TCP and len(packet) > 60:
        head = 40 + (packet[52] >> 4) * 4
        well = packet[53] in (ACK, ACK | PSH) and not packet[52] & 15 and 60 <= head < len(packet)
    else:
        return False
    pseudo = packet[8:40] + struct.pack("!II", len(packet) - 40, packet[6])
    return well and ones_complement(pseudo + packet[40:]) == 0xFFFF


def reference_coalesce(data: bytes, *, udp: bool) -> bytes:
    """Return all that is written, one after the other."""
    groups: list[Group] = []
    for packet in cut(data):
        if groups and groups[-1].takes(packet, udp=udp):
            groups[-1].packets.append(packet)
        else:
            groups.append(Group([packet]))
    return b"".join(group.written() for group in groups)


def written_by(
    coalesce: Callable[[int, bytes | bytearray, int, int, bool], int], data: bytes, *, udp: bool
) -> bytes:
    """Return all that an implementation writes; what is before and behind is not its business."""
    around = b"\x60" * 50
    fd = os.memfd_create("tun")
    try:
        whole = around + data + around
        assert coalesce(fd, whole, 50, 50 + len(data), udp) == 0
        return os.pread(fd, 1 << 22, 0)
    finally:
        os.close(fd)


def reads(written: bytes) -> list[bytes]:
    """Return what was written as the reads of the other end's device."""
    found = []
    while written:
        size = VNET.size + 40 + int.from_bytes(written[14:16])
        found.append(written[:size])
        written = written[size:]
    return found


ALIKE = Maker()
OTHER = replace(ALIKE, ports=b"\x12\x35\x01\xbb")
