"""The user who is logged on: a principal and a Kerberos credential cache, kept for reconnects.

The cache lies in the runtime directory (a tmpfs): it survives a restart of the daemon, not of
the computer. One user at a time; another one who logs on takes the former one's place, so that
a shared computer never gives one user's access to the next.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from throughway.client.proof import UserKey
from throughway.model.errors import TrustError
from throughway.net.process import write_private

MAXIMUM_CACHE_BYTES = 256 * 1024
"""A credential cache with many service tickets and large PACs stays well below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who is logged on."""

    principal: str
    uid: int
    """Who may log this user off besides root."""
    key: UserKey | None = None
    """Of the smart card, or given for a code, with which the user has logged on; it is kept
    nowhere but in memory."""


class UserStore:
    """Keeps the user across restarts of the daemon; files of mode 0600."""

    def __init__(self, directory: Path) -> None:
        self._record = directory / "user.json"
        self.ccache = directory / "user.ccache"

    def load(self) -> User | None:
        """Return who was logged on when the daemon last ran, None when nobody was.

        Also without a ticket: that it is gone is told to who has not logged off.
        """
        try:
            values = json.loads(self._record.read_text())
            return User(principal=str(values["principal"]), uid=int(values["uid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextlib.contextmanager
    def offered(self, ccache: bytes) -> Iterator[Path]:
        """Give a credential cache that is yet to prove itself a place of its own for a while."""
        file = self.ccache.with_name("offered.ccache")
        try:
            _write(file, ccache)
            yield file
        finally:
            file.unlink(missing_ok=True)

    def save(self, user: User, ccache: bytes) -> None:
        """Keep a user and the credential cache; replaces whoever was there."""
        if not user.principal:
            raise TrustError("a credential cache of nobody")
        self.forget()
        _write(self.ccache, ccache)
        write_private(self._record, json.dumps({"principal": user.principal, "uid": user.uid}))

    def forget(self) -> None:
        """Log off: nothing of the user stays."""
        self._record.unlink(missing_ok=True)
        self.ccache.unlink(missing_ok=True)


def _write(file: Path, ccache: bytes) -> None:
    if len(ccache) > MAXIMUM_CACHE_BYTES or not ccache:
        raise TrustError("not a credential cache, or a far too large one")
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(ccache)
