r"""``Get-NetIPInterface``: the interfaces, as a table or as a list.

Samples::

    ifIndex InterfaceAlias    AddressFamily NlMtu(Bytes) InterfaceMetric Dhcp     ConnectionState
    ------- --------------    ------------- ------------ --------------- ----     ---------------
    17      IPHTTPSInterface  IPv6                  1280              50 Disabled Connected

    InterfaceIndex    : 17
    InterfaceAlias    : IPHTTPSInterface
    AddressFamily     : IPv6
    Forwarding        : Enabled
    Advertising       : Enabled

In a narrow console the words of the table's head break over two lines, so a row is read by form:
index, alias, family, MTU, metric, DHCP, state. Names and words are not translated.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import IPv6Interface

_ROW = re.compile(
    r"^[ \t]*(\d{1,5})[ \t]+(\S.*?)[ \t]+IPv([46])[ \t]+(\d{3,10})[ \t]+(\d{1,5})"
    r"(?:[ \t]+(?:Enabled|Disabled))?(?:[ \t]+(Connected|Disconnected))?\b",
    re.IGNORECASE,
)
_SETTINGS = re.compile(r"^[ \t]*\w[^\n:]{0,400}\bForwarding\b", re.IGNORECASE | re.MULTILINE)
"""A heading with more columns than the usual ones."""
_MAXIMUM_ROW = 500
"""Characters of a line that may be a row of the table."""
_FAMILIES = {"ipv6", "23"}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the interfaces of IPv6."""
    if _SETTINGS.search(evidence.text):
        yield from _records(evidence)
        return
    rows = False
    for number, text in evidence.lines():
        if len(text) > _MAXIMUM_ROW or not (row := _ROW.match(text)):
            continue
        rows = True
        if row[3] == "6":
            yield IPv6Interface(
                source=evidence.at(number, text),
                index=int(row[1]),
                name=row[2].rstrip("."),
                mtu=int(row[4]),
                metric=int(row[5]),
                connected=row[6].lower() == "connected" if row[6] else None,
            )
    if not rows:
        yield from _records(evidence)


def _records(evidence: Evidence) -> Iterator[Fact]:
    for record in records.read(evidence):
        family = (record.word("addressfamily") or "").lower()
        name = record.word("interfacealias") or record.word("ifalias")
        if family not in _FAMILIES or not name:
            continue
        yield _interface(record, evidence, name)


def _interface(record: records.Record, evidence: Evidence, name: str) -> IPv6Interface:
    index, alternative = record.integer("interfaceindex"), record.integer("ifindex")
    forwarding, advertising = record.switch("forwarding"), record.switch("advertising")
    shown = "forwarding" if forwarding is False else "advertising" if advertising is False else ""
    discovery = (record.word("routerdiscovery") or "").lower()
    return IPv6Interface(
        source=record.source(evidence, shown or "interfacealias"),
        name=name,
        index=alternative if index is None else index,
        connected=_connected(record),
        mtu=record.integer("nlmtu(bytes)") or record.integer("nlmtu"),
        metric=record.integer("interfacemetric"),
        forwarding=forwarding,
        advertising=advertising,
        advertise_default_route=record.switch("advertisedefaultroute"),
        router_discovery=discovery or None,
    )


def _connected(record: records.Record) -> bool | None:
    word = (record.word("connectionstate") or "").lower()
    return {"connected": True, "1": True, "disconnected": False, "0": False}.get(word)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "interfacealias" in head and "addressfamily" in head:
        return CERTAIN if "nlmtu" in head or "forwarding" in head else LIKELY
    return 0


PARSER = Parser(
    name="Get-NetIPInterface",
    parse=parse,
    command=re.compile(r"\bGet-NetIPInterface", re.IGNORECASE),
    signature=signature,
)
