"""Cut a text that holds outputs of several commands, without their prompts, into these.

What follows a place where an output may begin is judged by the signatures of the parsers: where
another kind begins than that of the output so far, the text is cut. What is wholly one output
stays whole.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from throughway.doctor.beginnings import (
    MAXIMUM_TITLE,
    ORNAMENT,
    SECTION,
    TITLE,
    TITLES,
    Candidate,
    Sort,
    candidates,
    content_after,
)
from throughway.doctor.parser import CERTAIN, Parser, find, head_of
from throughway.doctor.parsers import heads
from throughway.model.evidence import Evidence

Kinds = frozenset[Parser]

MAXIMUM_TEXT = 2 * 1024 * 1024
"""Characters of a text that is looked through; what is longer is one log."""
MAXIMUM_JUDGED = 3000
"""Candidates of one text that are judged."""
MAXIMUM_UNKNOWN = 4000
"""Characters without any head that are judged together."""
_MAXIMUM_BODY = 3
"""Candidates behind a heading among which its body is sought."""
_NESTED = frozenset(
    {
        "wevtutil qe /f:text",
        "wevtutil qe /f:xml",
        "Get-WinEvent",
        "Get-RemoteAccess",
        "certutil -verify",
        "Operations Status of the Remote Access console",
    }
)
"""Kinds in which lists stand that look like objects of other kinds."""
_PARAGRAPH = re.compile(r"[^\n]*\n[^\n]*\n{1,3}(?:[^\n]+\n)*\Z")
"""A heading with its body below it, and nothing else."""
_ABOVE = 4000
"""Characters above an output in which the end of the one before is sought."""
_MAXIMUM_ABOVE = 4
"""Lines above an output that may be its title, with blank ones."""
_OPEN = frozenset({Sort.ONCE, Sort.HEADING, Sort.OPENING})
"""What may tell its kind only by what stands below it."""


def parts(evidence: Evidence, parsers: Sequence[Parser]) -> list[Evidence]:
    """Return the outputs of which a text consists; mostly it is one."""
    text = evidence.text
    if not text or len(text) > MAXIMUM_TEXT:
        return [evidence]
    first = content_after(text, 0)
    found = candidates(text)
    if not any(candidate.start > first for candidate in found):
        return [evidence]
    cuts, kinds = _cuts(text, found, tuple(parsers))
    if not any(start > first and _before(text, start)[0] for start in cuts):
        return [evidence]
    titled = _titled(text) if len(kinds) > 1 else ()
    return list(_pieces(evidence, sorted({*cuts, *titled}), tuple(parsers)))


def _pieces(
    evidence: Evidence, starts: list[int], parsers: tuple[Parser, ...]
) -> Iterator[Evidence]:
    text = evidence.text
    line, counted = evidence.first_line, 0
    below, title = _below_title(text)
    begin = min(below, starts[0])
    first = True
    for start in (*starts, len(text)):
        end, following = _before(text, start) if start < len(text) else (start, "")
        line += text.count("\n", counted, begin) * evidence.step
        counted = begin
        piece = text[begin:end]
        if piece.strip():
            part = replace(evidence, text=piece, first_line=line)
            yield _named(part, title, parsers, first=first)
            first = False
        begin, title = start, following


def _named(part: Evidence, title: str, parsers: tuple[Parser, ...], *, first: bool) -> Evidence:
    """Say by which command a part was printed: by the one that was typed, or as its title says.

    Its form goes before both: behind the command that was typed others may have been pasted.
    """
    bare = replace(part, command="")
    found = find(bare, parsers)
    typed = find(part, parsers) if part.command else []
    if typed and (typed[0] in found if found else first):
        return part
    if not found and title and any(p.command and p.command.search(title) for p in parsers):
        return replace(bare, command=title)
    return bare


def _cuts(
    text: str, found: list[Candidate], parsers: tuple[Parser, ...]
) -> tuple[list[int], set[Kinds]]:
    """Return where outputs begin, and of which kinds they are."""
    if len(found) > MAXIMUM_JUDGED:
        return [], set()
    cuts: list[int] = []
    seen: set[Kinds] = set()
    known: Kinds = frozenset()
    at = begin = 0
    while at < len(found):
        candidate = found[at]
        if not known and begin < candidate.start < begin + MAXIMUM_UNKNOWN:
            known = _kinds(text[begin : candidate.start], parsers)
        end, title = _before(text, candidate.start)
        ended = heads.is_end(_line_above(text, end))
        if not ended and candidate.sort > Sort.DOCUMENT and _goes_on(text, found, at, known):
            at += 1
            continue
        kinds, taken = _judged(text, found, at, parsers)
        at += taken
        nested = candidate.sort is Sort.OBJECT and _holds_lists(known) and not (ended or title)
        other = bool(known and not kinds & known)
        if candidate.sort <= Sort.DOCUMENT or (kinds and (other or ended) and not nested):
            cuts.append(candidate.start)
            known, begin = kinds, candidate.start
        elif not known:
            known = kinds
        seen |= {known} if known else set()
    return cuts, seen


def _judged(
    text: str, found: list[Candidate], at: int, parsers: tuple[Parser, ...]
) -> tuple[Kinds, int]:
    """Return the kinds of what follows a candidate, and how many candidates that took."""
    candidate = found[at]
    limit = 1 + (_MAXIMUM_BODY if candidate.sort in _OPEN else 0)
    for taken in range(1, limit + 1):
        kinds = _kinds(text[candidate.start : _end(text, found, at + taken)], parsers)
        if kinds:
            return kinds, taken
        if at + taken >= len(found):
            break
        following = found[at + taken]
        if candidate.sort is Sort.OPENING:
            continue
        if following.sort is not Sort.OBJECT or not _PARAGRAPH.match(
            text, candidate.start, following.start
        ):
            break
    return frozenset(), 1


def _goes_on(text: str, found: list[Candidate], at: int, known: Kinds) -> bool:
    """Whether what follows a candidate is certainly of the same kind; the others are not asked."""
    piece = text[found[at].start : _end(text, found, at + 1)]
    return any(parser.signature(head_of(piece)) >= CERTAIN for parser in known)


def _end(text: str, found: list[Candidate], following: int) -> int:
    return found[following].start if following < len(found) else len(text)


def _kinds(text: str, parsers: tuple[Parser, ...]) -> Kinds:
    return frozenset(find(Evidence("-", text), parsers) if text.strip() else ())


def _holds_lists(kinds: Kinds) -> bool:
    return any(parser.name in _NESTED for parser in kinds)


def _line_above(text: str, start: int) -> str:
    """Return the next line above that is not blank."""
    above = text[max(0, start - _ABOVE) : start].rstrip()
    return above[above.rfind("\n") + 1 :]


def _before(text: str, start: int) -> tuple[int, str]:
    """Return where the output before ends, and the title that stands between them."""
    end, title = start, ""
    for _ in range(_MAXIMUM_ABOVE):
        end = len(text[max(0, end - _ABOVE) : end].rstrip()) + max(0, end - _ABOVE)
        begin = text.rfind("\n", 0, end) + 1
        line = text[begin:end]
        match = TITLE.match(line) if len(line) <= MAXIMUM_TITLE else None
        if match and not title and not SECTION.search(line):
            title = match["words"].strip()
        elif not ORNAMENT.match(line):
            break
        end = begin
    return end, title


def _below_title(text: str) -> tuple[int, str]:
    """Return where the first output begins below its title, and the title."""
    begin, title = 0, ""
    for _ in range(_MAXIMUM_ABOVE):
        begin = start = max(begin, content_after(text, begin))
        end = text.find("\n", start)
        line = text[start:end] if 0 <= end <= start + MAXIMUM_TITLE else ""
        match = TITLE.match(line)
        if match and not title and not SECTION.search(match[0]):
            title = match["words"].strip()
        elif not ORNAMENT.match(line):
            break
        begin = end + 1
    return begin, title


def _titled(text: str) -> Iterator[int]:
    """Yield where something begins under a title of its own that no head is known for."""
    for match in TITLES.finditer(text):
        if SECTION.search(match[0]):
            continue
        start = content_after(text, match.end())
        if start >= 0:
            yield start
