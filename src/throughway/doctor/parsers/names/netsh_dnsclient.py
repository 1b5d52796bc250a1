r"""``netsh dnsclient show state``: where the client believes to be.

Sample::

    Name Resolution Policy Table Options
    --------------------------------------------------------------------

    Query Failure Behavior                : Always fall back to LLMNR and NetBIOS
                                            if the name does not exist in DNS
    Query Resolution Behavior             : Resolve only IPv6 addresses for names
    Network Location Behavior             : Let Network ID determine when Direct
                                            Access settings are to be used
    Machine Location                      : Outside corporate network
    Direct Access Settings                : Configured and Enabled
    DNSSEC Settings                       : Not Configured

Labels and values are translated, the order never changes: the location is the fourth, the settings
of DirectAccess the fifth. In a language whose words are not known they stay unsaid.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import DNSClientState

_OUTSIDE = re.compile(
    r"^(?:outside|au\u00dferhalb|[a\u00e0] l.ext\u00e9rieur|en dehors|hors|fuera)\b"
    r"|^\S*(?:\u7f51\u7edc|\u7db2\u8def)\S*\u5916|^\u5916\u90e8",
    re.IGNORECASE,
)
_INSIDE = re.compile(
    r"^(?:inside|innerhalb|[a\u00e0] l.int\u00e9rieur|dans|dentro)\b"
    r"|^\S*(?:\u7f51\u7edc|\u7db2\u8def)\S*\u5185|^\u5185\u90e8",
    re.IGNORECASE,
)
_DIRECTACCESS = re.compile(r"direct\s?access", re.IGNORECASE)
_NOT_CONFIGURED = re.compile(
    r"^(?:not configured|nicht konfiguriert|non configur|no (?:se ha )?configurad"
    r"|\u672a\u914d\u7f6e|\u672a\u8a2d\u5b9a)",
    re.IGNORECASE,
)
_OFF = re.compile(
    r"disabled|deaktiviert|d\u00e9sactiv|deshabilitad|\u7981\u7528|\u505c\u7528", re.IGNORECASE
)
_ON = re.compile(
    r"enabled|aktiviert|activ\u00e9|habilitad|\u542f\u7528|\u555f\u7528", re.IGNORECASE
)
_ENTRIES = 6
_LOCATION = 3


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the state."""
    entries = _entries(evidence)
    if not entries:
        return
    location = _location(entries)
    settings = _directaccess(entries)
    configured, enabled = _settings(settings.value if settings else "")
    inside = _inside(location.value) if location else None
    if inside is None and configured is None and len(entries) < _LOCATION:
        raise ParseError("the output ends before it says anything", entries[-1].number)
    shown = location or settings or entries[0]
    yield DNSClientState(
        source=shown.source(evidence),
        inside=inside,
        configured=configured,
        enabled=enabled,
        query_failure=entries[0].value or None,
        query_resolution=entries[1].value or None if len(entries) > 1 else None,
        location_behaviour=entries[2].value or None if len(entries) > 2 else None,
    )


def _entries(evidence: Evidence) -> list[labelled.Line]:
    """Return the lines with a label; what goes on below is put behind."""
    entries: list[labelled.Line] = []
    for line in labelled.read(evidence):
        if line.label:
            entries.append(line)
        elif entries and line.indent:
            last = entries[-1]
            entries[-1] = last._replace(value=f"{last.value} {line.value}")
    return entries


def _location(entries: list[labelled.Line]) -> labelled.Line | None:
    """Return the line of the location: the fourth, or the only one whose value says so."""
    fourth = entries[_LOCATION] if len(entries) > _LOCATION else None
    said = [entry for entry in entries if _inside(entry.value) is not None]
    return said[0] if len(said) == 1 else fourth


def _directaccess(entries: list[labelled.Line]) -> labelled.Line | None:
    """Return the line that is called so, as in most languages.

    Elsewhere it is one of the last two: the one that says whether it is enabled, for DNSSEC's own
    does not; or either, where both say that nothing is configured.
    """
    named = [e for e in entries if _DIRECTACCESS.search(e.label)]
    if named or len(entries) != _ENTRIES:
        return named[0] if named else None
    last = entries[_LOCATION + 1 :]
    switched = [e for e in last if _settings(e.value)[0]]
    if switched:
        return switched[0] if len(switched) == 1 else None
    return last[0] if all(_NOT_CONFIGURED.search(e.value) for e in last) else None


def _inside(value: str) -> bool | None:
    if _OUTSIDE.search(value):
        return False
    return True if _INSIDE.search(value) else None


def _settings(value: str) -> tuple[bool | None, bool | None]:
    """Return whether DirectAccess is configured, and whether it is enabled."""
    if _NOT_CONFIGURED.search(value):
        return False, False
    if _OFF.search(value):
        return True, False
    return (True, True) if _ON.search(value) else (None, None)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "name resolution policy table options" in head or "machine location" in head:
        return CERTAIN
    if "llmnr" in head and "dnssec" in head and ("direct access" in head or "directaccess" in head):
        return CERTAIN
    return LIKELY if "llmnr" in head and "dnssec" in head else 0


PARSER = Parser(
    name="netsh dnsclient show state",
    parse=parse,
    command=re.compile(r"\bdns\w*\s+sh\w*\s+st", re.IGNORECASE),
    signature=signature,
)
