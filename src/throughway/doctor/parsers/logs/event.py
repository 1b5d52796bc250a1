"""An event as any of the forms of a log tells it, before it is given a meaning."""

import re
from dataclasses import dataclass

from throughway.doctor.parsers.forms import dates
from throughway.model.evidence import Source

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z?)")
_DESCRIBED = 4
"""How many of its data the quotation of an event shows."""
_LENGTH = 60
_SILENT = frozenset({"", "-"})


Data = tuple[tuple[str, str], ...]
"""Names and values, in the order of the log."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    provider: str
    number: int
    source: Source
    level: int | None = None
    when: str | None = None
    computer: str = ""
    data: Data = ()
    message: str = ""

    def value(self, *names: str) -> str:
        """Return the first of these data that says something."""
        known = dict(self.data)
        return next((v for name in names if (v := known.get(name, "")) not in _SILENT), "")


def described(
    provider: str, number: int, when: str | None, data: tuple[tuple[str, str], ...]
) -> str:
    """Quote an event that stands on no line of its own."""
    said = [
        f"{name}={value[:_LENGTH]}"
        for name, value in data
        if value not in _SILENT and not value.startswith("%%")
    ]
    short = provider.removeprefix("Microsoft-Windows-")
    return " ".join([f"{short} event {number}", *([when] if when else []), *said[:_DESCRIBED]])


def moment(text: str) -> str | None:
    """Return a time in ISO 8601: UTC with "Z", local time without."""
    if match := _ISO.search(text):
        return match[1] + match[2]
    found = dates.moment(text)
    return found.isoformat() if found is not None and ":" in text else None
