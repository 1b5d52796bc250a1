"""What the collecting script says of its own work."""

import pytest

from throughway.doctor.parsers.collection.manifest import PARSER, parse
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import CollectedAt
from throughway.model.facts.network import ComputerName

MANIFEST = """{
    "collection":  "throughway doctor --collect windows",
    "version":  1,
    "computer":  "PC1",
    "started":  "2026-01-02T03:04:05+01:00",
    "elevated":  true,
    "commands":  []
}"""


def test_manifest() -> None:
    name, collected = parse(Evidence("manifest.json", MANIFEST))
    assert isinstance(name, ComputerName)
    assert isinstance(collected, CollectedAt)
    assert (name.name, name.source.line) == ("PC1", 4)
    assert collected.iso == "2026-01-02T03:04:05+01:00"
    assert PARSER.signature(MANIFEST.lower()) == 100
    assert PARSER.signature('{"collection": "of stamps"}') == 0


@pytest.mark.parametrize("text", [MANIFEST[:-20], "[1]", "[" * 100_000])
def test_a_broken_manifest(text: str) -> None:
    with pytest.raises(ParseError):
        list(parse(Evidence("manifest.json", text)))


@pytest.mark.parametrize("text", ["{}", '{"computer": 5, "started": null}'])
def test_a_manifest_that_says_nothing(text: str) -> None:
    assert list(parse(Evidence("manifest.json", text))) == []
