r"""``manifest.json`` of the collecting script: on which machine, when, and what it could not run.

Sample::

    {
        "collection":  "throughway doctor --collect windows",
        "version":  1,
        "computer":  "PC1",
        "started":  "2026-01-02T03:04:05.1234567+01:00",
        "elevated":  true,
        "commands":  [ { "file":  "date.txt", "command":  "Get-Date -Format o" } ]
    }
"""

import json
from collections.abc import Iterator
from typing import Any

from throughway.doctor.parser import CERTAIN, Parser
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import CollectedAt, Fact
from throughway.model.facts.network import ComputerName

_MARKS = ("throughway doctor --collect", "throughway collect")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the machine's name and when it was asked."""
    if not evidence.text.strip():
        return
    try:
        data = json.loads(evidence.text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1) + evidence.first_line - 1
        raise ParseError("the manifest breaks off", line) from error
    if not isinstance(data, dict):
        raise ParseError("the manifest is no object", evidence.first_line)
    if computer := _text(data, "computer"):
        yield ComputerName(source=_source(evidence, "computer"), name=computer)
    if started := _text(data, "started"):
        yield CollectedAt(source=_source(evidence, "started"), iso=started)


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _source(evidence: Evidence, key: str) -> Source:
    for number, line in evidence.lines():
        if f'"{key}"' in line:
            return evidence.at(number, line)
    return evidence.at(evidence.first_line)


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"collection"' in head and any(m in head for m in _MARKS) else 0


PARSER = Parser(name="manifest of the collecting script", parse=parse, signature=signature)
