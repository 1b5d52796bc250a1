r"""``Get-Net6to4Configuration``, ``Get-NetIsatapConfiguration``, and Teredo's two.

Samples::

    Description               : 6to4 Configuration
    State                     : Default
    AutoSharing               : Default
    RelayName                 : 6to4.ipv6.microsoft.com.
    RelayState                : Default
    ResolutionIntervalSeconds : 1440

    Description               : ISATAP Configuration
    State                     : Default
    Router                    : isatap.corp.example.com
    ResolutionState           : Default
    ResolutionIntervalSeconds : 1440

    Description            : Teredo Configuration
    Type                   : Enterpriseclient
    ServerName             : da.example.com
    RefreshIntervalSeconds : 30
    ClientPort             : 0

    State : Qualified

Names and words are not translated.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import records
from throughway.doctor.parsers.transition.netsh_teredo import error_of
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import (
    ISATAPState,
    SixToFourState,
    TeredoState,
    TeredoStatus,
)

_INTERVAL = "refreshintervalseconds"
_TYPES = frozenset(
    {"default", "client", "enterpriseclient", "natawareclient", "server", "disabled", "relay"}
)
_STATES = {
    **{state.value: state for state in TeredoStatus},
    "probe": TeredoStatus.PROBE_PRIMARY,
    "probeprimary": TeredoStatus.PROBE_PRIMARY,
    "probesecondary": TeredoStatus.PROBE_SECONDARY,
    "primaryserverprobe": TeredoStatus.PROBE_PRIMARY,
    "secondaryserverprobe": TeredoStatus.PROBE_SECONDARY,
}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the configuration (or state) of each technology that is printed."""
    for record in records.read(evidence):
        if "relayname" in record or "relaystate" in record or "autosharing" in record:
            yield _sixtofour(record, evidence)
        elif "router" in record and ("resolutionstate" in record or "state" in record):
            yield _isatap(record, evidence)
        elif (teredo := _teredo(record, evidence)) is not None:
            yield teredo


def _sixtofour(record: records.Record, evidence: Evidence) -> Fact:
    return SixToFourState(
        source=record.source(evidence, "state"),
        state=_lower(record, "state"),
        relay=_lower(record, "relayname"),
        relay_state=_lower(record, "relaystate"),
        by_policy=_by_policy(record),
    )


def _isatap(record: records.Record, evidence: Evidence) -> Fact:
    return ISATAPState(
        source=record.source(evidence, "state"),
        state=_lower(record, "state"),
        router=_lower(record, "router"),
        by_policy=_by_policy(record),
    )


def _teredo(record: records.Record, evidence: Evidence) -> Fact | None:
    kind = _lower(record, "type")
    status = _STATES.get(_lower(record, "state") or "")
    configured = "servername" in record and (kind in _TYPES or _INTERVAL in record)
    if not configured and (status is None or _is_other(record)):
        return None
    error = record.word("error") or record.word("errordescription")
    server = _lower(record, "servername")
    return TeredoState(
        source=record.source(evidence, "state" if status else "type"),
        type=kind if kind in _TYPES else None,
        server=server.rstrip(".") if server else None,
        port=record.integer("clientport"),
        state=status,
        client_type=_lower(record, "clienttype"),
        network=_lower(record, "network"),
        nat=_lower(record, "nat"),
        error=error_of(error) if error else None,
        error_text=error or "",
        type_by_policy=_by_policy(record),
    )


def _is_other(record: records.Record) -> bool:
    """Whether a record with a State is of something else than Teredo."""
    return "teredo" not in (record.text("description") or "teredo").lower() or "name" in record


def _by_policy(record: records.Record) -> bool | None:
    store = (record.word("policystore") or "").lower()
    return store not in {"persistentstore", "activestore"} if store else None


def _lower(record: records.Record, name: str) -> str | None:
    value = record.name(name)
    return value.lower() if value else None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "resolutionintervalseconds" in head and ("relayname" in head or "router" in head):
        return CERTAIN
    if "refreshintervalseconds" in head and "servername" in head:
        return CERTAIN
    return LIKELY if "teredo" in head and "description" in head and "state" in head else 0


PARSER = Parser(
    name="Get-Net6to4Configuration",
    parse=parse,
    command=re.compile(r"\bGet-Net(?:6to4|Isatap|Teredo)(?:Config|State)", re.IGNORECASE),
    signature=signature,
)
