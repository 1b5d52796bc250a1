"""A bundle of evidence: files, folders, archives and what is piped in, as a row of Evidence."""

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from throughway.doctor.sources.archives import (
    MAXIMUM_DEPTH,
    BadArchiveError,
    is_archive,
    members,
    reading,
)
from throughway.doctor.sources.cutting import cut
from throughway.doctor.sources.decoding import decode, is_text, single_spaced
from throughway.doctor.sources.hypertext import is_page, shown_text
from throughway.model.evidence import Evidence

MAXIMUM_TEXT = 16 * 1024 * 1024
"""Bytes of one text that are read; outputs of commands are thousands of times smaller."""
MAXIMUM_BINARY = 64 * 1024 * 1024
"""Bytes of one archive within an archive, or of what is piped in; kept in memory."""
MAXIMUM_TOTAL = 64 * 1024 * 1024
"""Bytes of text of one bundle, kept in memory; a bomb ends here."""
SMALL = 256 * 1024
RESERVED = 16 * 1024 * 1024
"""Bytes of MAXIMUM_TOTAL for files up to SMALL, so that a large log leaves room for outputs."""
MAXIMUM_FILES = 100_000
"""Files of one bundle."""
MAXIMUM_NAMED = 20
"""Files left out, since there are too many, that are named."""
HEAD = 65_536
"""Bytes by which a text is told from what is none."""
SIGNS = 4096
"""Bytes of a binary file that recognising it needs."""
STDIN = "-"

Opener = Callable[[], BinaryIO]


@dataclass
class Bundle:
    """What was read, and what could not be."""

    evidence: list[Evidence] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """File and why."""
    whole: bool = False
    """Leave a pasted text that holds several commands in one piece."""
    _files: int = 0
    _bytes: int = 0
    _left_out: int = 0

    def add(self, name: str, size: int, opener: Opener, depth: int = 0) -> None:
        """Read one file or archive."""
        name = shown(name)
        self._files += 1
        if self._files > MAXIMUM_FILES:
            self._leave_out(name)
            return
        try:
            self._add(name, size, opener, depth)
        except BadArchiveError as error:
            self.unreadable.append((name, str(error)))
        except OSError as error:
            self.unreadable.append((name, error.strerror or str(error)))

    def _add(self, name: str, size: int, opener: Opener, depth: int) -> None:
        with reading(opener) as stream:
            head = stream.read(HEAD)
            room = self._room(max(size, len(head)))
            more = len(head) == HEAD and not is_archive(head) and is_text(head)
            content = head + stream.read(max(0, room - HEAD)) if more else head
        if is_archive(head):
            self._add_archive(name, opener, head, depth)
        elif room < len(head):
            self._leave_out(name)
        elif more or len(head) < HEAD:
            self._add_text(name, content, cut_off=max(size, len(content)) > room)
        else:
            self._add_binary(name, head[:SIGNS], opener)

    def _room(self, size: int) -> int:
        """Return how much of a file may be read: large ones leave some for the small ones."""
        left = MAXIMUM_TOTAL - self._bytes - (RESERVED if size > SMALL else 0)
        return max(0, min(left, MAXIMUM_TEXT))

    def _leave_out(self, name: str) -> None:
        self._left_out += 1
        if self._left_out <= MAXIMUM_NAMED:
            self.unreadable.append((name, "the bundle is too large to be read whole"))
        elif self._left_out == MAXIMUM_NAMED + 1:
            self.unreadable.append(("…", "more files, as the bundle is too large"))

    def _add_binary(self, name: str, content: bytes, opener: Opener) -> None:
        self._bytes += len(content)
        self.evidence.append(Evidence(name, content=content, open=opener))

    def _add_text(self, name: str, content: bytes, *, cut_off: bool) -> None:
        text = decode(content)
        if text is None:
            self._add_binary(name, content, _in_memory(content))
            return
        self._bytes += len(content)
        if cut_off:
            self.unreadable.append((name, f"only the first {len(content) >> 10} KiB were read"))
        if self.whole:
            self.evidence.append(Evidence(name, text))
            return
        shown_as, first, step = single_spaced(shown_text(text) if is_page(text) else text)
        self.evidence += cut(Evidence(name, shown_as, first_line=first, step=step))

    def _add_archive(self, name: str, opener: Opener, head: bytes, depth: int) -> None:
        if depth >= MAXIMUM_DEPTH:
            raise BadArchiveError("archives are nested too deeply")
        if depth:
            with reading(opener) as stream:
                content = stream.read(MAXIMUM_BINARY + 1)
            if len(content) > MAXIMUM_BINARY:
                raise BadArchiveError("the archive within the archive is too large")
            opener = _in_memory(content)
        for member in members(opener, head):
            inside = f"{name}/{member.name}" if member.name else name.rpartition(".")[0] or name
            self.add(inside, member.size, member.open, depth + 1)


def read(paths: Iterable[Path], stdin: BinaryIO | None = None, *, whole: bool = False) -> Bundle:
    """Read everything that was named; the path "-" is ``stdin``."""
    bundle = Bundle(whole=whole)
    for path in paths:
        if str(path) == STDIN and stdin is not None:
            content = stdin.read(MAXIMUM_BINARY)
            bundle.add(STDIN, len(content), _in_memory(content))
        else:
            _read_path(bundle, path)
    return bundle


def read_text(text: str, file: str = STDIN) -> Bundle:
    """Read a text that is there already."""
    bundle = Bundle()
    content = text.encode()
    bundle.add(file, len(content), _in_memory(content))
    return bundle


def shown(name: str) -> str:
    """Return a member's name as it can be shown: no control characters, "/" between folders."""
    return "".join(c if c.isprintable() else "?" for c in name.replace("\\", "/"))


def _in_memory(content: bytes) -> Opener:
    return lambda: io.BytesIO(content)


def _read_path(bundle: Bundle, path: Path) -> None:
    if not path.is_dir():
        _add_file(bundle, path, path.name)
        return

    def closed(error: OSError) -> None:
        name = Path(error.filename).relative_to(path).as_posix()
        bundle.unreadable.append((f"{shown(name)}/", error.strerror or str(error)))

    for file in _files(path, closed):
        if _leads_out(file, path):
            name = shown(file.relative_to(path).as_posix())
            bundle.unreadable.append((name, "is a link to a place outside of the folder"))
            continue
        _add_file(bundle, file, file.relative_to(path).as_posix())


def _files(folder: Path, closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files of a folder in a fixed order; links to other places are not followed."""
    for where, folders, files in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(where, name)
            if not name.startswith("."):
                yield file


def _leads_out(file: Path, folder: Path) -> bool:
    """Whether it is a link to a place outside of the folder, which somebody else may have made."""
    if not file.is_symlink():
        return False
    try:
        return not file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself: opening it says so
        return False


def _add_file(bundle: Bundle, path: Path, name: str) -> None:
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            status = path.stat()
    except OSError as error:
        bundle.unreadable.append((shown(name), str(error.strerror)))
        return
    if not stat.S_ISREG(status.st_mode):
        bundle.unreadable.append((shown(name), "is no regular file"))
        return
    bundle.add(name, status.st_size, lambda: path.open("rb"))
