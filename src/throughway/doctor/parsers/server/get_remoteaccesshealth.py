r"""``Get-RemoteAccessHealth``: one row a component, or one object with the error's words.

Sample::

    Component          RemoteAccessServer  HealthState  TimeStamp            Id OperationStatus
    ---------          ------------------  -----------  ---------            -- ---------------
    Server             edge1               Error        2/1/2012 1:59:32 AM
    High Availability  edge1               Error        2/1/2012 1:59:32 AM  .. {NLB state, NLB...

Cells that do not fit are cut with "...". ``Format-List *`` adds Heuristics with ErrorDesc.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import records
from throughway.doctor.parsers.server.operations_status import faults_of
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.server import ComponentHealth, HealthState, OperationsError

_STATES = {state.value.lower(): state for state in HealthState}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each component, and the errors that it names in words."""
    for record in records.read(evidence):
        state = _STATES.get((record.text("healthstate") or "").lower())
        component = record.word("component")
        if state is None or component is None:
            continue
        yield ComponentHealth(
            source=record.source(evidence, "healthstate"),
            component=component,
            state=state,
            server=record.text("remoteaccessserver") or "",
            operation_status=record.items("operationstatus") or (),
        )
        if state in {HealthState.ERROR, HealthState.WARNING}:
            yield from _errors(record, component, evidence)


def _errors(record: records.Record, component: str, evidence: Evidence) -> Iterator[Fact]:
    for name in ("errordesc", "heuristics", "operationstatus"):
        text = record.text(name) or ""
        for fault in faults_of(text):
            yield OperationsError(
                source=record.source(evidence, name), fault=fault, component=component, text=text
            )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "healthstate" in head and "component" in head else 0


PARSER = Parser(
    name="Get-RemoteAccessHealth",
    parse=parse,
    command=re.compile(r"\bGet-RemoteAccessHealth", re.IGNORECASE),
    signature=signature,
)
