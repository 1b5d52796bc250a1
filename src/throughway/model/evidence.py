"""Evidence: what was seen, verbatim, before anybody has read meaning into it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO


class Role(StrEnum):
    """What a machine is in DirectAccess; our gateway is a server."""

    CLIENT = "client"
    SERVER = "server"


class Platform(StrEnum):
    """What the software on a machine is."""

    WINDOWS = "windows"
    LINUX = "linux"


MAXIMUM_LINE = 2048
"""Characters of a line that parsers are shown; no console is that wide."""
MAXIMUM_QUOTE = 400
"""Characters of a line that are quoted."""


_AT_ONCE = 1 << 20
"""Characters of a text that are cut into lines at once: a line costs fifty bytes beside its own."""


def pieces_of(text: str) -> Iterator[str]:
    """Yield pieces of a long text, cut at line ends; joined by these they are the text."""
    start = 0
    while len(text) - start > _AT_ONCE:
        end = text.find("\n", start + _AT_ONCE // 2)
        if end < 0:
            break
        yield text[start:end]
        start = end + 1
    yield text[start:] if start else text


def lines_of(text: str) -> Iterator[str]:
    """Yield what stands between line ends, as ``split`` does, of a long text in little memory."""
    for piece in pieces_of(text):
        yield from piece.split("\n")


@dataclass(frozen=True, slots=True)
class Source:
    """The place in the evidence which a fact was read from."""

    file: str
    """The path in the bundle; "-" is what was piped in."""
    line: int | None = None
    """Counted from 1 in the file as it was given; None where there are no lines."""
    text: str = ""
    """The line as it stands there, without the blanks around it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One output, log or file; or one part of a pasted text that holds several."""

    file: str
    """The path in the bundle, with "/"; "-" is what was piped in."""
    text: str = ""
    """Decoded, with "\\n" line ends; "" where the content is not text."""
    content: bytes = b""
    """The bytes where the content is not text; only the first of them when it is large."""
    open: Callable[[], BinaryIO] | None = None
    """Opens the whole of a large content, to be read as a stream."""
    first_line: int = 1
    """The number which the first line of ``text`` has in the file."""
    command: str = ""
    """The command that printed it, where a prompt or a heading says so."""
    step: int = 1
    """How far the lines are apart in the file: 2 where a blank one stood after each."""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line with its number in the file, cut off where it is absurdly long."""
        for count, line in enumerate(lines_of(self.text)):
            number = self.first_line + count * self.step
            yield number, line if len(line) <= MAXIMUM_LINE else line[:MAXIMUM_LINE]

    def at(self, line: int, text: str = "") -> Source:
        """Return the source of what was read from that line."""
        return Source(self.file, line, text.strip()[:MAXIMUM_QUOTE])
