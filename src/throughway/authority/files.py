"""Files of an authority's directory: whoever writes them, its owner must be able to read them."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from throughway.model.errors import ConfigError
from throughway.net.files import write_atomically

T = TypeVar("T")


class Kept(Generic[T]):
    """The last content of a file that is read again and again, as long as it is the same file.

    Every change makes another file, see :func:`write_new`; so whoever holds the lock and has
    changed it may say what it holds now.
    """

    def __init__(self, read: Callable[[Path], T]) -> None:
        self._read = read
        self._known: tuple[Path, tuple[int, int, int], T] | None = None

    def get(self, path: Path) -> T:
        """Return what is in the file now."""
        with contextlib.suppress(FileNotFoundError):
            identity = _identity(path)
            if self._known is not None and self._known[:2] == (path, identity):
                return self._known[2]
            self._known = (path, identity, self._read(path))
            return self._known[2]
        return self._read(path)

    def put(self, path: Path, value: T) -> None:
        """Remember what was just written."""
        self._known = (path, _identity(path), value)


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one command at a time change the directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes, mode: int = 0o644, *, force: bool) -> None:
    """Write a file which must not be there yet, unless forced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, mode, overwrite=force)
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be written: {error.strerror}") from error


def give_to_owner(directory: Path, *paths: Path) -> None:
    """Let files of the directory belong to whom it belongs: root's commands serve a service."""
    if os.geteuid() != 0:
        return
    owner = directory.stat()
    for path in paths:
        os.chown(path, owner.st_uid, owner.st_gid)


def exists(path: Path) -> ConfigError:
    """Return what to say of a file that is there already."""
    return ConfigError(str(path), "", "is there already; --force overwrites it")
