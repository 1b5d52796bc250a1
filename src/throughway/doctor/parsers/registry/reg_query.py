r"""``reg query``: keys with their values.

Sample::

    HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters
        DisabledComponents    REG_DWORD    0xff

When a value does not exist: ``ERROR: The system was unable to find the specified registry key or
value.`` What was asked for is then known from the command alone.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import records
from throughway.doctor.parsers.registry.meanings import of_key
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.network import DisabledComponents, RegistryValue

_KEY = re.compile(r"^[ \t]*(HK[A-Z_]{2,30}\\.{1,1000}?)[ \t]*$")
_VALUE = re.compile(r"^[ \t]+(\S.{0,255}?)[ \t]+(REG_[A-Z_]{2,24})(?:[ \t]+(.*?))?[ \t]*$")
_LOOSE_VALUE = re.compile(r"^(\w{1,255})[ \t]+(REG_[A-Z_]{2,24})(?:[ \t]+(.*?))?[ \t]*$")
_MISSING = re.compile(
    r"^[ \t]*(?:ERROR|FEHLER|ERREUR|\u9519\u8bef|ERRORE)[ ]?[:\uff1a].{0,200}$", re.IGNORECASE
)
_ASKED = re.compile(r"query\s+(\"[^\"]+\"|\S+).*?/v\s+(\"[^\"]+\"|\S+)", re.IGNORECASE)
_TCPIP6 = "disabledcomponents"
_ITEM = "pschildname"
"""A property that every item of the registry has in PowerShell."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield every value, and what the well-known ones mean."""
    if _ITEM in evidence.text.lower():
        yield from _items(evidence)
        return
    key = ""
    values: list[RegistryValue] = []
    for number, text in evidence.lines():
        if match := _KEY.match(text):
            yield from meanings(values)
            key, values = match[1], []
        elif match := _VALUE.match(text) or _LOOSE_VALUE.match(text):
            values.append(_value(key, match, evidence.at(number, text)))
        elif _MISSING.match(text):
            yield from _missing(evidence, evidence.at(number, text))
    yield from meanings(values)


def _items(evidence: Evidence) -> Iterator[Fact]:
    """Read what Get-ItemProperty prints; of which type a value is it does not say."""
    for record in records.read(evidence):
        path = record.text("pspath") or ""
        key = path.partition("::")[2] or path
        values = [
            RegistryValue(
                source=evidence.at(p.line, p.text), key=key, name=name, value=_plain(p.value)
            )
            for name, p in record.properties.items()
            if not name.startswith("ps") and p.value
        ]
        yield from meanings(values)


def _plain(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() and len(text) < 20 else text


def meanings(values: list[RegistryValue]) -> Iterator[Fact]:
    """Yield the values of one key, and the facts they make together."""
    yield from values
    yield from of_key(values)


def _value(key: str, match: re.Match[str], source: Source) -> RegistryValue:
    return RegistryValue(
        source=source,
        key=key,
        name=match[1],
        type=match[2].upper(),
        value=converted(match[2].upper(), match[3] or ""),
    )


def converted(kind: str, text: str) -> int | str | tuple[str, ...]:
    """Return the value as its type says; the text where it is not of that form."""
    if kind in {"REG_DWORD", "REG_QWORD"}:
        try:
            return int(text.split()[0], 16 if text.lower().startswith("0x") else 10)
        except (ValueError, IndexError):
            return text
    if kind == "REG_MULTI_SZ":
        return tuple(part for part in text.split("\\0") if part)
    return text


def _missing(evidence: Evidence, source: Source) -> Iterator[Fact]:
    """Yield that there is no such value, when it is known which one was asked for."""
    asked = _ASKED.search(evidence.command)
    if asked is None:
        return
    name = asked[2].strip('"')
    yield RegistryValue(source=source, key=asked[1].strip('"'), name=name)
    if name.lower() == _TCPIP6:
        yield DisabledComponents(source=source, bits=0)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "reg_dword" in head or "reg_sz" in head or "reg_multi_sz" in head:
        return CERTAIN
    if _ITEM in head and "psparentpath" in head:
        return CERTAIN
    return LIKELY if "unable to find the specified registry" in head else 0


PARSER = Parser(
    name="reg query",
    parse=parse,
    command=re.compile(r"\breg(?:\.exe)?\s+query|\bGet-ItemProperty\b|^gp HK", re.IGNORECASE),
    signature=signature,
)
