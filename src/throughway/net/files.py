"""Files that must be read with a clear word when they cannot, and written whole or not at all."""

import contextlib
import os
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from throughway.model.errors import ConfigError

MAX_FILE = 1024 * 1024
"""Bytes: far more than any key, certificate chain, configuration or bundle has."""

PRIVATE = 0o600
PUBLIC = 0o644
TOO_OPEN = 0o077
"""Mode bits that a secret must not have: it is its owner's alone."""


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """Return the content; ValueError with a reason for people when that cannot be."""
    return _read(path, limit, secret=False)


def read_secret(path: Path) -> bytes:
    """Return the content of a file that only its owner can read, who is root or ourselves.

    ValueError says what is wrong, and the command that mends it.
    """
    return _read(path, MAX_FILE, secret=True)


def read_secret_of_another(path: Path) -> bytes:
    """Return the content of a secret that belongs to another account, and is meant to.

    Root looks after files of daemons that are not root's.
    """
    return _read(path, MAX_FILE, secret=True, owned=False)


def _read(path: Path, limit: int, *, secret: bool, owned: bool = True) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{path} is not a file")
            if secret and (fault := exposure(status, owned=owned)):
                raise ValueError(f"{path} is a secret, but {fault} {path}")
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ValueError(f"{path} is larger than {limit} bytes")
    return data


def exposure(status: os.stat_result, *, owned: bool = True) -> str:
    """Say who else can read a secret, and end with the command that mends it; "": nobody."""
    if owned and status.st_uid not in (0, os.geteuid()):
        # Whoever owns it can put another one in its place, whatever its mode.
        return f"it belongs to uid {status.st_uid}: chown root:"
    if status.st_mode & TOO_OPEN:
        return f"its mode {stat.S_IMODE(status.st_mode):04o} lets others in: chmod 0600"
    return ""


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: a FIFO would wait for somebody who writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_toml(path: Path) -> dict[str, object]:
    """Return the content of a TOML file; :exc:`ConfigError` says where it is none."""
    try:
        return tomllib.loads(read_file(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", "is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), "", f"is not TOML: {error}") from None
    except ValueError as error:
        raise ConfigError(str(path), "", str(error).removeprefix(f"{path} ")) from None
    except RecursionError:
        raise ConfigError(str(path), "", "is nested too deeply") from None


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in errors of write(2) and fsync(2), such as of a full disk, which do not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_atomically(
    path: Path, data: bytes, mode: int = PUBLIC, *, overwrite: bool = True
) -> None:
    """Write the file whole or not at all, also when the power fails in between.

    Raises :exc:`FileExistsError` when it is there and must not be overwritten.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with naming(path), os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if overwrite:
            os.replace(name, path)
        else:
            os.link(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Make the new name last; the content was made so before."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
