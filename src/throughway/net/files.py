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
TOO_OPEN = 0o027
"""Mode bits that a secret must not have: others at all, the group's writing. A group may
read: Debian keeps TLS keys readable for the group ssl-cert."""


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """Return the content; ValueError with a reason for people when that cannot be."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{path} is not a file")
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ValueError(f"{path} is larger than {limit} bytes")
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: a FIFO would wait for somebody who writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_secret(path: Path) -> bytes:
    """Return the content of a file that only its owner, and perhaps a group, can read."""
    data = read_file(path)
    mode = path.stat().st_mode
    if mode & TOO_OPEN:
        raise ValueError(
            f"{path} is a secret, but its mode {stat.S_IMODE(mode):04o} lets others in: "
            f"chmod 0600 {path}"
        )
    return data


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
