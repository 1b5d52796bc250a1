"""A file of JSON lines that grows at its end, is rotated, and survives a full disk.

It is written in whole lines or not at all: what of a line a full disk has taken is cut off again.
Readers find the newest in the file itself, older ones in ``FILE.1``, ``FILE.2`` and so on.
"""

import contextlib
import os
import re
import time
from pathlib import Path

MODE = 0o640
"""A group (adm) may read, nobody but the daemon may write."""
DIRECTORY_MODE = 0o750
ROTATE_SIZE = 16 * 1024 * 1024
"""Bytes after which a new file is begun: twenty thousand records."""
ROTATE_AGE = 7 * 86400.0
"""Seconds after which a new file is begun."""
KEEP_FILES = 12
"""Rotated files; with the size that bounds what a flood can fill: 208 MiB."""
KEEP_DAYS = 90
"""After which a rotated file is removed."""
_DAY = 86400.0
_FIRST_AT = re.compile(rb'"at": ?([0-9.]+)')
_HEAD = 512
"""Bytes in which a record has said when it was."""


class AuditFile:
    """The file; every method may block, so it is called in a thread."""

    def __init__(
        self,
        path: Path,
        *,
        rotate_size: int = ROTATE_SIZE,
        rotate_age: float = ROTATE_AGE,
        keep_files: int = KEEP_FILES,
        keep_days: int = KEEP_DAYS,
    ) -> None:
        self.path = path
        self._rotate_size = rotate_size
        self._rotate_age = rotate_age
        self._keep_files = keep_files
        self._keep_days = keep_days
        self._descriptor = -1
        self._begun = 0.0

    def append(self, lines: bytes, now: float | None = None) -> None:
        """Write whole lines at the end; OSError when that cannot be, and nothing is written."""
        now = time.time() if now is None else now
        self._open(now)
        size = os.fstat(self._descriptor).st_size
        if size and (size + len(lines) > self._rotate_size or now - self._begun > self._rotate_age):
            self.rotate(now)
            self._open(now)
            size = 0
        try:
            written = os.write(self._descriptor, lines)
        except OSError:
            self._cut(size)
            raise
        if written < len(lines):
            self._cut(size)
            raise OSError(28, os.strerror(28), str(self.path))

    def rotate(self, now: float) -> None:
        """Begin a new file; the oldest ones go."""
        self.close()
        for number in range(self._keep_files - 1, -1, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(rotated(self.path, number), rotated(self.path, number + 1))
        for old in rotations(self.path)[1:]:
            beyond = int(old.suffix[1:]) > self._keep_files
            with contextlib.suppress(OSError):
                if beyond or now - old.stat().st_mtime > self._keep_days * _DAY:
                    old.unlink()

    def close(self) -> None:
        """Close it; the next record opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _cut(self, size: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, size)

    def _open(self, now: float) -> None:
        """Open it, also anew when somebody has moved or removed it meanwhile."""
        if self._descriptor >= 0:
            with contextlib.suppress(FileNotFoundError):
                ours, there = os.fstat(self._descriptor), os.stat(self.path)
                if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
                    return
            self.close()
        self.path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, MODE)
        os.fchmod(self._descriptor, MODE)
        head = os.pread(self._descriptor, _HEAD, 0)
        match = _FIRST_AT.search(head)
        self._begun = float(match[1]) if match else now
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            # A power failure has left half a line: it ends here.
            os.write(self._descriptor, b"\n")


def rotated(path: Path, number: int) -> Path:
    """Return the name of an older file; 0 is the one that is written."""
    return path if number == 0 else path.with_name(f"{path.name}.{number}")


def rotations(path: Path) -> list[Path]:
    """Return all files that are there, newest first."""
    numbered = [
        (int(file.suffix[1:]), file)
        for file in path.parent.glob(f"{path.name}.*")
        if file.suffix[1:].isdecimal()
    ]
    return [path, *(file for _, file in sorted(numbered))]
