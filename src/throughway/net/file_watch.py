"""Says at once when a file has been written, replaced or deleted: inotify(7).

What is not told (there is a limit of watches for each user, and some mounts tell nothing) is for a
look now and then to find: whoever waits here waits for a limited time.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_CREATED, _MOVED_HERE, _WRITTEN, _DELETED = 0x100, 0x80, 0x8, 0x200
_MASK = _CREATED | _MOVED_HERE | _WRITTEN | _DELETED
_EVENT = struct.Struct("iIII")
"""struct inotify_event: watch, mask, cookie, length of the name that follows."""
_BUFFER = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Watches one file, there or not, while the block runs; belongs into an event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._touched = asyncio.Event()

    def __enter__(self) -> "FileWatch":
        descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return self
        # The directory, since another file may take the place of this one.
        if _libc.inotify_add_watch(descriptor, os.fsencode(self._path.parent), _MASK) < 0:
            os.close(descriptor)
            return self
        self._file = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            asyncio.get_running_loop().remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    async def wait(self, seconds: float) -> bool:
        """Say whether something has happened to the file since the last time, or soon does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._touched.wait()
        touched = self._touched.is_set()
        self._touched.clear()
        return touched

    def _read(self) -> None:
        with suppress(BlockingIOError):
            if os.fsencode(self._path.name) in names(os.read(self._file, _BUFFER)):
                self._touched.set()


def names(events: bytes) -> Iterator[bytes]:
    """Yield whose events these are: names within the directory."""
    start = 0
    while start < len(events):
        *_, length = _EVENT.unpack_from(events, start)
        start += _EVENT.size
        yield events[start : start + length].rstrip(b"\0")
        start += length
