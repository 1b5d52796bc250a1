r"""``gpresult /r [/scope computer]``: which policies were applied.

Sample (shortened)::

    COMPUTER SETTINGS
    ------------------
        CN=CLIENT1,OU=Laptops,DC=corp,DC=example,DC=com
        Last time Group Policy was applied: 11/18/2025 at 8:31:02 AM
        Group Policy was applied from:      dc1.corp.example.com

        Applied Group Policy Objects
        -----------------------------
            DirectAccess Client Settings
            Default Domain Policy

        The following GPOs were not applied because they were filtered out
        -------------------------------------------------------------------
            DirectAccess Server Settings
                Filtering:  Denied (Security)

        The computer is a part of the following security groups
        -------------------------------------------------------
            BUILTIN\Administrators
            DirectAccess Clients

Headings are translated; the order is not. The first list of a part is what was applied, a list
whose entries have a reason below them is what was filtered out, the next one is the groups.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.domain import GroupPolicyResult

_COMPUTER = re.compile(r"comput|ordinateur|equipo|\u8ba1\u7b97\u673a|\u96fb\u8166", re.IGNORECASE)
_USER = re.compile(r"user|benutzer|utilisateur|usuario|\u7528\u6237|\u4f7f\u7528\u8005", re.I)
_VERSION = re.compile(r"^\d{1,2}\.\d+\.\d{4,5}")
_HOST = re.compile(r"^[\w-]+(?:\.[\w-]+)+$")
_NOTHING = frozenset({"n/a", "n. v.", "nicht zutreffend", "\u4e0d\u9002\u7528", "\u7f3a"})


@dataclass
class _Section:
    """A list under a ruled heading."""

    heading: str
    indent: int
    source: Source
    entries: list[str] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """By the place of the entry they stand below."""
    depth: int | None = None


@dataclass
class _Part:
    """The computer's part or the user's."""

    computer: bool
    source: Source
    sections: list[_Section] = field(default_factory=list)
    lines: list[labelled.Line] = field(default_factory=list)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a result for the computer and one for the user."""
    parts: list[_Part] = []
    version = None
    lines = [(n, text) for n, text in evidence.lines() if text and not text.isspace()]
    for (number, text), (_, following) in pairwise([*lines, (0, "")]):
        if labelled.is_rule(text):
            continue
        line = labelled.split(number, text)
        if labelled.is_rule(following) and not line.label:
            _begin(parts, line, evidence)
        elif parts and parts[-1].sections:
            _enter(parts[-1].sections[-1], line)
        elif parts:
            parts[-1].lines.append(line)
        elif match := _VERSION.match(line.value):
            version = match[0]
    for part in parts:
        if part.sections:
            yield _result(part, version)


def _begin(parts: list[_Part], line: labelled.Line, evidence: Evidence) -> None:
    """Begin a part (its heading is in the first column), or a list within one."""
    source = line.source(evidence)
    if line.indent == 0 or not parts:
        computer, user = _COMPUTER.search(line.value), _USER.search(line.value)
        if bool(computer) == bool(user):
            if not line.indent and not parts:
                # A title, or the heading of a part in a language that is not known.
                return
            raise ParseError("whether this is of the computer cannot be told", line.number)
        parts.append(_Part(bool(computer), source))
    else:
        parts[-1].sections.append(_Section(line.value, line.indent, source))


def _enter(section: _Section, line: labelled.Line) -> None:
    """Take in an entry of a list, or the reason below one."""
    if section.depth is None:
        section.depth = line.indent
    if line.indent > section.depth and section.entries and line.label:
        section.reasons.setdefault(len(section.entries) - 1, line.value)
    elif line.indent == section.depth and line.text.strip().lower() not in _NOTHING:
        section.entries.append(line.text.strip())


def _result(part: _Part, version: str | None) -> GroupPolicyResult:
    applied, *others = map(_with_reasons, part.sections)
    filtered = [section for section in others if section.reasons]
    groups = [s for s in others if not s.reasons and s.entries]
    return GroupPolicyResult(
        source=applied.source,
        computer=part.computer,
        applied=() if applied.reasons else tuple(applied.entries),
        filtered=tuple(
            (entry, section.reasons.get(place, ""))
            for section in (*([applied] if applied.reasons else []), *filtered)
            for place, entry in enumerate(section.entries)
        ),
        groups=tuple(groups[0].entries) if groups else (),
        applied_from=next((ln.value for ln in part.lines if _HOST.match(ln.value)), None),
        last_applied=_last_applied(part.lines),
        os_version=version,
    )


def _with_reasons(section: _Section) -> _Section:
    """Find the reasons where the indentation was lost: every second line has a label."""
    entries = section.entries
    labelled_ones = [bool(labelled.split(0, entry).label) for entry in entries]
    if (
        section.reasons
        or not any(labelled_ones)
        or labelled_ones != [False, True] * (len(entries) // 2)
    ):
        return section
    reasons = {i: labelled.split(0, entry).value for i, entry in enumerate(entries[1::2])}
    return replace(section, entries=entries[::2], reasons=reasons)


def _last_applied(lines: list[labelled.Line]) -> str | None:
    """Return the line with the time: the first with a label before the controller's name."""
    for line in lines:
        if line.label and not _HOST.match(line.value) and any(c.isdigit() for c in line.value):
            return line.value
        if _HOST.match(line.value):
            return None
    return None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "applied group policy objects" in head or "group policy was applied" in head:
        return CERTAIN
    if "rsop" in head and ("microsoft" in head or "cn=" in head):
        return CERTAIN
    return LIKELY if "gruppenrichtlinie" in head and "dc=" in head else 0


PARSER = Parser(
    name="gpresult /r",
    parse=parse,
    command=re.compile(r"\bgpresult\b", re.IGNORECASE),
    signature=signature,
)
