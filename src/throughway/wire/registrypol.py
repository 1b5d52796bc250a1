"""Registry.pol: the registry values of a group policy ([MS-GPREG] section 2.2.1)."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from throughway.model.errors import WireError

SIGNATURE = b"PReg"
_VERSION = 1
HEADER_LENGTH = 8
MAXIMUM_NAME = 16_384
"""Characters of a key or value name; the registry itself takes fewer."""
MAXIMUM_DATA = 1 << 20
"""Bytes of one value; [MS-GPREG] says 65535, the tools write more."""
MAXIMUM_ENTRIES = 200_000

_OPEN, _SEPARATOR, _CLOSE = (text.encode("utf-16-le") for text in "[;]")
DELETE_PREFIX = "**"
DELETE_VALUE = "**del."
"""In front of a value's name: it is to be removed."""


class RegistryType(IntEnum):
    """Types of values; others are plain numbers."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    MULTI_SZ = 7
    QWORD = 11


Value = str | int | bytes | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One instruction: set a value, or (names with ``**``) remove something."""

    key: str
    """Below HKEY_LOCAL_MACHINE or HKEY_CURRENT_USER, as the file's place says."""
    name: str
    type: int
    data: bytes

    @property
    def deleted(self) -> str | None:
        """The name of the value that is to be removed; None where another thing is said."""
        if self.name.lower().startswith(DELETE_VALUE):
            return self.name[len(DELETE_VALUE) :]
        return None

    @property
    def deletes_all(self) -> bool:
        """Whether all values of the key are to be removed before others are set."""
        return self.name.lower().startswith("**delvals")

    @property
    def deleted_names(self) -> tuple[str, ...]:
        """The values or keys of ``**DeleteValues`` and ``**DeleteKeys``."""
        if self.name.lower() not in ("**deletevalues", "**deletekeys"):
            return ()
        return tuple(name for name in str(self.value).split(";") if name)

    @property
    def value(self) -> Value:
        """The data by its type; bytes where they do not fit it."""
        return decode_value(self.type, self.data)


def is_registry_pol(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head.startswith(SIGNATURE + _VERSION.to_bytes(4, "little"))


def parse_registry_pol(data: bytes) -> Iterator[Entry]:
    """Yield the entries in order, which matters: later ones win.

    Raises :exc:`WireError` with the offset where the form is wrong or the file is cut off.
    """
    if not is_registry_pol(data):
        raise WireError("no Registry.pol: its first bytes are not PReg and version 1")
    at, count = HEADER_LENGTH, 0
    while at < len(data):
        count += 1
        if count > MAXIMUM_ENTRIES:
            raise WireError(f"more than {MAXIMUM_ENTRIES} entries")
        entry, at = _parse_entry(data, at)
        yield entry


def build_registry_pol(entries: Iterable[Entry]) -> bytes:
    """Write a file."""
    head = SIGNATURE + _VERSION.to_bytes(4, "little")
    return head + b"".join(_build_entry(entry) for entry in entries)


def decode_value(kind: int, data: bytes) -> Value:
    """Return data by its type; bytes where they do not fit it."""
    match kind:
        case RegistryType.SZ | RegistryType.EXPAND_SZ:
            return _text(data)
        case RegistryType.MULTI_SZ:
            return tuple(part for part in _text(data, whole=True).split("\0") if part)
        case RegistryType.DWORD if len(data) == 4:
            return int.from_bytes(data, "little")
        case RegistryType.DWORD_BIG_ENDIAN if len(data) == 4:
            return int.from_bytes(data, "big")
        case RegistryType.QWORD if len(data) == 8:
            return int.from_bytes(data, "little")
        case _:
            return data


def encode_value(kind: RegistryType, value: Value) -> bytes:
    """Return the data of a value."""
    match value:
        case bytes():
            return value
        case str():
            return (value + "\0").encode("utf-16-le")
        case tuple():
            return "".join(part + "\0" for part in (*value, "")).encode("utf-16-le")
        case int():
            size = 8 if kind is RegistryType.QWORD else 4
            order = "big" if kind is RegistryType.DWORD_BIG_ENDIAN else "little"
            if not 0 <= value < 1 << 8 * size:
                raise WireError(f"{value} does not fit {kind.name}")
            return value.to_bytes(size, "big" if order == "big" else "little")


def _text(data: bytes, whole: bool = False) -> str:
    text = data[: len(data) // 2 * 2].decode("utf-16-le", "replace")
    return text if whole else text.partition("\0")[0]


def _parse_entry(data: bytes, at: int) -> tuple[Entry, int]:
    at = _expect(data, at, _OPEN)
    key, at = _name(data, at)
    at = _expect(data, at, _SEPARATOR)
    name, at = _name(data, at)
    at = _expect(data, at, _SEPARATOR)
    kind, at = _number(data, at)
    at = _expect(data, at, _SEPARATOR)
    size, at = _number(data, at)
    at = _expect(data, at, _SEPARATOR)
    if size > MAXIMUM_DATA or at + size > len(data):
        raise WireError(f"value of {size} bytes at offset {at}")
    value = data[at : at + size]
    return Entry(key, name, kind, value), _expect(data, at + size, _CLOSE)


def _expect(data: bytes, at: int, mark: bytes) -> int:
    if not data.startswith(mark, at):
        what = "is cut off" if at + len(mark) > len(data) else f"has no {mark.decode('utf-16-le')}"
        raise WireError(f"Registry.pol {what} at offset {at}")
    return at + len(mark)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Read up to the zero character, which stands on an even place from here."""
    limit = min(len(data), at + 2 * MAXIMUM_NAME)
    end = at
    while (end := data.find(b"\0\0", end, limit)) >= 0 and (end - at) % 2:
        end += 1
    if end < 0:
        raise WireError(f"name without an end at offset {at}")
    return data[at:end].decode("utf-16-le", "replace"), end + 2


def _number(data: bytes, at: int) -> tuple[int, int]:
    if at + 4 > len(data):
        raise WireError(f"Registry.pol is cut off at offset {at}")
    (number,) = struct.unpack_from("<I", data, at)
    return number, at + 4


def _build_entry(entry: Entry) -> bytes:
    if "\0" in entry.key + entry.name or max(len(entry.key), len(entry.name)) >= MAXIMUM_NAME:
        raise WireError(f"no name of the registry: {entry.key!r} {entry.name!r}")
    key, name = ((text + "\0").encode("utf-16-le") for text in (entry.key, entry.name))
    kind, size = (struct.pack("<I", n) for n in (entry.type, len(entry.data)))
    return _OPEN + _SEPARATOR.join((key, name, kind, size, entry.data)) + _CLOSE
