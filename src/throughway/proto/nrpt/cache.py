"""Answers that are given again: bounded, for as long as they say (RFC 1035, RFC 2308).

What is kept is a whole message, and it is given only to the very question that brought it, octet
by octet: what else a server puts into an answer never becomes the answer to another name. An
answer is judged when it is wanted for the first time, since most are not wanted again.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from throughway.model.errors import WireError
from throughway.wire.dns import (
    TYPE_CNAME,
    TYPE_DNAME,
    TYPE_RRSIG,
    TYPE_SOA,
    Question,
    Record,
    name_of,
    parse_records,
)

MAXIMUM_ENTRIES = 4000
MAXIMUM_OCTETS = 1 << 20
"""Of questions and answers together: the client's memory is budgeted."""
MAXIMUM_ANSWER = 4096
"""Octets of one answer; longer ones are rare and would crowd out many others."""
LONGEST = 3600
"""Seconds an answer is kept, whatever it says: a stub is not the place for week-old truth."""
LONGEST_NEGATIVE = 300
"""Seconds "there is no such name" is kept: people wait for a name that they have just made."""
_TTL_SIZE = 4


class _Kept(NamedTuple):
    """An answer without the number of its query, not judged yet."""

    answer: bytes
    question: Question
    intranet: bool
    kept_at: float


@dataclass(slots=True)
class _Entry:
    """An answer that was wanted again."""

    answer: bytes
    intranet: bool
    kept_at: float
    seconds: int
    """For how long it may be given."""
    places: tuple[int, ...]
    """Offsets of the times to live."""
    age: int
    aged: bytes
    """The answer as it is at this age."""


class Cache:
    """Answers by their questions: everything of a query behind its number.

    There is a younger and an older half. When the younger one is full, the older one is
    forgotten: no answer has to be looked for to be thrown away.
    """

    def __init__(self) -> None:
        self._younger: dict[bytes, _Kept | _Entry] = {}
        self._older: dict[bytes, _Kept | _Entry] = {}
        self._octets = 0
        """Of the younger half."""

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def clear(self) -> None:
        """Forget everything."""
        self._younger, self._older, self._octets = {}, {}, 0

    def put(
        self, key: bytes, answer: bytes, question: Question, now: float, *, intranet: bool
    ) -> None:
        """Keep an answer; both without the number."""
        size = len(key) + len(answer)
        if len(answer) > MAXIMUM_ANSWER or size > MAXIMUM_OCTETS // 2:
            return
        if self._octets + size > MAXIMUM_OCTETS // 2 or len(self._younger) >= MAXIMUM_ENTRIES // 2:
            self._younger, self._older, self._octets = {}, self._younger, 0
        # What the same question had before is counted until the half goes.
        self._octets += size
        self._younger[key] = _Kept(answer, question, intranet, now)

    def get(self, key: bytes, now: float, *, intranet: bool) -> bytes | None:
        """Return the answer as it is now, without the number.

        ``intranet``: whether answers of the intranet's servers may be given.
        """
        half = self._younger
        if (entry := half.get(key)) is None:
            half = self._older
            if (entry := half.get(key)) is None:
                return None
        if entry.intranet and not intranet:
            return None
        if isinstance(entry, _Kept):
            entry = half[key] = _judged(entry)
        age = int(now - entry.kept_at)
        if age >= entry.seconds:
            self._younger.pop(key, None)
            self._older.pop(key, None)
            return None
        if age != entry.age:
            entry.age, entry.aged = age, _aged(entry, age)
        return entry.aged


def lifetime(question: Question, records: Iterable[Record]) -> int:
    """Return for how many seconds an answer may be kept; 0 for one that must not be.

    An answer section with names that the question does not lead to is not kept (RFC 2181,
    section 5.4.1), nor is a negative answer without the SOA of a zone that the name is in.
    """
    every = tuple(records)
    answers = [record for record in every if record.section == 0]
    chain = _chain(name_of(question.labels), answers)
    for record in answers:
        above = record.type in (TYPE_DNAME, TYPE_RRSIG) and any(
            _within(name, record.name) for name in chain
        )
        if record.name not in chain and not above:
            return 0
    if any(record.type == question.type and record.name == chain[-1] for record in answers):
        return min(LONGEST, *(record.ttl for record in answers))
    zones = [r for r in every if r.section == 1 and r.type == TYPE_SOA]
    if not zones or not all(_within(chain[-1], zone.name) for zone in zones):
        return 0
    negative = (min(zone.ttl, zone.minimum) for zone in zones)
    return min(LONGEST_NEGATIVE, *negative, *(record.ttl for record in answers))


def _judged(kept: _Kept) -> _Entry:
    """Find out how long the answer may be given, and where it says so."""
    seconds = 0
    places: tuple[int, ...] = ()
    with suppress(WireError):
        records = parse_records(b"\0\0" + kept.answer)
        places = tuple(record.ttl_offset - 2 for record in records)
        seconds = lifetime(kept.question, records)
    return _Entry(kept.answer, kept.intranet, kept.kept_at, seconds, places, 0, kept.answer)


def _aged(entry: _Entry, age: int) -> bytes:
    aged = bytearray(entry.answer)
    for place in entry.places:
        ttl = int.from_bytes(aged[place : place + _TTL_SIZE], "big")
        aged[place : place + _TTL_SIZE] = max(ttl - age, 0).to_bytes(_TTL_SIZE, "big")
    return bytes(aged)


def _chain(name: str, answers: list[Record]) -> list[str]:
    """Return the name, and those that its aliases lead to."""
    aliases = {record.name: record.target for record in answers if record.type == TYPE_CNAME}
    chain = [name]
    while (following := aliases.get(chain[-1])) is not None and following not in chain:
        chain.append(following)
    return chain


def _within(name: str, zone: str) -> bool:
    return zone == "." or name == zone or name.endswith(f".{zone}")
