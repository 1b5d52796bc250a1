r"""``Get-Date``, ``date /t``, the head of a transcript: when the evidence was collected.

Samples::

    2024-11-18T10:31:12.0000000+01:00

    Monday, November 18, 2024 10:31:12 AM

    Mon 11/18/2024

    Windows PowerShell transcript start
    Start time: 20241118103112

Of a date in figures only one that can be read in one way is taken; the weekday may decide.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime

from throughway.doctor.parser import LIKELY, Parser
from throughway.model.evidence import Evidence
from throughway.model.facts.base import CollectedAt, Fact

_MOMENT = re.compile(
    r"\s*([12][0-9]{3}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9])"
    r"(?:[.,][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?\s*$"
)


_STARTED = re.compile(
    r"[\w ]{5,40}:[ ]?(20[0-9]{2})([01][0-9])([0-3][0-9])([0-2][0-9])([0-5][0-9])([0-5][0-9])\s*$"
)
_DAY = re.compile(
    r"\s*(?:([A-Za-z]{2,3})\.?,? )?([0-9]{1,2})[./-]([0-9]{1,2})[./-](20[0-9]{2})\s*$"
)
_LONG = re.compile(
    r"\s*[A-Z][a-z]{5,8}, "
    r"(?:([A-Z][a-z]{2,8}) ([0-9]{1,2})|([0-9]{1,2}) ([A-Z][a-z]{2,8})),? (20[0-9]{2})\b"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`CollectedAt` for the first line that is a moment and nothing else."""
    for number, line in evidence.lines():
        if (iso := _iso(line)) is not None:
            yield CollectedAt(source=evidence.at(number, line), iso=iso)
            return


def day_of(evidence: Evidence, number: int, line: str, printed: str) -> Iterator[Fact]:
    """Yield the day that another command prints, where only one can be meant."""
    match = _DAY.match(printed)
    if match is not None and (iso := _day(match)) is not None:
        yield CollectedAt(source=evidence.at(number, line), iso=iso)


def _iso(line: str) -> str | None:
    """Return the moment that a line is, in ISO 8601."""
    if match := _MOMENT.match(line):
        iso = match[1].replace(" ", "T") + (match[2] or "").replace("Z", "+00:00")
    elif match := _STARTED.match(line):
        iso = "{}-{}-{}T{}:{}:{}".format(*match.groups())
    elif match := _DAY.match(line):
        return _day(match)
    elif match := _LONG.match(line):
        return _long(match)
    else:
        return None
    try:
        datetime.fromisoformat(iso)
    except ValueError:
        return None
    return iso


def _long(match: re.Match[str]) -> str | None:
    """Return the day of ``Monday, November 18, 2024``."""
    month = (match[1] or match[4])[:3].lower()
    if month not in _MONTHS:
        return None
    try:
        return date(int(match[5]), _MONTHS.index(month) + 1, int(match[2] or match[3])).isoformat()
    except ValueError:
        return None


def _day(match: re.Match[str]) -> str | None:
    """Return the day of ``11/18/2024`` where one way to read it is left."""
    first, second, year = int(match[2]), int(match[3]), int(match[4])
    readings = set()
    for month, day in ((first, second), (second, first)):
        try:
            readings.add(date(year, month, day))
        except ValueError:
            continue
    weekday = (match[1] or "").lower()
    if weekday in _WEEKDAYS:
        readings = {day for day in readings if _WEEKDAYS.index(weekday) == day.weekday()}
    return readings.pop().isoformat() if len(readings) == 1 else None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "transcript start" in head and "start time:" in head:
        return LIKELY
    return LIKELY if len(head) < 120 and _MOMENT.match(head.strip().upper()) else 0


PARSER = Parser(
    name="Get-Date -Format o",
    parse=parse,
    command=re.compile(r"\bGet-Date\b|^date /t|^echo %date%", re.IGNORECASE),
    signature=signature,
)
