r"""``Get-Date -Format o``: when the evidence was collected.

Sample::

    2024-11-18T10:31:12.0000000+01:00
"""

import re
from collections.abc import Iterator
from datetime import datetime

from throughway.doctor.parser import LIKELY, Parser
from throughway.model.evidence import Evidence
from throughway.model.facts.base import CollectedAt, Fact

_MOMENT = re.compile(
    r"\s*([12][0-9]{3}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9])"
    r"(?:[.,][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?\s*$"
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`CollectedAt` for the first line that is a moment and nothing else."""
    for number, line in evidence.lines():
        match = _MOMENT.match(line)
        if match is None:
            continue
        iso = match[1].replace(" ", "T") + (match[2] or "").replace("Z", "+00:00")
        try:
            datetime.fromisoformat(iso)
        except ValueError:
            continue
        yield CollectedAt(source=evidence.at(number, line), iso=iso)
        return


def signature(head: str) -> int:
    """Score the head of a text."""
    return LIKELY if len(head) < 120 and _MOMENT.match(head.strip().upper()) else 0


PARSER = Parser(
    name="Get-Date -Format o",
    parse=parse,
    command=re.compile(r"\bGet-Date\b", re.IGNORECASE),
    signature=signature,
)
