r"""``netsh interface ipv6 show interfaces [N]``: the table, and one interface whole.

Samples::

    Idx     Met         MTU          State                Name
    ---  ----------  ----------  ------------  ---------------------------
     17          50        1280  connected     IPHTTPSInterface

    Interface IPHTTPSInterface  Parameters
    ----------------------------------------------
    IfIndex                            : 17
    State                              : connected
    Forwarding                         : disabled
    Advertising                        : enabled

The words connected, enabled and disabled are not translated; a row is index, metric, MTU, state
and name. In a list the two rows that matter are known by
their labels, in the languages that are known; in another one they stay unsaid.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import IPv6Interface

_ROW = re.compile(
    r"^[ \t]*(\d{1,5})[ \t]+(\d{1,5})[ \t]+(\d{3,10})[ \t]+(connected|disconnected)[ \t]+(\S.*)$"
)
_INTERFACE = re.compile(r"(?:Interface|Schnittstelle|Interfaz|\u63a5\u53e3)[ \t]*", re.I)
_PARAMETERS = frozenset(
    ("parameter", "parameters", "param\u00e8tres", "par\u00e1metros", "\u53c2\u6570")
)
_LONGEST_NAME = 128
_FIRST_LABELS = {
    "forwarding": "forwarding",
    "weiterleitung": "forwarding",
    "transfert": "forwarding",
    "reenv\u00edo": "forwarding",
    "\u8f6c\u53d1": "forwarding",
    "advertising": "advertising",
    "ank\u00fcndigung": "advertising",
    "publication": "advertising",
    "anuncio": "advertising",
    "\u901a\u544a": "advertising",
    "advertise default route": "advertise_default_route",
    "router discovery": "router_discovery",
}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the interfaces of a table and of lists."""
    found: IPv6Interface | None = None
    for number, text in evidence.lines():
        if row := _ROW.match(text):
            yield _of_row(row, evidence, number)
            continue
        if name := _named_by(text):
            if found is not None and _says_something(found):
                yield found
            found = IPv6Interface(source=evidence.at(number, text), name=name)
        elif found is not None and text.strip():
            found = _read_value(found, labelled.split(number, text), evidence)
    if found is not None and _says_something(found):
        yield found


def _named_by(text: str) -> str:
    """Return the interface whose parameters follow; "" where the line is no heading."""
    name, _, last = text.strip().removesuffix(":").rstrip().replace("\t", " ").rpartition(" ")
    if last.lower() not in _PARAMETERS or len(name) > _LONGEST_NAME:
        return ""
    name = name.strip()
    word = _INTERFACE.match(name)
    return (name[word.end() :] if word else name) or name


def _of_row(row: re.Match[str], evidence: Evidence, number: int) -> IPv6Interface:
    return IPv6Interface(
        source=evidence.at(number, row[0]),
        index=int(row[1]),
        metric=int(row[2]),
        mtu=int(row[3]),
        connected=row[4] == "connected",
        name=row[5].strip(),
    )


def _read_value(found: IPv6Interface, line: labelled.Line, evidence: Evidence) -> IPv6Interface:
    """Return what is known with this line."""
    value = line.value.lower()
    name = _FIRST_LABELS.get(line.label.lower(), "")
    if name == "router_discovery":
        return replace(found, router_discovery=value)
    if value in {"connected", "disconnected"}:
        return replace(found, connected=value == "connected")
    if value in {"enabled", "disabled"}:
        return _switched(found, name, value == "enabled", line, evidence)
    if line.label.lower() == "ifindex":
        return replace(found, index=numbers.integer(value))
    return found


def _switched(
    found: IPv6Interface, name: str, on: bool, line: labelled.Line, evidence: Evidence
) -> IPv6Interface:
    """Take in a row that is enabled or disabled, by its label."""
    # What is off is what a person looks for.
    source = found.source if on else line.source(evidence)
    if name == "forwarding":
        return replace(found, forwarding=on, source=source)
    if name == "advertising":
        return replace(found, advertising=on, source=source)
    if name == "advertise_default_route":
        return replace(found, advertise_default_route=on)
    return found


def _says_something(found: IPv6Interface) -> bool:
    return any(
        value is not None
        for value in (found.forwarding, found.advertising, found.connected, found.index)
    )


def signature(head: str) -> int:
    """Score the head of a text."""
    if "4294967295" in head and "connected" in head and ("idx" in head or " 1280 " in head):
        return CERTAIN
    if "idx" in head and "mtu" in head and "connected" in head:
        return CERTAIN
    listed = "neighbor discovery" in head or "ifluid" in head or "dad transmits" in head
    return CERTAIN if listed else 0


PARSER = Parser(
    name="netsh interface ipv6 show interfaces",
    parse=parse,
    command=re.compile(r"\bint\w*\s+ipv6\s+sh\w*\s+int", re.IGNORECASE),
    signature=signature,
)
