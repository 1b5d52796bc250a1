"""``Get-WinEvent`` and ``Get-EventLog``, as list, table, JSON, CliXml or CSV.

Sample::

    TimeCreated  : 3/5/2024 8:00:00 AM
    ProviderName : Microsoft-Windows-Security-Auditing
    Id           : 4653
    Message      : An IPsec Main Mode negotiation failed.

                   Local Endpoint:
                       Local Principal Name:  -
                       Network Address:       2001:db8::1
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import records
from throughway.doctor.parsers.logs import meaning, security
from throughway.doctor.parsers.logs.event import Event, moment
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.events import SECURITY

_ROW = re.compile(
    r"^[ ]{0,4}(?P<when>\S{6,12}[ ]+\d{1,2}:\d\d(?::\d\d)?(?:[ \u202f]?[AP]M)?)[ ]+(?P<id>\d{1,5})"
    r"[ ]+\S+(?:[ ]+(?P<message>.*))?$"
)
_PROVIDER = re.compile(r"^[ \t]*ProviderName:[ ]*(\S.{0,100}?)[ ]*$")
_NUMBERS = ("id", "eventid", "instanceid")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the events say."""
    grouped = any(_PROVIDER.match(text) for _, text in evidence.lines())
    yield from meaning.facts(_table(evidence) if grouped else _records(evidence))


def _table(evidence: Evidence) -> Iterator[Event]:
    provider = ""
    for number, text in evidence.lines():
        if match := _PROVIDER.match(text):
            provider = match[1]
        elif match := _ROW.match(text):
            yield Event(
                provider=provider,
                number=int(match["id"]),
                source=evidence.at(number, text),
                when=moment(match["when"]),
                message=match["message"] or "",
            )


def _records(evidence: Evidence) -> Iterator[Event]:
    for record in records.read(evidence):
        event = _event(record, evidence)
        if event is not None:
            yield event


def _event(record: records.Record, evidence: Evidence) -> Event | None:
    named = next((name for name in _NUMBERS if record.integer(name) is not None), None)
    provider = record.word("providername") or record.word("source")
    number = record.integer(named) if named else None
    if number is None or provider is None or not 0 <= number < 1 << 16:
        return None
    lines = _message(record)
    level = record.integer("level")
    when = record.word("timecreated") or record.word("timegenerated") or ""
    return Event(
        provider=provider,
        number=number,
        source=record.source(evidence, named or ""),
        level=level if level is not None and 0 < level < 10 else None,
        when=moment(when),
        computer=record.word("machinename") or "",
        data=security.data_of_text(number, lines) if provider == SECURITY else (),
        message=" ".join(" ".join(lines).split())[:1000],
    )


def _message(record: records.Record) -> list[str]:
    found = record.properties.get("message")
    return [] if found is None else [line for part in found.values for line in part.split("\n")]


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "providername" in head and ("timecreated" in head or '"id"' in head) else 0


PARSER = Parser(
    name="Get-WinEvent",
    parse=parse,
    command=re.compile(r"\bGet-(?:WinEvent|EventLog)\b", re.IGNORECASE),
    signature=signature,
)
