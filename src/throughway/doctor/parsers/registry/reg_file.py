r"""``reg export`` and regedit: ``*.reg`` files.

Sample::

    Windows Registry Editor Version 5.00

    [HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters]
    "DisabledComponents"=dword:000000ff
    "Name"=hex(7):2e,00,63,00,6f,00,72,00,70,00,\
      00,00,00,00

Only keys that tell something of DirectAccess are kept; an export may be of a whole hive.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.registry.meanings import of_interest, of_key
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.network import RegistryValue

_KEY = re.compile(r"^[ \t]*\[(-?)(HK[A-Z_]{2,30}(?:\\[^\]]{0,1000})?)\][ \t]*$", re.IGNORECASE)
_VALUE = re.compile(r"^[ \t]*(?:\"((?:[^\"\\]|\\.){0,300})\"|@)[ \t]*=[ \t]*(.*)$")
_HEX = re.compile(r"hex(?:\(([0-9a-fA-F]{1,8})\))?:(.*)$", re.IGNORECASE)
_DWORD = re.compile(r"dword:([0-9a-fA-F]{1,8})[ \t]*$", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")
_TYPES = {
    1: "REG_SZ",
    2: "REG_EXPAND_SZ",
    3: "REG_BINARY",
    4: "REG_DWORD",
    7: "REG_MULTI_SZ",
    11: "REG_QWORD",
}
MAXIMUM_VALUE = 1 << 20
"""Characters of a value over all of its lines."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the values of interest, and what they mean."""
    key = ""
    values: list[RegistryValue] = []
    wide = not evidence.text.lstrip()[:20].upper().startswith("REGEDIT4")
    for number, text in _joined(evidence):
        if match := _KEY.match(text):
            yield from _of_key(values)
            kept = not match[1] and of_interest(match[2])
            key, values = match[2] if kept else "", []
        elif key and (match := _VALUE.match(text)):
            value = _value(key, match, wide, evidence.at(number, text[:300]))
            if value is not None:
                values.append(value)
    yield from _of_key(values)


def _joined(evidence: Evidence) -> Iterator[tuple[int, str]]:
    """Yield lines; one that ends in a backslash goes on below."""
    first, size = 0, 0
    parts: list[str] = []
    for number, text in evidence.lines():
        line = text.rstrip()
        first = first if parts else number
        goes_on = line.endswith("\\") and (bool(parts) or "hex" in line)
        parts.append(line[:-1].strip() if goes_on else line.strip() if parts else line)
        size += len(line)
        if goes_on and size < MAXIMUM_VALUE:
            continue
        yield first, "".join(parts)
        parts, size = [], 0
    if parts:
        yield first, "".join(parts)


def _of_key(values: list[RegistryValue]) -> Iterator[Fact]:
    yield from values
    yield from of_key(values)


def _value(key: str, match: re.Match[str], wide: bool, source: Source) -> RegistryValue | None:
    name = _ESCAPED.sub(r"\1", match[1] or "")
    kind, value = _converted(match[2].strip(), wide)
    if value is None:
        return None
    return RegistryValue(source=source, key=key, name=name, type=kind, value=value)


def _converted(text: str, wide: bool) -> tuple[str, int | str | tuple[str, ...] | None]:
    """Return type and value; no value where it is to be deleted, or its form is wrong."""
    if text.startswith('"'):
        whole = len(text) > 1 and text.endswith('"')
        return "REG_SZ", _ESCAPED.sub(r"\1", text[1:-1]) if whole else None
    if match := _DWORD.match(text):
        return "REG_DWORD", int(match[1], 16)
    match = _HEX.match(text)
    if match is None:
        return "", None
    number = int(match[1], 16) if match[1] else 3
    try:
        data = bytes.fromhex(match[2].replace(",", " "))
    except ValueError:
        return "", None
    return _TYPES.get(number, "REG_BINARY"), _decoded(number, data, wide)


def _decoded(kind: int, data: bytes, wide: bool) -> int | str | tuple[str, ...]:
    if kind in {4, 11}:
        return int.from_bytes(data, "little")
    if kind not in {1, 2, 7}:
        return data.hex()
    text = data[: len(data) // 2 * 2].decode("utf-16-le", "replace") if wide else ""
    text = text or data.decode("cp1252", "replace")
    if kind == 7:
        return tuple(part for part in text.split("\0") if part)
    return text.partition("\0")[0]


def signature(head: str) -> int:
    """Score the head of a text."""
    begins = head.lstrip()[:40]
    return CERTAIN if begins.startswith(("windows registry editor", "regedit4")) else 0


PARSER = Parser(name="registry export (.reg)", parse=parse, signature=signature)
