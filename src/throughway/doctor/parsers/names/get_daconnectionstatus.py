r"""``Get-DAConnectionStatus``: what the Network Connectivity Assistant says.

Sample::

    Status    : Error
    Substatus : CouldNotContactDirectAccessServer

When the assistant's service does not run, the command itself ends with an error.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import DAConnectionStatus

_PAIR = re.compile(
    r"\bStatus\s{0,20}:\s{0,20}(\w{1,40}?)\s{0,20}Sub-?status\s{0,20}:\s{0,20}(\w{0,60})", re.I
)
_FAILURE = re.compile(r"^\s*Get-DAConnectionStatus\s*:\s*(.+)$", re.IGNORECASE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each pair of status and substatus, or the error of the command."""
    found = False
    for match in _PAIR.finditer(evidence.text):
        found = True
        line = evidence.first_line + evidence.text.count("\n", 0, match.start(2)) * evidence.step
        text = " ".join(match[0].split())
        yield DAConnectionStatus(
            source=evidence.at(line, text), status=match[1], substatus=match[2] or None
        )
    if found:
        return
    yield from _failures(evidence)
    for record in records.read(evidence):
        if "substatus" in record and (status := record.word("status")):
            yield DAConnectionStatus(
                source=record.source(evidence, "substatus"),
                status=status,
                substatus=record.word("substatus"),
            )


def _failures(evidence: Evidence) -> Iterator[Fact]:
    for number, line in evidence.lines():
        if match := _FAILURE.match(line):
            yield DAConnectionStatus(source=evidence.at(number, line), failed=match[1].strip())


def signature(head: str) -> int:
    """Score the head of a text."""
    if "substatus" in head and "status" in head.replace("substatus", ""):
        return CERTAIN
    return LIKELY if "get-daconnectionstatus :" in head else 0


PARSER = Parser(
    name="Get-DAConnectionStatus",
    parse=parse,
    command=re.compile(r"\bGet-DAConnectionStatus", re.IGNORECASE),
    signature=signature,
)
