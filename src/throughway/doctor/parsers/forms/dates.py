"""Dates as Windows prints them in the cultures it knows.

Where day and month could change places (03/04/2026) the order is told by the separator: a slash
with AM or PM is American, a point or a dash is not. What stays open is read as day first, unless
that is impossible.
"""

import re
from datetime import datetime

_DATE = re.compile(
    r"(?P<a>\d{1,4})[./\- ]{1,2}(?P<b>\d{1,2})[./\- ]{1,2}(?P<c>\d{1,4})\.?"
    r"(?:[ T,]{1,3}(?:\w{1,4} )?(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?)?"
    r"[ \u202f]?(?P<half>[AP]\.?M\.?)?",
    re.IGNORECASE,
)


def moment(text: str, month_first: bool | None = None) -> datetime | None:
    """Return the moment, naive as printed; None when there is no date in the text."""
    match = _DATE.search(text)
    if match is None:
        return None
    a, b, c = int(match["a"]), int(match["b"]), int(match["c"])
    if a > 31:
        year, month, day = a, b, c
    else:
        american = "/" in text if month_first is None else month_first
        if month_first is None and not match["half"]:
            american = False
        month, day = (a, b) if american else (b, a)
        year = c + 2000 if c < 100 else c
        if month > 12:
            month, day = day, month
    try:
        return datetime(year, month, day, *_time(match))  # noqa: DTZ001 - as printed
    except ValueError:
        return None


def _time(match: re.Match[str]) -> tuple[int, int, int]:
    hour = int(match["hour"] or 0)
    half = (match["half"] or "").lower().replace(".", "")
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour, int(match["minute"] or 0), int(match["second"] or 0)
