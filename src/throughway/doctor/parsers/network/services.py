r"""``sc query``, ``Get-Service``: which services run.

Samples::

    SERVICE_NAME: iphlpsvc
            TYPE               : 30  WIN32
            STATE              : 1  STOPPED

    Status   Name               DisplayName
    ------   ----               -----------
    Stopped  iphlpsvc           IP Helper
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import ServiceState

_NAME = re.compile(r"^[ \t]*(?:SERVICE_NAME|\w{3,12}_SERVI\w{2,4}|\w{2,12}_DIENST)[ ]?:", re.M)
_STATE = re.compile(r"^([1-7])\s+[A-Z_]{5,}")
_TYPE = re.compile(r"T[IY]PO?E?$|\u7c7b\u578b$")
_RUNNING = "4"
_WORDS = {"running": True, "stopped": False, "4": True, "1": False}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each service."""
    if _NAME.search(evidence.text[:4096]):
        yield from _sc(evidence)
        return
    for record in records.read(evidence):
        name, status = record.word("name"), (record.word("status") or "").lower()
        if name and status in _WORDS:
            start = record.text("starttype") or record.text("startmode") or ""
            yield ServiceState(
                source=record.source(evidence, "status"),
                name=name.lower(),
                running=_WORDS[status],
                disabled=start.lower() == "disabled" if start else None,
            )


def _sc(evidence: Evidence) -> Iterator[Fact]:
    name = ""
    for line in labelled.read(evidence):
        if _NAME.match(line.text):
            name = line.value.lower()
        elif name and (match := _STATE.match(line.value)) and not _TYPE.match(line.label):
            running = match[1] == _RUNNING
            yield ServiceState(source=line.source(evidence), name=name, running=running)
            name = ""


def signature(head: str) -> int:
    """Score the head of a text."""
    if "service_name:" in head or ("win32" in head and _NAME.search(head.upper())):
        return CERTAIN
    if '"displayname":' in head and '"status":' in head and '"name":' in head:
        return LIKELY
    kept = "displayname" in head or "starttype" in head
    table = kept and "status" in head and "name" in head
    return LIKELY if table and ("running" in head or "stopped" in head) else 0


PARSER = Parser(
    name="sc query",
    parse=parse,
    command=re.compile(r"\bsc(?:\.exe)?\s+query|\bGet-Service\b", re.IGNORECASE),
    signature=signature,
)
