"""Facts from event logs that have no form of their own."""

from dataclasses import dataclass

from throughway.model.facts.base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent(Fact):
    """One event of a log, with its data by name; for rules that look for an event."""

    provider: str
    event: int
    level: int | None = None
    """1 critical, 2 error, 3 warning, 4 information."""
    when: str | None = None
    computer: str = ""
    data: tuple[tuple[str, str], ...] = ()
    message: str = ""
