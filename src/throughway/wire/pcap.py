"""Network captures as streams: pcap and pcapng (draft-ietf-opsawg-pcap, …-pcapng).

Feed :meth:`Reader.receive_data` with chunks of any size and empty :meth:`Reader.packets` after
each: of the file no more is kept than the record that is not yet complete.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from throughway.model.errors import WireError
from throughway.wire.link import HEADER_LENGTHS, LinkType
from throughway.wire.quiet import QuietFlows

MAXIMUM_PACKET = 262_144
"""Bytes; the largest snapshot length that capture tools write."""
MAXIMUM_BLOCK = 16 * 1024 * 1024
"""Bytes of a pcapng block; blocks of names or secrets are larger than packets."""
MAXIMUM_INTERFACES = 4096
"""Interfaces of one section; etl2pcapng makes one for each adapter and layer."""

_PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
"""Byte order and ticks a second by the first four bytes."""
_PCAP_HEADER_LENGTH = 24
_PCAP_RECORD_LENGTH = 16

_SECTION_HEADER = 0x0A0D0D0A
_SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_BLOCK_OVERHEAD = 12
"""Bytes of a block's type and two lengths."""
_ENHANCED_HEADER_LENGTH = 28
_OPTION_END, _OPTION_NAME, _OPTION_RESOLUTION, _OPTION_OFFSET = 0, 2, 9, 14
_TAG = 0x81
"""The first byte of a VLAN tag's EtherType, 0x8100."""
_NO_LINK = 1 << 40
"""A header length that no frame reaches: links which are not read have no quiet flows."""


class Format(StrEnum):
    """The two kinds of file."""

    PCAP = "pcap"
    PCAPNG = "pcapng"


@dataclass(frozen=True, slots=True)
class Interface:
    """One place where packets were captured."""

    number: int
    link_type: int
    snap_length: int = 0
    """Bytes kept of each packet; 0: no limit."""
    ticks: int = 10**6
    """Units of its timestamps in a second."""
    offset: int = 0
    """Seconds to be added to its timestamps."""
    name: str = ""


class Packet(NamedTuple):
    """One packet as it was captured; a tuple, since there may be millions."""

    timestamp: float | None
    """Seconds since 1970; None where the file does not say."""
    interface: Interface
    length: int
    """Bytes that it had on the link; ``data`` may have fewer."""
    data: bytes


def is_capture(head: bytes) -> bool:
    """Whether a file that begins so is a capture of one of the two kinds."""
    if head[:4] == _SECTION_MAGIC:
        return head[8:12] in _BYTE_ORDERS
    return head[:4] in _PCAP_MAGICS


class Reader:
    """Reads one capture; packets of quiet flows are only counted."""

    def __init__(self, quiet: QuietFlows | None = None) -> None:
        self.quiet = quiet or QuietFlows()
        self.format: Format | None = None
        self.interfaces: list[Interface] = []
        """Those of the current section."""
        self.count = 0
        """Packets so far, with the quiet ones."""
        self.first_timestamp: float | None = None
        self.last_timestamp: float | None = None
        self._links: list[tuple[Interface, int, bool]] = []
        """The interfaces, each with what the fast path needs of it."""
        self._buffer = b""
        self._position = 0
        self._dropped = 0
        self._order = "<"

    @property
    def offset(self) -> int:
        """Bytes of the file that were read as whole records."""
        return self._dropped + self._position

    @property
    def incomplete(self) -> int:
        """Bytes of a record that has not ended; at the end of the file: it was cut off."""
        return len(self._buffer) - self._position

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self._dropped += self._position
        self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def packets(self) -> Iterator[Packet]:
        """Yield the packets that are complete and not quiet.

        Raises :exc:`WireError` with the offset where the file is no capture any more.
        """
        if self.format is None and not self._recognise():
            return
        yield from self._pcap() if self.format is Format.PCAP else self._pcapng()

    def _recognise(self) -> bool:
        head = self._buffer[:_PCAP_HEADER_LENGTH]
        if len(head) < _PCAP_HEADER_LENGTH:
            if not any(m.startswith(head[:4]) for m in (*_PCAP_MAGICS, _SECTION_MAGIC)):
                raise WireError("neither pcap nor pcapng")
            return False
        if not is_capture(head):
            raise WireError("neither pcap nor pcapng")
        if head[:4] == _SECTION_MAGIC:
            self.format = Format.PCAPNG
            return True
        self.format = Format.PCAP
        self._order, ticks = _PCAP_MAGICS[head[:4]]
        snap, link = struct.unpack(f"{self._order}II", head[16:24])
        # The upper bits tell of frame check sequences (draft-ietf-opsawg-pcap, section 4).
        self.interfaces = [Interface(0, link & 0xFFFF, snap, ticks)]
        self._position = _PCAP_HEADER_LENGTH
        return True

    def _pcap(self) -> Iterator[Packet]:
        interface = self.interfaces[0]
        header = struct.Struct(f"{self._order}4I")
        link, tagged = _fast_path(interface)
        ticks = interface.ticks
        data, at, end = self._buffer, self._position, len(self._buffer)
        covers, unpack = self.quiet.covers, header.unpack_from
        last = -1
        while end - at >= _PCAP_RECORD_LENGTH:
            seconds, fraction, kept, length = unpack(data, at)
            begin = at + _PCAP_RECORD_LENGTH
            after = begin + kept
            if after > end or kept > MAXIMUM_PACKET:
                break
            last = at
            at = after
            start = begin + link
            if tagged and start < end and data[start - 2] == _TAG:
                start += 4
            self.count += 1
            if not covers(data, start, after):
                self._position = at
                timestamp = self._seen(seconds + fraction / ticks)
                yield Packet(timestamp, interface, length, data[begin:after])
        self._position = at
        if last >= 0:
            seconds, fraction, _, _ = unpack(data, last)
            self._seen(seconds + fraction / ticks)
        self._check_record(header)

    def _check_record(self, header: struct.Struct) -> None:
        """Refuse a record that no capture tool writes, before waiting for its end."""
        if self.incomplete >= _PCAP_RECORD_LENGTH:
            _, _, kept, _ = header.unpack_from(self._buffer, self._position)
            if kept > MAXIMUM_PACKET:
                raise WireError(f"packet of {kept} bytes at offset {self.offset}")

    def _seen(self, timestamp: float) -> float:
        if self.first_timestamp is None:
            self.first_timestamp = timestamp
        self.last_timestamp = timestamp
        return timestamp

    def _pcapng(self) -> Iterator[Packet]:
        while self.incomplete >= _BLOCK_OVERHEAD:
            kind, length = self._block()
            if length > self.incomplete:
                return
            if kind == _ENHANCED_PACKET:
                yield from self._enhanced()
                continue
            body = self._buffer[self._position + 8 : self._position + length - 4]
            packet = self._read_block(kind, body)
            self._position += length
            if packet is not None:
                yield packet

    def _block(self) -> tuple[int, int]:
        """Return type and length of the next block; a section header sets the byte order."""
        if self._buffer.startswith(_SECTION_MAGIC, self._position):
            order = _BYTE_ORDERS.get(self._buffer[self._position + 8 : self._position + 12])
            if order is None:
                raise WireError(f"section without a byte order at offset {self.offset}")
            self._order = order
        kind, length = struct.unpack_from(f"{self._order}II", self._buffer, self._position)
        if length % 4 or not _BLOCK_OVERHEAD <= length <= MAXIMUM_BLOCK:
            raise WireError(f"block of {length} bytes at offset {self.offset}")
        return kind, length

    def _read_block(self, kind: int, body: bytes) -> Packet | None:
        if kind == _SECTION_HEADER:
            self.interfaces, self._links = [], []
        elif kind == _INTERFACE:
            interface = self._parse_interface(body)
            self.interfaces.append(interface)
            self._links.append((interface, *_fast_path(interface)))
        elif kind == _SIMPLE_PACKET:
            return self._parse_simple(body)
        elif kind == _OBSOLETE_PACKET:
            return self._parse_obsolete(body)
        return None

    def _enhanced(self) -> Iterator[Packet]:
        """Read enhanced packet blocks for as long as they follow each other."""
        header = struct.Struct(f"{self._order}7I")
        links = self._links
        data, at, end = self._buffer, self._position, len(self._buffer)
        covers, unpack = self.quiet.covers, header.unpack_from
        last = -1
        while end - at >= _ENHANCED_HEADER_LENGTH + 4:
            kind, whole, number, high, low, kept, length = unpack(data, at)
            if kind != _ENHANCED_PACKET or at + whole > end or whole % 4:
                break
            begin = at + _ENHANCED_HEADER_LENGTH
            after = begin + kept
            if after > at + whole - 4 or kept > MAXIMUM_PACKET or number >= len(links):
                raise WireError(f"broken packet block at offset {self._dropped + at}")
            last = at
            at += whole
            interface, link, tagged = links[number]
            start = begin + link
            if tagged and start < end and data[start - 2] == _TAG:
                start += 4
            self.count += 1
            if not covers(data, start, after):
                self._position = at
                timestamp = self._seen(_seconds(interface, high, low))
                yield Packet(timestamp, interface, length, data[begin:after])
        if last < 0:
            raise WireError(f"broken packet block at offset {self.offset}")
        self._position = at
        _, _, number, high, low, _, _ = unpack(data, last)
        self._seen(_seconds(self.interfaces[number], high, low))

    def _parse_interface(self, body: bytes) -> Interface:
        if len(body) < 8 or len(self.interfaces) >= MAXIMUM_INTERFACES:
            raise WireError(f"broken interface block at offset {self.offset}")
        link, _, snap = struct.unpack_from(f"{self._order}HHI", body)
        ticks, offset, name = 10**6, 0, ""
        for code, value in self._options(body[8:]):
            if code == _OPTION_NAME:
                name = value.decode("utf-8", "replace").rstrip("\0")
            elif code == _OPTION_RESOLUTION and value:
                ticks = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
            elif code == _OPTION_OFFSET and len(value) == 8:
                (offset,) = struct.unpack(f"{self._order}q", value)
        return Interface(len(self.interfaces), link, snap, ticks, offset, name)

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Cut options; a list that is cut off just ends."""
        while len(data) >= 4:
            code, length = struct.unpack_from(f"{self._order}HH", data)
            if code == _OPTION_END:
                return
            yield code, data[4 : 4 + length]
            data = data[4 + length + -length % 4 :]

    def _parse_simple(self, body: bytes) -> Packet:
        """Read a packet without time, which is of the first interface."""
        if len(body) < 4 or not self.interfaces:
            raise WireError(f"broken packet block at offset {self.offset}")
        (length,) = struct.unpack_from(f"{self._order}I", body)
        interface = self.interfaces[0]
        kept = min(length, interface.snap_length or length, MAXIMUM_PACKET)
        self.count += 1
        return Packet(None, interface, length, body[4 : 4 + kept])

    def _parse_obsolete(self, body: bytes) -> Packet:
        if len(body) < 20:
            raise WireError(f"broken packet block at offset {self.offset}")
        number, _, high, low, kept, length = struct.unpack_from(f"{self._order}HHIIII", body)
        if kept > min(len(body) - 20, MAXIMUM_PACKET) or number >= len(self.interfaces):
            raise WireError(f"broken packet block at offset {self.offset}")
        interface = self.interfaces[number]
        self.count += 1
        timestamp = self._seen(_seconds(interface, high, low))
        return Packet(timestamp, interface, length, body[20 : 20 + kept])


def _fast_path(interface: Interface) -> tuple[int, bool]:
    """Return the length of the link's header, and whether VLAN tags may follow it."""
    tagged = interface.link_type == LinkType.ETHERNET
    return HEADER_LENGTHS.get(interface.link_type, _NO_LINK), tagged


def _seconds(interface: Interface, high: int, low: int) -> float:
    return interface.offset + (high << 32 | low) / interface.ticks
