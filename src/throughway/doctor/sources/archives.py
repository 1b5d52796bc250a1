"""Members of zip and tar archives, without writing anything to the disk.

An archive comes from somebody else's machine: what it says of its sizes and names is not
believed. Members are read as streams up to the limits, names are only ever shown.
"""

import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol

from throughway.doctor.sources.tar import BLOCK, Budget, Entry, TarError, Unpacked, entries

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

MAXIMUM_MEMBERS = 20_000
"""Files in one archive; a bundle of one machine has tens, of a fleet thousands."""
MAXIMUM_DEPTH = 3
"""Archives within archives; each level may multiply the size."""
_ENCRYPTED = 0x1
"""The flag of a zip's member (APPNOTE 4.4.4)."""
_OTHERS = ((b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"), (b"MSCF\0\0\0\0", "cabinet"))
"""Kinds of archives that are known and not read here."""
_BAD = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # a member that is encrypted, or compressed in a way that is not known
    ValueError,
    OverflowError,
)


class Closeable(Protocol):
    """What must be closed in the end."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive."""

    name: str
    size: int
    """As the archive says."""
    open: Callable[[], BinaryIO]


class BadArchiveError(Exception):
    """The archive cannot be read, or not further."""


def is_archive(head: bytes) -> bool:
    """Whether the first bytes are those of an archive, read here or named as not read."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        return True
    if any(head.startswith(sign) for sign, _ in _OTHERS):
        return True
    return head[257:262] == b"ustar"


def members(opener: Callable[[], BinaryIO], head: bytes) -> Iterator[Member]:
    """Yield the files of the archive; raise :exc:`BadArchiveError` when it breaks off."""
    for sign, name in _OTHERS:
        if head.startswith(sign):
            raise BadArchiveError(f"{name} archives are not read: unpack it, and give the folder")
    try:
        if head.startswith(b"PK"):
            yield from _zip_members(opener)
        else:
            yield from _tar_members(opener)
    except _BAD as error:
        raise BadArchiveError(str(error) or type(error).__name__) from error


@contextmanager
def reading(opener: Callable[[], BinaryIO]) -> Iterator[BinaryIO]:
    """Open a file or a member; raise :exc:`BadArchiveError` when it is broken."""
    try:
        with opener() as stream:
            yield stream
    except _BAD as error:
        # What the system says of a file has the path in it, which is nobody's business.
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadArchiveError(why) from error


def _zip_members(opener: Callable[[], BinaryIO]) -> Iterator[Member]:
    encrypted = 0
    with opener() as stream, zipfile.ZipFile(stream) as archive:
        for number, entry in enumerate(archive.infolist()):
            if number >= MAXIMUM_MEMBERS:
                raise BadArchiveError(f"more than {MAXIMUM_MEMBERS} files")
            if entry.flag_bits & _ENCRYPTED:
                encrypted += 1
            elif not entry.is_dir():
                yield Member(
                    entry.filename,
                    entry.file_size,
                    lambda entry=entry: _reading_zip(opener, archive, entry),  # type: ignore[misc]
                )
    if encrypted:
        files = "1 file in it is" if encrypted == 1 else f"{encrypted} files in it are"
        raise BadArchiveError(
            f"{files} protected by a password: unpack it with the password, and give the folder"
        )


def _reading_zip(
    opener: Callable[[], BinaryIO], archive: zipfile.ZipFile, entry: zipfile.ZipInfo
) -> BinaryIO:
    """Open a member, also later, when the archive has been closed."""
    if archive.fp is not None:
        return archive.open(entry)  # type: ignore[return-value]
    outer = opener()
    again = zipfile.ZipFile(outer)
    return _Owner.of(again.open(entry), again, outer)


class _Owner(io.RawIOBase):
    """A member that was opened later: closing it closes its archive too."""

    def __init__(self, member: IO[bytes], *owned: Closeable) -> None:
        super().__init__()
        self._member = member
        self._owned = owned

    @classmethod
    def of(cls, member: IO[bytes], *owned: Closeable) -> BinaryIO:
        """Return the member, to be read as any file."""
        return io.BufferedReader(cls(member, *owned))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer)
        chunk = self._member.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        for each in (self._member, *self._owned):
            each.close()
        super().close()


def _tar_members(opener: Callable[[], BinaryIO]) -> Iterator[Member]:
    budget = Budget(_size(opener))
    with Unpacked(opener(), budget) as archive:
        try:
            for number, entry in enumerate(entries(archive)):
                if number >= MAXIMUM_MEMBERS:
                    raise BadArchiveError(f"more than {MAXIMUM_MEMBERS} files")

                def open_it(entry: Entry = entry) -> BinaryIO:
                    return _reading_tar(opener, archive, budget, entry)

                yield Member(entry.name, entry.size, open_it)
        except TarError:
            if archive.at > BLOCK or not archive.packed:
                raise
            yield Member("", 0, lambda: _Unpacking.of(Unpacked(opener(), budget), None))


def _size(opener: Callable[[], BinaryIO]) -> int:
    with opener() as stream:
        return stream.seek(0, io.SEEK_END)


def _reading_tar(
    opener: Callable[[], BinaryIO], archive: Unpacked, budget: Budget, entry: Entry
) -> BinaryIO:
    """Open a member: on the way, where it is just reached, else by another reading."""
    if not archive.closed and archive.at == entry.offset:
        return _Unpacking.of(archive, entry.size, borrowed=True)
    again = Unpacked(opener(), budget)
    again.go(entry.offset)
    return _Unpacking.of(again, entry.size)


class _Unpacking(io.RawIOBase):
    """What is read of an archive from where it stands, up to a number of bytes."""

    def __init__(self, archive: Unpacked, size: int | None, borrowed: bool) -> None:
        self._archive = archive
        self._left = size
        self._borrowed = borrowed

    @classmethod
    def of(cls, archive: Unpacked, size: int | None, *, borrowed: bool = False) -> BinaryIO:
        """Return it, to be read as any file."""
        return io.BufferedReader(cls(archive, size, borrowed))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer)
        wanted = len(view) if self._left is None else min(len(view), self._left)
        try:
            data = self._archive.take(wanted)
        except _BAD as error:
            raise OSError(str(error)) from error
        view[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
        return len(data)

    def close(self) -> None:
        if not self._borrowed:
            self._archive.close()
        super().close()
