"""Files of JSON lines that grow and are rotated, read from a moment on and followed."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from throughway.model.errors import ConfigError
from throughway.net.audit_file import rotations

POLL = 0.25
"""Seconds between two looks for more."""
_CHUNK = 1 << 18
_SPAN = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Line(Protocol):
    """What a line says."""

    @property
    def at(self) -> float:
        """When, in seconds since 1970."""


L = TypeVar("L", bound=Line)


def open_to_read(path: Path) -> int:
    """Open a file of which whole lines are read."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def moment_of(since: str | None) -> float:
    """Return the moment that ``--since`` names."""
    if since is None:
        return 0.0
    if match := _SPAN.fullmatch(since.strip()):
        return time.time() - int(match[1]) * _UNITS[match[2]]
    try:
        return datetime.fromisoformat(since.strip()).timestamp()
    except ValueError:
        why = f"{since!r} is no time: 15m, 2h, 7d, 2026-11-21 or '2026-11-21 18:30'"
        raise ConfigError("", "--since", why) from None


@dataclass
class _Open:
    """A file at whose end more may come."""

    path: Path
    stream: int
    rest: bytes = b""

    def lines(self) -> Iterator[bytes]:
        """Yield whole lines; what is not whole waits for its end."""
        while data := os.read(self.stream, _CHUNK):
            *whole, self.rest = (self.rest + data).split(b"\n")
            yield from whole

    def moved(self) -> bool:
        """Whether the file was rotated away from under us."""
        with suppress(FileNotFoundError):
            now, ours = self.path.stat(), os.fstat(self.stream)
            return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)
        return False


class Reader(Generic[L]):
    """Reads the files from a moment on, in order; ``parse`` raises ValueError for no line."""

    def __init__(self, paths: tuple[Path, ...], since: float, parse: Callable[[bytes], L]) -> None:
        self._paths = paths
        self._since = since
        self._parse = parse
        self._open: list[_Open] = []
        self.unreadable = 0
        """Lines that could not be understood."""

    def close(self) -> None:
        """Let go of the files."""
        for source in self._open:
            os.close(source.stream)

    def past(self) -> Iterator[L]:
        """Yield what there is; two daemons on one machine are put in order."""
        every = [line for path in self._paths for line in self._whole(path)]
        if len(self._paths) > 1:
            every.sort(key=lambda line: line.at)
        yield from every

    def coming(self) -> Iterator[L]:
        """Yield what comes, for ever; a rotated file is read to its end first."""
        while True:
            for number, source in enumerate(self._open):
                moved = source.moved()
                yield from self._parsed(source.lines())
                if moved:
                    os.close(source.stream)
                    fresh = self._open[number] = _Open(source.path, open_to_read(source.path))
                    yield from self._parsed(fresh.lines())
            time.sleep(POLL)

    def _whole(self, path: Path) -> Iterator[L]:
        """Yield the lines of a file and of the older ones of its name."""
        source = _Open(path, open_to_read(path))
        self._open.append(source)
        newest = os.fstat(source.stream).st_ino
        for older in reversed(rotations(path)[1:]):
            with suppress(FileNotFoundError):  # removed meanwhile
                found = older.stat()
                if found.st_mtime >= self._since and found.st_ino != newest:
                    yield from self._parsed(older.read_bytes().splitlines())
        yield from self._parsed(source.lines())

    def _parsed(self, lines: Iterator[bytes] | list[bytes]) -> Iterator[L]:
        for line in lines:
            try:
                parsed = self._parse(line)
            except ValueError:
                self.unreadable += bool(line.strip())
                continue
            if parsed.at >= self._since:
                yield parsed
