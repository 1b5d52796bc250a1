"""What a parser is, and how the one for a piece of evidence is found."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import add

from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact

CERTAIN = 100
"""The text can be nothing else."""
LIKELY = 60
"""It has the form, but another command might print something alike."""
NAMED = 50
"""The file is called like the command."""
ACCEPTED = 50
"""The least score with which a parser is tried."""
HEAD = 16_384
"""Characters that a signature may look at; every output shows its form in them."""
_SEPARATORS = re.compile(r"[-_.+ ]+")


def _never(head: str) -> int:
    return 0


def _no_magic(content: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parser:
    """One kind of evidence: how it is known, and how it is read."""

    name: str
    """The command as it is typed, or the kind of file; shown to people."""
    parse: Callable[[Evidence], Iterator[Fact]]
    command: re.Pattern[str] | None = None
    """Matches the command as somebody typed it, and a file's name with blanks for dashes."""
    signature: Callable[[str], int] = _never
    """A score from 0 to 100 for the head of a text in lower case."""
    magic: Callable[[bytes], bool] = _no_magic
    """Whether the first bytes of what is no text are of this kind."""


def find(evidence: Evidence, parsers: Iterable[Parser]) -> list[Parser]:
    """Return the parsers to read this with: the best one, and others that are certain as well."""
    if evidence.content:
        return [parser for parser in parsers if parser.magic(evidence.content)]
    parsers = tuple(parsers)
    if evidence.command and (typed := _typed(parsers, evidence.command)):
        return [typed]
    head = head_of(evidence.text)
    named = _named(parsers, evidence.file.rpartition("/")[2])
    scores = [*map(add, _scores(parsers, head), named)]
    best = max(scores, default=0)
    if best < ACCEPTED:
        return []
    first = scores.index(best)
    certain = [n for n, score in enumerate(scores) if score >= CERTAIN and n != first]
    return [parsers[n] for n in (first, *certain)]


@lru_cache(maxsize=1024)
def _typed(parsers: tuple[Parser, ...], command: str) -> Parser | None:
    """Return the parser of a typed command; many bundles hold the same ones."""
    return next((p for p in parsers if p.command and p.command.search(command)), None)


def head_of(text: str) -> str:
    """Return what signatures look at."""
    return text[:HEAD].lower()


@lru_cache(maxsize=64)
def _scores(parsers: tuple[Parser, ...], head: str) -> tuple[int, ...]:
    """Return what each parser thinks of a head; cut and read, each part is asked about twice."""
    return tuple(parser.signature(head) for parser in parsers)


@lru_cache(maxsize=4096)
def _named(parsers: tuple[Parser, ...], file: str) -> tuple[int, ...]:
    """Return what a file called like the command adds; many bundles name their files alike."""
    names = _names(file)
    return tuple(
        NAMED if parser.command and any(parser.command.search(name) for name in names) else 0
        for parser in parsers
    )


def _names(file: str) -> tuple[str, str]:
    """Return the file's name as a command may be written in it: with dashes and with blanks."""
    stem = file.rpartition(".")[0] or file
    return stem, _SEPARATORS.sub(" ", stem)
