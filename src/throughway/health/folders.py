"""Whether the folders in which a daemon keeps its state take more of it."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from throughway.catalogue.host import FILES_NOT_WRITABLE
from throughway.health.checking import Found

FILES = 64
"""That must find room."""
WRITTEN = 4096
"""Octets that are written to see whether they can be: a quota shows in nothing else."""


def unwritable(folders: Iterable[Path], room: int) -> Iterator[Found]:
    """Yield what keeps ``room`` octets from being written to each of the folders."""
    for folder in folders:
        try:
            disk = os.statvfs(folder)
        except OSError as error:
            yield Found(FILES_NOT_WRITABLE, f"{folder}: {error.strerror}", str(folder))
            continue
        left = disk.f_bavail * disk.f_frsize
        if disk.f_flag & os.ST_RDONLY:
            yield Found(FILES_NOT_WRITABLE, f"{folder} is mounted read-only", str(folder))
        elif left < room:
            words = f"{folder}: {left // 1024} KiB are left"
            yield Found(FILES_NOT_WRITABLE, words, str(folder))
        elif disk.f_files and disk.f_favail < FILES:
            words = f"{folder}: no more files fit on its disk"
            yield Found(FILES_NOT_WRITABLE, words, str(folder))
        elif why := _unwritable(folder):
            yield Found(FILES_NOT_WRITABLE, f"{folder}: {why}", str(folder))


def _unwritable(folder: Path) -> str:
    """Write a little into a file without a name, of which nothing stays; say why that fails."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:  # of the file system; the right to write is told
            return str(error.strerror)
        return "" if os.access(folder, os.W_OK) else "not writable for us"
    try:
        os.write(descriptor, bytes(WRITTEN))
    except OSError as error:
        return str(error.strerror)
    finally:
        os.close(descriptor)
    return ""
