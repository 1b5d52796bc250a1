"""journald's native protocol: one datagram an entry (systemd.io/JOURNAL_NATIVE_PROTOCOL).

Nothing waits for journald: an entry for which its socket has no room is lost, and counted.
"""

import contextlib
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
MAX_ENTRY = 32 * 1024
"""Bytes; a larger one would need a file of its own, and ours are a tenth of that."""


def build_entry(fields: Mapping[str, str]) -> bytes:
    """Return the datagram; a value of several lines is sent with its length, so it stays one."""
    entry = bytearray()
    for name, value in fields.items():
        if not (name.isascii() and name.replace("_", "").isalnum() and name == name.upper()):
            raise ValueError(f"{name!r} is no name of a journal's field")
        data = value.encode(errors="replace")
        if b"\n" in data:
            entry += name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
        else:
            entry += name.encode() + b"=" + data + b"\n"
    return bytes(entry)


class Journal:
    """A way to the journal, where there is one."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self.lost = 0
        """Entries that journald did not take."""

    @property
    def present(self) -> bool:
        """Whether this machine has a journal."""
        return self._path.exists()

    def send(self, fields: Mapping[str, str]) -> bool:
        """Send an entry; say whether it is on its way."""
        entry = build_entry(fields)
        if not self.present or len(entry) > MAX_ENTRY:
            return False
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            self._socket.sendto(entry, str(self._path))
        except OSError:
            self.lost += 1
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
