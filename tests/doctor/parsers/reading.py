"""Read a text as the doctor would, for the tests of parsers."""

from typing import TypeVar

from throughway.doctor.parser import Parser
from throughway.doctor.parsers import PARSERS
from throughway.doctor.reading import Reading, read_all
from throughway.doctor.sources.cutting import cut
from throughway.doctor.sources.decoding import clean
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact

AnyFact = TypeVar("AnyFact", bound=Fact)


def reading(text: str, file: str = "a.txt") -> Reading:
    """Read it with whatever parser is found."""
    return read_all(cut(Evidence(file, clean(text))), PARSERS)


def facts(text: str, kind: type[AnyFact], file: str = "a.txt") -> list[AnyFact]:
    """Return the facts of one kind; nothing may be unreadable."""
    found = reading(text, file)
    assert found.unreadable == []
    return [fact for item in found.read for fact in item.facts if isinstance(fact, kind)]


def parsed(parser: Parser, text: str) -> list[Fact]:
    """Return what one parser makes of a text."""
    return list(parser.parse(Evidence("a.txt", text)))
