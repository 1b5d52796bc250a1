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
    read_limited,
)
from throughway.doctor.sources.cutting import cut
from throughway.doctor.sources.decoding import decode, single_spaced
from throughway.doctor.sources.hypertext import is_page, shown_text
from throughway.model.evidence import Evidence

MAXIMUM_TEXT = 16 * 1024 * 1024
"""Bytes of one text that are read; outputs of commands are thousands of times smaller."""
MAXIMUM_BINARY = 64 * 1024 * 1024
"""Bytes of one archive within an archive, or of what is piped in; kept in memory."""
MAXIMUM_TOTAL = 1024 * 1024 * 1024
"""Bytes of text of one bundle; a bomb ends here."""
MAXIMUM_FILES = 100_000
"""Files of one bundle."""
HEAD = 65_536
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

    def add(self, name: str, size: int, opener: Opener, depth: int = 0) -> None:
        """Read one file or archive."""
        name = shown(name)
        self._files += 1
        if self._files > MAXIMUM_FILES or self._bytes > MAXIMUM_TOTAL:
            self.unreadable.append((name, "the bundle is too large to be read whole"))
            return
        try:
            self._add(name, size, opener, depth)
        except BadArchiveError as error:
            self.unreadable.append((name, str(error)))
        except OSError as error:
            self.unreadable.append((name, error.strerror or str(error)))

    def _add(self, name: str, size: int, opener: Opener, depth: int) -> None:
        head = read_limited(opener, HEAD)
        if is_archive(head, name):
            self._add_archive(name, size, opener, head, depth)
            return
        content = head if len(head) < HEAD else read_limited(opener, MAXIMUM_TEXT)
        text = decode(content) if content else ""
        self._bytes += len(content)
        if text is None:
            content = content if len(content) < MAXIMUM_TEXT else content[:HEAD]
            self.evidence.append(Evidence(name, content=content, open=opener))
            return
        if max(size, len(content)) > MAXIMUM_TEXT or len(content) == MAXIMUM_TEXT:
            self.unreadable.append((name, f"only the first {MAXIMUM_TEXT >> 20} MiB were read"))
        if self.whole:
            self.evidence.append(Evidence(name, text))
            return
        shown_as, first, step = single_spaced(shown_text(text) if is_page(text) else text)
        self.evidence += cut(Evidence(name, shown_as, first_line=first, step=step))

    def _add_archive(self, name: str, size: int, opener: Opener, head: bytes, depth: int) -> None:
        if depth >= MAXIMUM_DEPTH:
            raise BadArchiveError("archives are nested too deeply")
        if depth:
            content = read_limited(opener, MAXIMUM_BINARY + 1)
            if len(content) > MAXIMUM_BINARY:
                raise BadArchiveError("the archive within the archive is too large")
            opener = _in_memory(content)
        for member in members(opener, head):
            self.add(f"{name}/{member.name}", member.size, member.open, depth + 1)


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
        _add_file(bundle, file, file.relative_to(path).as_posix())


def _files(folder: Path, closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files of a folder in a fixed order; links to other places are not followed."""
    for where, folders, files in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(where, name)
            if not name.startswith(".") and not _leads_out(file, folder):
                yield file


def _leads_out(file: Path, folder: Path) -> bool:
    """Whether it is a link to a place outside of the folder, which somebody else may have made."""
    return file.is_symlink() and not file.resolve().is_relative_to(folder.resolve())


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
