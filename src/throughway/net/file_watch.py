"""Says at once when a file has been written, replaced or deleted: inotify(7).

From a thread of its own, since an event loop may be busy with what has happened at the same time.
What is not told (there is a limit of watches for each user, and some mounts tell nothing) is for a
look now and then to find.
"""

import ctypes
import os
import select
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

_CREATED, _MOVED_HERE, _WRITTEN, _DELETED = 0x100, 0x80, 0x8, 0x200
_MASK = _CREATED | _MOVED_HERE | _WRITTEN | _DELETED
_EVENT = struct.Struct("iIII")
"""struct inotify_event: watch, mask, cookie, length of the name that follows."""
_BUFFER = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Watches one file, there or not, while the block runs; calls from its thread."""

    def __init__(self, path: Path, on_touched: Callable[[], None]) -> None:
        self._path = path
        self._on_touched = on_touched
        self._files: tuple[int, ...] = ()
        """Events, and both ends of the pipe that ends the thread."""
        self._thread = threading.Thread(target=self._watch, name=f"watch {path}", daemon=True)

    def __enter__(self) -> "FileWatch":
        events = _libc.inotify_init1(os.O_CLOEXEC)
        if events < 0:
            return self
        # The directory, since another file may take the place of this one.
        if _libc.inotify_add_watch(events, os.fsencode(self._path.parent), _MASK) < 0:
            os.close(events)
            return self
        self._files = events, *os.pipe()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._files:
            return
        os.write(self._files[2], b"\0")
        self._thread.join()
        for file in self._files:
            os.close(file)
        self._files = ()

    def _watch(self) -> None:
        events, ended, _ = self._files
        name, poll = os.fsencode(self._path.name), select.poll()
        for file in (events, ended):
            poll.register(file, select.POLLIN)
        while ended not in (ready := dict(poll.poll())):
            if events in ready and name in names(os.read(events, _BUFFER)):
                self._on_touched()


def names(events: bytes) -> Iterator[bytes]:
    """Yield whose events these are: names within the directory."""
    start = 0
    while start < len(events):
        *_, length = _EVENT.unpack_from(events, start)
        start += _EVENT.size
        yield events[start : start + length].rstrip(b"\0")
        start += length
