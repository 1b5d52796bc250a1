"""``systeminfo`` and Get-ComputerInfo.

Sample::

    Host Name:                 CLIENT1
    OS Name:                   Microsoft Windows 10 Enterprise
    OS Version:                10.0.19045 N/A Build 19045
    …
    System Manufacturer:       LENOVO
    System Model:              20XW
    System Type:               x64-based PC
    …
    Domain:                    corp.example.com
    Logon Server:              \\\\DC1
    Hotfix(s):                 2 Hotfix(s) Installed.
                               [01]: KB5031988

Labels are translated; what a line is, its value and its neighbours say.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import labelled, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import ComputerName, SystemInformation

_PRODUCT = re.compile(
    "(?:Microsoft|\u041c\u0430\u0439\u043a\u0440\u043e\u0441\u043e\u0444\u0442)[\xae\u2122 ]{1,3}"
    "(?:\\(R\\) )?Windows\\b.{0,80}",
    re.IGNORECASE,
)
_VERSION = re.compile(r"(\d{1,2}\.\d\.\d{4,5})\b")
_TYPE = re.compile(r"\b(?:x64|x86|ARM64|Itanium)\b|X86-|x64-", re.IGNORECASE)
_HOTFIX = re.compile(r"\bKB\d{6,8}\b")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}$")
_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+$")
_NETBIOS = 15
"""Characters of a name of NetBIOS; one that long may be cut off."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the machine's name and what it is."""
    if "osname" in evidence.text[:20_000].lower():
        yield from _computer_info(evidence)
        return
    lines = [line for line in labelled.read(evidence) if line.label]
    product = next((line for line in lines if _PRODUCT.match(line.value)), None)
    if product is None:
        return
    place = lines.index(product)
    before = lines[place - 1] if place else None
    if before is not None and _NAME.match(before.value) and len(before.value) < _NETBIOS:
        yield ComputerName(source=before.source(evidence), name=before.value)
    maker, model = _hardware(lines)
    version = next((m[1] for line in lines[place:] if (m := _VERSION.match(line.value))), None)
    yield SystemInformation(
        source=product.source(evidence),
        product=product.value,
        version=version,
        manufacturer=maker,
        model=model,
        domain=_domain(lines),
        hotfixes=tuple(dict.fromkeys(_HOTFIX.findall(evidence.text))),
    )


def _hardware(lines: list[labelled.Line]) -> tuple[str | None, str | None]:
    """Maker and model stand right above the kind of processor."""
    for place, line in enumerate(lines):
        if place > 1 and _TYPE.search(line.value) and not _VERSION.match(line.value):
            return lines[place - 2].value or None, lines[place - 1].value or None
    return None, None


def _domain(lines: list[labelled.Line]) -> str | None:
    """The domain stands right above the server that logged the user on."""
    for place, line in enumerate(lines):
        if place and line.value.startswith("\\\\"):
            above = lines[place - 1].value
            return above if _DOMAIN.match(above) else None
    return None


def _computer_info(evidence: Evidence) -> Iterator[Fact]:
    for record in records.read(evidence):
        product = record.word("osname") or record.word("windowsproductname")
        if product is None:
            continue
        if (name := record.word("csdnshostname")) is not None:
            yield ComputerName(source=record.source(evidence, "csdnshostname"), name=name)
        version = _VERSION.match(record.word("osversion") or "")
        yield SystemInformation(
            source=record.source(evidence, "osname"),
            product=product,
            version=version[1] if version else None,
            manufacturer=record.word("csmanufacturer"),
            model=record.word("csmodel"),
            domain=record.word("csdomain"),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    english = "os name:" in head and "os version:" in head
    info = "osname " in head and "csmodel" in head
    if english or info:
        return CERTAIN
    if "microsoft windows" not in head:
        return 0
    other = "-based pc" in head or "x64-" in head
    form = "  microsoft windows " in head or ": microsoft windows " in head
    return CERTAIN if other or (form and ": microsoft corp" in _even(head)) else 0


def _even(head: str) -> str:
    """Return the values as if each stood right behind its colon."""
    return " ".join(head.split())


PARSER = Parser(
    name="systeminfo",
    parse=parse,
    command=re.compile(r"\bsysteminfo(?:\.exe)?\b|\bGet-ComputerInfo\b", re.IGNORECASE),
    signature=signature,
)
