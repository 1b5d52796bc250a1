"""Where outputs of commands may begin in a text that holds several without their prompts.

Candidates are the lines with which outputs are known to begin (`parsers.heads`), the beginnings of
objects as PowerShell prints them, of JSON, CliXml and CSV, and what stands below titles and rulers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from throughway.doctor.parsers import heads
from throughway.doctor.parsers.forms.cued import Head, Heads, lowered
from throughway.model.evidence import lines_of

MAXIMUM_TITLE = 240
_FIELD = re.compile(r"[^\W\d_][\w().-]{0,60}(?: [\w().-]{1,40}){0,3}[ ]{0,60}:(?= |$)")
_DASHES = re.compile(r"[ \t]{0,8}-{2,}(?: {1,200}-{2,})+$")
TITLE = re.compile(
    r"[ \t]{0,8}(?:={3,120}|#{1,6}|\*{3,120}(?=[^\n]{1,200}\*$)|-{3,120}|>{2,5}|_{3,120})[ \t]{0,8}"
    r"(?P<words>[^\W_][^\n]{0,100}?)[ \t]{0,8}[=#*<>_-]{0,120}$"
)
ORNAMENT = re.compile(r"[ \t]{0,8}(?:={3,}|#{3,}|\*{3,}|-{3,}|_{3,}|~{3,}|\+{3,})$")
SECTION = re.compile(
    r"(?<!=)={8,} [^=]{2,40} \d{1,6} ={8,}$"
    r"|(?<!-)(?:-{4,} ?cert|-{8,} [^-]{2,30} -{8,}$|-{8,}  [^-]{2,40}  -{8,}$)"
    r"|--- .{1,255} statistics ---$",
    re.IGNORECASE,
)
"""Words of titles that stand within outputs of certutil and netsh."""
TITLES = re.compile(
    r"^(?:={3,120}|#{2,6}|\*{3,120}|-{3,120}(?=[^\n]{1,160}-$))[ \t]{0,8}"
    r"(?P<words>[^\W_][^\n]{0,100}?)[ \t]{0,8}[=#*-]{0,120}$",
    re.MULTILINE,
)
"""Titles that stand in no output, but in texts that a script has put together."""
_RULERS = re.compile(r"^(?:={20,}|#{20,}|\*{20,}|-{20,}|_{20,}|~{20,}|\+{20,})$", re.MULTILINE)
"""What a script puts between outputs, and some outputs between their sections."""
_DIVIDERS = Heads(
    Head(_RULERS, tuple(20 * sign for sign in "=#*-_~+")), Head(TITLES, ("===", "##", "***", "---"))
)
_PLAIN = re.compile(
    r"[^\W\d_](?:[^\n:= ]{1,60} {1,2}){1,20}[^\n:= ]{1,60} ?:?\n|[^\n:]{3,42}: {4,}\S"
    r"|[^\n:]{5,60} \d\d?:\d\d:\d\d"
)
"""A heading even below a line: below any other one dashes are a ruler."""
_MAXIMUM_RULERS = 4
"""One below the other."""
_CONTENT = re.compile(r"^(?=[ \t]{0,200}\S)", re.MULTILINE)
_DOCUMENT = re.compile(
    r"^(?:(?P<json>[\[{])[ \t]{0,8}\n?[ \t]{0,16}(?=[\"{}\]])|(?P<xml>#< CLIXML$|<Objs )"
    r"|(?:#TYPE [^\n]{1,200}\n)?\"[^\n\"]{1,80}\",\"[^\n]{1,4000}(?:\n\"[^\n]{0,60000})*)",
    re.MULTILINE,
)


class Sort(IntEnum):
    """How sure it is that an output begins here; the lower, the surer."""

    ONCE = 0
    DOCUMENT = 1
    HEADING = 2
    AGAIN = 3
    OBJECT = 4
    OPENING = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where an output may begin."""

    start: int
    sort: Sort


def candidates(text: str) -> list[Candidate]:
    """Return where outputs may begin, in order, each place once."""
    lower = lowered(text)
    documents = list(_documents(text))
    once = {match.start(): match.end() for match in heads.ONCE.finditer(text, lower)}
    moments = heads.moments(text)
    found: dict[int, Sort] = {}
    spans = [*documents, *once.items()]
    for match in heads.AGAIN.finditer(text, lower):
        sort = _sort(match)
        below = match.end() + 1
        ruled = below in once or below in moments or match.start() in moments
        if sort is None or (sort is Sort.HEADING and ruled):
            continue
        found.setdefault(match.start(), sort)
        spans.append((match.start(), below + 1 if sort is Sort.HEADING else match.end()))
    found = dict(_objects(text)) | found
    for match in _DIVIDERS.finditer(text, lower):
        start = content_after(text, match.end())
        if start >= 0 and (match.re is _RULERS or not SECTION.search(match[0])):
            found.setdefault(start, Sort.AGAIN)
    after = [end for _, end in documents] + list(moments.values())
    found |= dict.fromkeys((start for start, _ in documents), Sort.DOCUMENT)
    found |= dict.fromkeys((*once, *moments), Sort.ONCE)
    found |= {start: Sort.DOCUMENT for end in after if (start := content_after(text, end)) >= 0}
    return list(_outside(found, sorted(spans)))


def _sort(match: re.Match[str]) -> Sort | None:
    """Return how sure it is that an output begins here; None when it cannot."""
    if heads.is_end(match[0].partition("\n")[0]):
        return None
    text, start = match.string, match.start()
    begin = text.rfind("\n", 0, max(0, start - 1)) + 1
    above = text[begin : start - 1] if start - begin <= MAXIMUM_TITLE else "a"
    if match.lastgroup == "opening":
        return None if above[:1].isspace() else Sort.OPENING
    if match[0][-1] not in heads.UNDERLINE:
        return Sort.AGAIN
    if above.strip() and not (heads.is_end(above) or ORNAMENT.match(above) or TITLE.match(above)):
        return Sort.HEADING if _PLAIN.match(match[0]) else None
    return Sort.HEADING


def _outside(found: dict[int, Sort], spans: list[tuple[int, int]]) -> Iterator[Candidate]:
    """Yield the candidates in order without those within a document or a longer head."""
    covered, at = 0, 0
    for start in sorted(found):
        if start >= covered:
            yield Candidate(start, found[start])
        while at < len(spans) and spans[at][0] <= start:
            covered = max(covered, spans[at][1])
            at += 1


def content_after(text: str, end: int) -> int:
    """Return where the next line begins that says anything; -1 when there is none."""
    for _ in range(_MAXIMUM_RULERS):
        match = _CONTENT.search(text, end)
        ruler = _RULERS.match(text, match.start()) if match else None
        if match is None or ruler is None:
            break
        end = ruler.end()
    return match.start() if match else -1


def _documents(text: str) -> Iterator[tuple[int, int]]:
    """Yield where JSON, CliXml and CSV begin and end."""
    end = -1
    for match in _DOCUMENT.finditer(text):
        start = match.start()
        if start < end:
            continue
        if match["json"]:
            closing = "}" if match["json"] == "{" else "]"
            close = text.find(f"\n{closing}", start)
            end = close + 2 if close >= 0 else len(text)
        elif match["xml"]:
            close = text.find("</Objs>", start)
            end = close + 7 if close >= 0 else len(text)
        else:
            end = match.end()
        yield start, end


def _objects(text: str) -> Iterator[tuple[int, Sort]]:
    """Yield where lists and tables of PowerShell begin: after a blank line, or where colons move.

    In the list of one object all colons stand in one column, each behind a blank; so they do where
    whoever copied it has put blank lines between its lines, and behind a value of several
    paragraphs, which all stand further to the right than the colons.
    """
    start, previous, above = 0, "", 0
    column, size, moved, moved_at = -1, 0, -1, 0
    alone = beyond = -1
    for line in lines_of(text):
        if "--" in line and _DASHES.match(line) and previous.strip():
            yield above, Sort.AGAIN
            column, size = -1, 0
        elif not line.strip() or heads.is_end(line):
            if size:
                alone = column if size == 1 and previous.strip() else -1
                beyond = column if not line.strip() else -1
            column, size = -1, 0
        elif column < 0 < beyond and line[:beyond].isspace():
            column, size = beyond, 2
        elif ":" in line and (match := _FIELD.match(line)):
            here = match.end()
            if column < 0:
                if here != alone or not match[0].endswith(" :"):
                    yield start, Sort.OBJECT
                column, size = here, 1
            elif here == column:
                size += 1
            elif here == moved and size > 1 and match[0].endswith(" :"):
                yield moved_at, Sort.OBJECT
                column, size = here, 2
            moved, moved_at = here, start
        previous, above = line, start
        start += len(line) + 1
