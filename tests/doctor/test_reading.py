"""From evidence to facts: what is read, what is broken, what is not known."""

from collections.abc import Iterator

from throughway.catalogue.host import BUG
from throughway.doctor import reading
from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.reading import read_all
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import ComputerName


def parse(evidence: Evidence) -> Iterator[Fact]:
    for number, line in evidence.lines():
        if line == "broken":
            raise ParseError("it breaks off", number)
        if line == "failing":
            raise IndexError("list index out of range")
        yield ComputerName(source=evidence.at(number, line), name=line)


PARSER = Parser(name="names", parse=parse, signature=lambda head: CERTAIN * ("a" in head))


def test_what_was_read_before_the_break_counts() -> None:
    found = read_all([Evidence("x", "a\nbroken\nb", first_line=5)], [PARSER])
    assert found.facts == 1
    assert [(u.file, u.line, u.why) for u in found.unreadable] == [
        ("x", 6, "line 6: it breaks off")
    ]
    assert found.unrecognised == []


def test_a_file_is_unrecognised_when_no_part_of_it_is_known() -> None:
    parts = [Evidence("x", "a"), Evidence("x", "zzz"), Evidence("y", "zzz"), Evidence("y", "z")]
    assert read_all(parts, [PARSER]).unrecognised == ["y"]


def test_facts_without_end_are_stopped() -> None:
    limit = reading.MAXIMUM_FACTS
    found = read_all([Evidence("x", "a\n" * (limit + 10))], [PARSER])
    assert found.facts == limit
    assert "more than" in found.unreadable[0].why


def test_a_parser_that_fails_is_seen_and_the_rest_is_read() -> None:
    found = read_all([Evidence("x", "a\nfailing\nb"), Evidence("y", "a")], [PARSER])
    assert found.facts == 2
    assert found.unrecognised == []
    (mistake,) = found.mistakes
    assert mistake.problem is BUG
    assert mistake.summary.startswith("Reading x as names failed (test_reading.py, line ")
