"""What was changed, with the values before: written down before each change, so that it can be
undone whatever happens in between. One file, root's alone."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from throughway.control.codec import JSON
from throughway.model.errors import ConfigError, ControlError
from throughway.net.files import PRIVATE, read_secret, write_atomically

FILE, LOCK = "journal.json", "lock"
LENGTH = 200
"""Changes that are remembered; of older ones nobody wants the values back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step that was, or was about to be, done."""

    run: str
    """When it began: what was done by one command is undone by one."""
    code: str
    host: str
    words: str
    kind: str
    data: JSON = None


class Journal:
    """The changes, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from changing the machine at the same time; ControlError when one does."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._directory / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ControlError("another `throughway fix` is at work; try again") from None
            yield

    def changes(self) -> tuple[Change, ...]:
        """Return them, the oldest first; ConfigError when the file is not what it was."""
        file = self._directory / FILE
        if not file.exists():
            return ()
        try:
            return tuple(Change(**each) for each in json.loads(read_secret(file)))
        except (ValueError, TypeError, RecursionError) as error:
            raise ConfigError(str(file), "", f"is not what was written: {error}") from None

    def add(self, change: Change) -> None:
        """Write one down, for good."""
        self._write((*self.changes(), change))

    def remove(self, changes: tuple[Change, ...]) -> None:
        """Forget some: they were undone. Of equals as many as are named go, the last ones."""
        left = list(self.changes())
        for change in changes:
            for place in range(len(left) - 1, -1, -1):
                if left[place] == change:
                    del left[place]
                    break
        self._write(tuple(left))

    def last(self) -> tuple[Change, ...]:
        """Return what the last command did, in the order in which it is undone."""
        changes = self.changes()
        run = changes[-1].run if changes else ""
        return tuple(change for change in reversed(changes) if change.run == run)

    def _write(self, changes: tuple[Change, ...]) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = json.dumps([asdict(change) for change in changes[-LENGTH:]], indent=1)
        write_atomically(self._directory / FILE, data.encode(), PRIVATE)
