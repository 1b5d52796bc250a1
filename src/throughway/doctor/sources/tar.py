"""The regular files of a tar archive (POSIX ustar and pax, GNU long names), read in one go.

Python's own reader believes the sizes that an archive claims of its headers, and searches them in
quadratic time. Here a header has a largest size, and of a packed archive only so much is unpacked.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, NamedTuple

BLOCK = 512
MAXIMUM_HEADER = 64 * 1024
"""Bytes of a header of a header: a long name, attributes."""
UNPACKED = 128 * 1024 * 1024
"""Bytes that any archive may come to when it is unpacked, and again for each other reading."""
RATIO = 100
"""Bytes for each packed one that it may come to beyond that; logs come to fifty."""
PACKED: dict[bytes, Callable[[BinaryIO], IO[bytes] | gzip.GzipFile]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_CHUNK = 1 << 20
_REGULAR = (b"0", b"\0", b"7")
_LONG_NAME, _PAX, _PAX_GLOBAL = b"L", b"x", b"g"
_OTHERS = (b"1", b"2", b"3", b"4", b"5", b"6", b"K", b"S", b"V", b"X", _PAX_GLOBAL)
"""Links, devices, folders, and what else has a header."""


class TarError(ValueError):
    """The archive is broken here, or comes to more than it may."""


class Entry(NamedTuple):
    """One regular file."""

    name: str
    size: int
    offset: int
    """Where it begins in the unpacked archive."""


class Budget:
    """How much may still be unpacked of one archive, by all who read it."""

    def __init__(self, packed: int) -> None:
        self.left = UNPACKED + RATIO * packed

    def take(self, number: int) -> None:
        """Count what was unpacked."""
        self.left -= number
        if self.left < 0:
            raise TarError("unpacked it is too large to be read whole")


class Unpacked(io.RawIOBase):
    """The bytes of an archive, packed or not; going back in a packed one starts it anew."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        head = stream.read(6)
        stream.seek(0)
        self._outer = stream
        packing = next((kind for sign, kind in PACKED.items() if head.startswith(sign)), None)
        self.packed = packing is not None
        self._stream: IO[bytes] | gzip.GzipFile = packing(stream) if packing else stream
        self._budget = budget
        self.at = 0

    def readable(self) -> bool:
        return True

    def take(self, number: int) -> bytes:
        """Read that many bytes, fewer at the end."""
        data = self._stream.read(number)
        self.at += len(data)
        if self.packed:
            self._budget.take(len(data))
        return data

    def go(self, to: int) -> None:
        """Go to a place, which may be beyond the end."""
        if not self.packed:
            self.at = self._stream.seek(to)
            return
        if to < self.at:
            self.at = self._stream.seek(0)
        while self.at < to and self.take(min(_CHUNK, to - self.at)):
            pass

    def close(self) -> None:
        self._stream.close()
        self._outer.close()
        super().close()


def entries(archive: Unpacked) -> Iterator[Entry]:
    """Yield the regular files; raise :exc:`TarError` where the archive is broken."""
    at = 0
    name: str | None = None
    size: int | None = None
    while True:
        archive.go(at)
        header = archive.take(BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            if not at or header.strip(b"\0"):
                raise TarError("it is no whole tar archive")
            return
        kind, own = _kind(header), _number(header[124:136])
        at += BLOCK
        if kind in (_LONG_NAME, _PAX):
            if own > MAXIMUM_HEADER:
                raise TarError("a header is too large")
            content = archive.take(own)
            name, size = (_text(content), size) if kind == _LONG_NAME else _attributes(content)
        elif kind in _REGULAR:
            own = own if size is None else size
            yield Entry(name or _name(header), own, at)
            name = size = None
        elif kind in _OTHERS:
            name, size = (name, size) if kind == _PAX_GLOBAL else (None, None)
        at += -(-own // BLOCK) * BLOCK


def _kind(header: bytes) -> bytes:
    """Return the type; raise when the header's sum says that it is none."""
    said = _number(header[148:156])
    if sum(header[:148]) + 8 * ord(" ") + sum(header[156:]) != said:
        raise TarError("it is no tar archive, or broken")
    return header[156:157]


def _number(octets: bytes) -> int:
    """Return a number in octal digits or, where it would be too long for them, in binary."""
    if octets[0] & 0x80:
        return int.from_bytes(octets, "big") & ((1 << 8 * len(octets) - 1) - 1)
    digits = octets.strip(b" \0")
    if digits and (digits.strip(b"01234567") or not digits.isdigit()):
        raise TarError("it is no tar archive, or broken")
    return int(digits, 8) if digits else 0


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(octets: bytes) -> str:
    return octets.split(b"\0", 1)[0].decode("utf-8", "replace")


def _attributes(content: bytes) -> tuple[str | None, int | None]:
    """Return the name and the size of a pax header, where it has them."""
    name: str | None = None
    size: int | None = None
    at = 0
    while at < len(content):
        length, blank, _ = content[at : at + 16].partition(b" ")
        if not blank or not length.isdigit() or int(length) <= len(length):
            break
        key, _, value = content[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        if key == b"path":
            name = _text(value)
        elif key == b"size" and value.isdigit() and len(value) < 20:
            size = int(value)
        at += int(length)
    return name, size
