"""From evidence to facts: find the parser, run it, keep what could not be read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from throughway.doctor.engine import mistake
from throughway.doctor.parser import Parser, find
from throughway.doctor.parts import parts
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.findings import Finding

MAXIMUM_FACTS = 200_000
"""Facts from one piece of evidence; a log with more says nothing new."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Evidence of a known kind whose form is wrong."""

    file: str
    line: int | None
    parser: str
    why: str


@dataclass(frozen=True, slots=True)
class Read:
    """One piece of evidence with its facts."""

    evidence: Evidence
    facts: tuple[Fact, ...]
    parsers: tuple[str, ...]
    """Names of those that read it; none: its kind is not known."""


@dataclass
class Reading:
    """A whole bundle, read."""

    read: list[Read] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    mistakes: list[Finding] = field(default_factory=list)
    """Parsers that failed in a way they must not: bugs of ours."""

    @property
    def facts(self) -> int:
        """How many there are."""
        return sum(len(item.facts) for item in self.read)

    @property
    def unrecognised(self) -> list[str]:
        """The files of which no part was of a known kind, each once."""
        known = {item.evidence.file for item in self.read if item.parsers}
        known |= {item.file for item in self.unreadable}
        return list(
            dict.fromkeys(
                item.evidence.file for item in self.read if item.evidence.file not in known
            )
        )


def read_all(evidence: Iterable[Evidence], parsers: Sequence[Parser]) -> Reading:
    """Read everything."""
    reading = Reading()
    for item in evidence:
        for part in parts(item, parsers):
            _read(part, parsers, reading)
    return reading


def _read(evidence: Evidence, parsers: Sequence[Parser], reading: Reading) -> None:
    facts: list[Fact] = []
    chosen = find(evidence, parsers)
    for parser in chosen:
        try:
            for fact in parser.parse(evidence):
                facts.append(fact)
                if len(facts) >= MAXIMUM_FACTS:
                    raise ParseError(f"more than {MAXIMUM_FACTS} facts")
        except ParseError as error:
            why = str(error)
            reading.unreadable.append(Unreadable(evidence.file, error.line, parser.name, why))
        except MemoryError:
            why = "needs more memory than there is"
            reading.unreadable.append(Unreadable(evidence.file, None, parser.name, why))
        except Exception as error:  # whatever it was: the rest of the bundle is still to be read
            what = f"Reading {evidence.file} as {parser.name} failed"
            reading.mistakes.append(mistake(what, error, (evidence.at(evidence.first_line),)))
    names = tuple(parser.name for parser in chosen)
    reading.read.append(Read(evidence, tuple(facts), names))
