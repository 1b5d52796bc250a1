"""Files of an authority's directory: whoever writes them, its owner must be able to read them."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from throughway.model.errors import ConfigError
from throughway.net.files import write_atomically


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
