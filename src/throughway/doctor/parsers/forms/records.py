"""Objects that PowerShell printed: as a list, a table, JSON, CliXml or CSV.

Property names are never translated, so they may be relied on. A list wraps long values below
themselves; a table cuts them off with "...".
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from xml.etree import ElementTree

from throughway.doctor.parsers.forms import numbers
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source

_FIELD = re.compile(
    r"([ \t]*)([A-Za-z_][\w().\-]{0,80}(?: [\w().\-]{1,40}){0,3})[ \t]*:(?:[ \t]+|$)"
)
_CLIXML = "{http://schemas.microsoft.com/powershell/2004/04}"
_DASHES = re.compile(r"[ \t]*-{2,}(?:[ \t]+-{2,})*[ \t]*$")
_COMMAND_FAILED = re.compile(r"[A-Za-z]{2,20}-[A-Za-z][A-Za-z0-9]{2,60} ?: ")
"""How an error begins that PowerShell says of a command."""
_COLUMN = re.compile(r"-{2,}")
_NARROWEST = 70
"""Characters of a line, without its indentation, that may have filled a console."""
_BLANKS = " \t\0"
_CUT = ("...", "\u2026")
MAXIMUM_RECORDS = 30_000
"""Objects of one output; what has more is no output of a command of DirectAccess."""
_MAXIMUM_VALUES = 256
"""Lines of one value."""
_MAXIMUM_MISSES = 100
"""Keys whose line was sought to the end of the text in vain; more are not sought."""
_WINDOW = 400
"""Characters to either side of a key in which its line may begin and end."""
_LOST = re.compile(r"(?:System|Microsoft)\.[\w.`+]+(?:\[[\w.,`\[\]]*\])?$")
"""The name of a type in place of a value, which CSV and JSON of little depth do not write."""
_OBJECT = '{"'
_JOINED = re.compile(r"[\w%/\\-]*[.:]\S*(?: [\w%/\\-]*[.:]\S*)+$")
"""Names or addresses with blanks between them: a list in JSON of little depth."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - hours do not matter
_TICKS = re.compile(r"/Date\((-?\d{1,14})\)/$")
_MAXIMUM_JSON_DEPTH = 64
"""Levels of nesting; what PowerShell writes has at most a hundred, of use are few."""
_WIDE = re.compile(
    "([\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60])"
)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table, by the dashes below its heading."""

    name: str
    start: int
    end: int


@dataclass(slots=True)
class Property:
    """The value of a property, as the lines it was printed on."""

    line: int
    text: str
    values: list[str]

    @property
    def value(self) -> str:
        """The whole value in one line; what has no blank was broken where the console ended."""
        whole = ""
        for part in filter(None, self.values):
            broken = len(self.text) >= _NARROWEST and " " not in whole + part and whole[-1:] != ","
            whole += part if broken or not whole else f" {part}"
        return whole.strip()


@dataclass(slots=True)
class Record:
    """One object."""

    line: int
    properties: dict[str, Property] = field(default_factory=dict)
    """By name in lower case."""

    def __contains__(self, name: str) -> bool:
        return name.lower() in self.properties

    def text(self, name: str) -> str | None:
        """Return the value, "" where it is empty, None where the object has no such property."""
        found = self.properties.get(name.lower())
        if found is None:
            return None
        value = found.value.strip("`")
        return None if _LOST.match(value) else value

    def word(self, name: str) -> str | None:
        """Return the value, None also where it is empty."""
        return self.text(name) or None

    def boolean(self, name: str) -> bool | None:
        """Return True or False where a word says so; numbers of enumerations may mean anything."""
        value = self.text(name) or ""
        return None if value.isdigit() else numbers.boolean(value)

    def switch(self, name: str) -> bool | None:
        """Return what a word says, or the number of an enumeration of which 1 is known to be on."""
        return numbers.boolean(self.text(name) or "")

    def name(self, name: str) -> str | None:
        """Return the word of an enumeration; None where only its number is there."""
        value = self.word(name)
        return None if value is None or value.lstrip("-").isdigit() else value

    def integer(self, name: str) -> int | None:
        """Return the number."""
        return numbers.integer(self.text(name) or "")

    def items(self, name: str) -> tuple[str, ...] | None:
        """Return the elements of ``{a, b}``; () where it is empty, None where none is whole."""
        value = self.text(name)
        if value is None:
            return None
        whole = value.removesuffix("}").rstrip(" ")
        inner = whole.removeprefix("{").removesuffix("...").rstrip("\u2026")
        parts = [part.strip() for part in inner.split(",") if part.strip()]
        if any(_LOST.match(part) or part.startswith(_OBJECT) for part in parts):
            return None
        if len(parts) == 1 and not value.startswith("{") and _JOINED.match(value):
            parts = value.split()
        if not value.endswith("}") and whole.endswith(_CUT):
            # A column was too narrow; a list of too many ends with the same marks within braces.
            return tuple(parts[:-1]) or None
        return tuple(parts)

    def source(self, evidence: Evidence, name: str = "") -> Source:
        """Return where the property (or the object) stands."""
        found = self.properties.get(name.lower())
        if found is None:
            found = next(iter(self.properties.values()), None)
        return evidence.at(found.line, found.text) if found else evidence.at(self.line)


def read(evidence: Evidence) -> Iterator[Record]:
    """Yield the objects, in whichever of the forms they are printed."""
    for count, record in enumerate(_read(evidence)):
        if count >= MAXIMUM_RECORDS:
            raise ParseError(f"more than {MAXIMUM_RECORDS} objects", record.line)
        yield record


def _read(evidence: Evidence) -> Iterator[Record]:
    beginning = evidence.text[:4096].lstrip()
    if beginning.startswith(("{", "[")) and _looks_like_json(beginning):
        yield from _json(evidence)
    elif beginning.startswith(("<Objs", "#< CLIXML", "<?xml")):
        yield from _clixml(evidence)
    elif beginning.startswith(("#TYPE", '"')):
        yield from _csv(evidence)
    elif any(_DASHES.match(line) for line in beginning.split("\n")[:40]):
        yield from _table(evidence)
    else:
        yield from _list(evidence)


def _looks_like_json(beginning: str) -> bool:
    return beginning[1:].lstrip()[:1] in {'"', "{", "}", "]"}


def _list(evidence: Evidence) -> Iterator[Record]:
    record: Record | None = None
    current: Property | None = None
    column = 0
    for number, line in evidence.lines():
        match = _FIELD.match(line)
        if match is None or (current and column and len(match[1]) >= column - 1):
            if current and len(current.values) < _MAXIMUM_VALUES and line and not line.isspace():
                current.values.append(line.strip())
            continue
        name = match[2].lower()
        if record is None or name in record.properties:
            if record is not None:
                yield record
            record = Record(number)
        column = max(column, match.end()) if match.end() < len(line) else column
        current = Property(number, line.strip(), [line[match.end() :].strip()])
        record.properties[name] = current
    if record is not None:
        yield record


def _table(evidence: Evidence) -> Iterator[Record]:
    previous = ""
    columns: list[_Column] = []
    for number, line in evidence.lines():
        if _DASHES.match(line) and previous.strip():
            columns = _columns(line, previous)
        elif columns and _COMMAND_FAILED.match(line):
            columns = []
        elif columns and line.strip():
            record = Record(number)
            cells = _cells(line, columns)
            if cells is None:
                raise ParseError("the columns do not stand below their headings", number)
            for column, cell in zip(columns, cells, strict=True):
                if column.name:
                    record.properties[column.name] = Property(number, line.strip(), [cell])
            yield record
        elif not line.strip() and columns and previous.strip():
            columns = columns if not previous.startswith("-") else []
        previous = line
    return


def _columns(dashes: str, header: str) -> list[_Column]:
    spans = [match.span() for match in _COLUMN.finditer(dashes)]
    ends = [*(start for start, _ in spans[1:]), max(len(header), len(dashes))]
    return [
        _Column(header[start:end].strip().lower(), start, ruled)
        for (start, ruled), end in zip(spans, ends, strict=True)
    ]


def _cells(line: str, columns: list[_Column]) -> list[str] | None:
    """Cut a row where the header's columns begin; None where its cells stand elsewhere.

    Wide characters take two places, except where a program has counted them as one.
    """
    if line.isascii():
        return _cut(line, columns)
    return _cut(_WIDE.sub("\\1\0", line), columns) or _cut(line, columns)


def _cut(line: str, columns: list[_Column]) -> list[str] | None:
    starts = [column.start for column in columns]
    for i in range(1, len(starts)):
        at = starts[i]
        # Numbers are set to the right, and may begin before their heading.
        while starts[i - 1] < at < len(line) and line[at - 1] not in " \t\0":
            at -= 1
        starts[i] = at if at > starts[i - 1] else starts[i]
    starts[0] = 0
    ends = [*starts[1:], max(len(line), starts[-1])]
    cells = [line[a:b] for a, b in zip(starts, ends, strict=True)]
    if "\t" in line.strip() or not all(map(_stands_below, columns, starts, cells)):
        return None
    return [cell.replace("\0", "").strip() for cell in cells]


def _stands_below(column: _Column, start: int, cell: str) -> bool:
    """Whether a cell begins where its heading begins, or ends where that ends."""
    if not cell.strip(_BLANKS):
        return True
    begins = start + len(cell) - len(cell.lstrip(_BLANKS))
    ends = start + len(cell.rstrip(_BLANKS))
    return begins == column.start or ends == column.end


def _csv(evidence: Evidence) -> Iterator[Record]:
    text = evidence.text.lstrip("\n")
    skipped = evidence.text.count("\n", 0, len(evidence.text) - len(text))
    if text.startswith("#TYPE"):
        _, _, text = text.partition("\n")
        skipped += 1
    delimiter = (
        ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
    )
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        names = [name.lower() for name in next(reader, [])]
        for row in reader:
            number = evidence.first_line + skipped + reader.line_num - 1
            record = Record(number)
            shown = ", ".join(row)
            for name, cell in zip(names, row, strict=False):
                record.properties[name] = Property(number, shown, [cell])
            if row:
                yield record
    except csv.Error as error:
        raise ParseError(str(error), evidence.first_line + reader.line_num) from error


def _json(evidence: Evidence) -> Iterator[Record]:
    try:
        value, _ = json.JSONDecoder().raw_decode(evidence.text.lstrip())
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1) + evidence.first_line - 1
        raise ParseError(f"broken JSON: {error}", line) from error
    lines = _KeyLines(evidence)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            record = Record(evidence.first_line)
            for name, content in item.items():
                number, text = lines.find(name)
                record.properties[name.lower()] = Property(number, text, _json_lines(content))
            record.line = next(iter(record.properties.values())).line if record.properties else 1
            yield record


class _KeyLines:
    """Finds the lines of keys, from object to object."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._at = 0
        self._line = evidence.first_line
        self._misses = 0

    def find(self, key: str) -> tuple[int, str]:
        """Return number and text of the line where the key stands next."""
        text = self._evidence.text
        found = text.find(f'"{key}"', self._at) if self._misses < _MAXIMUM_MISSES else -1
        if found < 0:
            self._misses += 1
            return self._line, ""
        self._line += text.count("\n", self._at, found) * self._evidence.step
        self._at = found
        start = text.rfind("\n", max(0, found - _WINDOW), found) + 1 or max(0, found - _WINDOW)
        end = text.find("\n", found, found + _WINDOW)
        return self._line, text[start : end if end >= 0 else found + _WINDOW].strip()


def _json_lines(value: object) -> list[str]:
    """Write a certificate in blocks, as a list shows it, and anything else in one line."""
    if isinstance(value, dict) and "Thumbprint" in value and "Subject" in value:
        blocks = ((_BLOCKS.get(k, k), _json_text(v)) for k, v in value.items())
        return [line for name, text in blocks for line in (f"[{name}]", text)]
    return [_json_text(value)]


_BLOCKS = {"NotBefore": "Not Before", "NotAfter": "Not After", "SerialNumber": "Serial Number"}


def _json_text(value: object, depth: int = 0) -> str:
    """Write a value as Format-List would, as far as anybody reads it."""
    if value is None or depth > _MAXIMUM_JSON_DEPTH:
        return ""
    if isinstance(value, dict):
        inner = value.get("value", value.get("Value"))
        if isinstance(inner, list):
            return _json_text(inner, depth + 1)
        for name in _TELLING:
            if isinstance(inner := value.get(name), str):
                return _json_text(inner)
        return json.dumps(value)
    if isinstance(value, list):
        return "{" + ", ".join(_json_text(item, depth + 1) for item in value) + "}"
    if isinstance(value, str) and (ticks := _TICKS.match(value)):
        try:
            return (_EPOCH + timedelta(milliseconds=int(ticks[1]))).isoformat(sep=" ")
        except OverflowError:
            return value
    return str(value)


_TELLING = ("IPAddressToString", "DateTime", "Punycode", "Unicode")
"""Members that stand for the whole object."""


def _clixml(evidence: Evidence) -> Iterator[Record]:
    text = evidence.text.strip().removeprefix("#< CLIXML").strip()
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ParseError("a document type has no place in CliXml", evidence.first_line)
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        line = getattr(error, "position", (1, 0))[0] + evidence.first_line - 1
        raise ParseError(f"broken XML: {error}", line) from error
    lines = _NameLines(evidence)
    for item in root.iter(f"{_CLIXML}Obj"):
        record = Record(evidence.first_line)
        for part in (*item.findall(f"{_CLIXML}Props"), *item.findall(f"{_CLIXML}MS")):
            for member in part:
                name = member.get("N", "")
                number, line = lines.find(name)
                lines_of = [part.strip() for part in _clixml_text(member).split("\n")]
                record.properties.setdefault(name.lower(), Property(number, line, lines_of))
        if record.properties:
            yield record


class _NameLines(_KeyLines):
    """Finds the lines of N="…" attributes."""

    def find(self, key: str) -> tuple[int, str]:
        number, text = super().find(key)
        return number, text[:200]


def _clixml_text(member: ElementTree.Element) -> str:
    if member.tag == f"{_CLIXML}Nil":
        return ""
    shown = member.find(f"{_CLIXML}ToString")
    elements = [*member.iterfind(f"{_CLIXML}LST/*"), *member.iterfind(f"{_CLIXML}IE/*")]
    if elements:
        return "{" + ", ".join(_clixml_text(element) for element in elements) + "}"
    if shown is not None:
        return shown.text or ""
    return (member.text or "").strip()
