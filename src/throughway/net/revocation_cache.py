"""Revocation lists and answers on the disk: few, small, whole, and private.

One file for each address: a line of JSON that says what it is, then the bytes as they came. The
directory belongs to us alone; what is in it is all the same believed no more than what comes from
the network. Whoever asks judges the bytes, and a file that is not in this form is removed.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from throughway.net.files import PRIVATE, read_file, write_atomically

MAXIMUM_LIST = 16 * 1024 * 1024
"""Bytes of one list; the largest of public authorities have ten million."""
MAXIMUM_TOTAL = 64 * 1024 * 1024
"""Bytes of all files together; the oldest go first."""
MAXIMUM_ENTRIES = 256
MAXIMUM_HEAD = 8 * 1024
"""Bytes of the line of JSON."""
SUFFIX = ".kept"
CRL, OCSP = "crl", "ocsp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of one address."""

    url: str
    kind: str
    """``crl`` or ``ocsp``."""
    fetched_at: float
    """Seconds since 1970, as the next two."""
    begins_at: float
    ends_at: float
    size: int = 0
    """Bytes of the list or answer."""


class RevocationCache:
    """A directory of lists and answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get(self, url: str) -> bytes | None:
        """Return what is kept of an address."""
        found = self._read(self._file(url))
        return found[1] if found is not None and found[0].url == url else None

    def find(self, url: str) -> Kept | None:
        """Return what is said of it, without reading it: some have megabytes."""
        return self._head(self._file(url))

    def put(self, kept: Kept, data: bytes) -> None:
        """Keep it, in the place of what was there; what cannot be written is not kept."""
        if len(data) > MAXIMUM_LIST:
            return
        head = asdict(kept)
        del head["size"]
        line = json.dumps(head).encode() + b"\n"
        if len(line) > MAXIMUM_HEAD:
            return
        with contextlib.suppress(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            write_atomically(self._file(kept.url), line + data, PRIVATE)
        self._make_room()

    def remove(self, url: str) -> bool:
        """Forget one; say whether it was there."""
        try:
            self._file(url).unlink()
        except OSError:
            return False
        return True

    def flush(self, ended_before: float | None = None) -> int:
        """Forget everything, or what was good only until then; say how many there were."""
        if ended_before is not None:
            ended = [kept.url for kept in self.entries() if kept.ends_at <= ended_before]
            return sum(map(self.remove, ended))
        count = 0
        for file in self._files():
            with contextlib.suppress(OSError):
                file.unlink()
                count += 1
        return count

    def entries(self) -> tuple[Kept, ...]:
        """Return what there is, the newest first."""
        found = (self._head(file) for file in self._files())
        return tuple(sorted(filter(None, found), key=lambda k: k.fetched_at, reverse=True))

    def _file(self, url: str) -> Path:
        return self.directory / (hashlib.sha256(url.encode()).hexdigest()[:32] + SUFFIX)

    def _files(self) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            yield from sorted(self.directory.glob(f"*{SUFFIX}"))

    def _head(self, file: Path) -> Kept | None:
        if not file.exists():
            return None
        try:
            with file.open("rb") as stream:
                line = stream.readline(MAXIMUM_HEAD + 1)
            kept = _parse(line.removesuffix(b"\n"), file.stat().st_size - len(line))
        except (ValueError, OSError):
            kept = None
        if kept is not None and kept.size <= MAXIMUM_LIST and self._file(kept.url) == file:
            return kept
        with contextlib.suppress(OSError):
            file.unlink()
        return None

    def _read(self, file: Path) -> tuple[Kept, bytes] | None:
        if not file.exists():
            return None
        try:
            line, _, data = read_file(file, MAXIMUM_HEAD + MAXIMUM_LIST).partition(b"\n")
            kept = _parse(line, len(data))
            if self._file(kept.url) != file:
                raise ValueError("it is kept for another address")
        except (ValueError, OSError):
            with contextlib.suppress(OSError):
                file.unlink()
            return None
        return kept, data

    def _make_room(self) -> None:
        files = []
        for file in self._files():
            with contextlib.suppress(OSError):
                files.append((file.stat().st_mtime, file.stat().st_size, file))
        files.sort(reverse=True)
        total = 0
        for number, (_, size, file) in enumerate(files):
            total += size
            if number >= MAXIMUM_ENTRIES or total > MAXIMUM_TOTAL:
                with contextlib.suppress(OSError):
                    file.unlink()


def _parse(line: bytes, size: int) -> Kept:
    if len(line) > MAXIMUM_HEAD:
        raise ValueError("its head is too long")
    try:
        head = json.loads(line)
    except RecursionError as error:
        raise ValueError("its head is no JSON") from error
    if not isinstance(head, dict) or head.keys() != Kept.__dataclass_fields__.keys() - {"size"}:
        raise ValueError("its head is another one")
    times = [head["fetched_at"], head["begins_at"], head["ends_at"]]
    if not all(isinstance(t, float | int) and math.isfinite(t) for t in times):
        raise ValueError("its times are none")
    if not isinstance(head["url"], str) or head["kind"] not in (CRL, OCSP):
        raise ValueError("it is of no address or kind")
    return Kept(
        url=head["url"],
        kind=head["kind"],
        fetched_at=float(times[0]),
        begins_at=float(times[1]),
        ends_at=float(times[2]),
        size=size,
    )
