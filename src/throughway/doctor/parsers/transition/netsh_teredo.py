r"""``netsh interface teredo show state``, also ``netsh interface ipv6 show teredo``.

Sample::

    Teredo Parameters
    ---------------------------------------------
    Type                    : enterpriseclient
    Server Name             : win1910.ipv6.microsoft.com.
    Client Refresh Interval : 60 seconds
    Client Port             : 34567
    State                   : qualified
    Client Type             : teredo client
    Network                 : managed
    NAT                     : restricted (port)
    NAT Special Behaviour   : UPNP: Yes, PortPreserving: No
    Local Mapping           : 192.168.3.6:34567
    External NAT Mapping    : 113.117.60.37:18778

Labels and error texts are translated, the words of Type, State, Client Type, Network and NAT are
not. Which lines there are depends on the state; the order never changes.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import TeredoError, TeredoState, TeredoStatus

_STATES = {state.value: state for state in TeredoStatus}
_TYPES = frozenset(
    {"default", "client", "enterpriseclient", "natawareclient", "server", "disabled"}
)
_NATS = ("cone", "restricted", "symmetric", "none (global")
_MAPPING = re.compile(r"[0-9a-z.*]+:[0-9]{1,5}$", re.IGNORECASE)
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+\.?$")
_ERRORS = (
    (TeredoError.NONE, ("none", "\u65e0", "keine", "aucune", "aucun", "ninguno", "ninguna")),
    (TeredoError.SECONDARY_UNREACHABLE, ("secondary teredo", "secondary server", "\u8f85\u52a9")),
    (TeredoError.PRIMARY_UNREACHABLE, ("udp", "primary server unreachable")),
    (TeredoError.SYMMETRIC_NAT, ("symmetric nat", "\u5bf9\u79f0", "symmetri", "sim\u00e9tri")),
    (
        TeredoError.MANAGED_NETWORK,
        ("managed network", "\u6258\u7ba1", "\u53d7\u7ba1", "verwaltet", "g\u00e9r\u00e9"),
    ),
    (
        TeredoError.TUNNEL_ADAPTER,
        ("tunnel adapter", "tunneladapter", "\u96a7\u9053\u9002\u914d\u5668", "t\u00fanel"),
    ),
    (
        TeredoError.GENERAL_FAILURE,
        ("general system failure", "\u7cfb\u7edf\u6545\u969c", "allgemeiner systemfehler"),
    ),
    (TeredoError.SERVER_UNRESOLVED, ("resolve", "\u89e3\u6790", "aufgel\u00f6st", "r\u00e9sol")),
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`TeredoState` for each state that is printed."""
    found: TeredoState | None = None
    for line in labelled.read(evidence):
        if not line.label:
            continue
        value, by_policy = labelled.without_remark(line.value)
        if value.lower() in _TYPES:
            if found is not None:
                yield found
            found = TeredoState(
                source=line.source(evidence), type=value.lower(), type_by_policy=by_policy
            )
        elif found is None and value.lower() in _STATES:
            found = _read_value(TeredoState(source=line.source(evidence)), line, value, evidence)
        elif found is not None and value:
            found = _read_value(found, line, value, evidence)
    if found is not None and (found.state or found.server or found.port is not None):
        yield found


def error_of(text: str) -> TeredoError:
    """Return the meaning of an error text; whole words for "none", parts for the others."""
    lower = text.lower().rstrip(".")
    for error, words in _ERRORS:
        if error is TeredoError.NONE:
            if lower in words:
                return error
        elif any(word in lower for word in words):
            return error
    return TeredoError.OTHER


def _read_value(
    found: TeredoState, line: labelled.Line, value: str, evidence: Evidence
) -> TeredoState:
    """Return what is known with this line."""
    lower = value.lower()
    if lower in _STATES:
        # The state is the line that a person looks at.
        return replace(found, state=_STATES[lower], source=line.source(evidence))
    if found.state is None:
        return _read_configuration(found, value, lower)
    if lower.startswith("teredo "):
        return replace(found, client_type=lower)
    if lower in {"managed", "unmanaged"}:
        return replace(found, network=lower)
    if lower.startswith(_NATS) and found.error is None and found.nat is None:
        return replace(found, nat=lower)
    if "upnp" in lower:
        return found
    if _MAPPING.match(value):
        if found.local_mapping is None:
            return replace(found, local_mapping=value)
        return replace(found, external_mapping=value)
    return _read_error(found, line, value, evidence)


def _read_configuration(found: TeredoState, value: str, lower: str) -> TeredoState:
    if lower == "unspecified":
        return replace(found, port=0)
    if value.isdigit():
        return replace(found, port=int(value))
    if found.server is None and _HOST.match(value):
        return replace(found, server=lower.rstrip("."))
    return found


def _read_error(
    found: TeredoState, line: labelled.Line, value: str, evidence: Evidence
) -> TeredoState:
    """Read the two lines that an offline client ends with: the error and its code."""
    if found.error is not None:
        return replace(found, error_code=numbers.error_code(value))
    if found.state is not TeredoStatus.OFFLINE:
        return found
    error = error_of(value)
    source = found.source if error is TeredoError.NONE else line.source(evidence)
    return replace(found, error=error, error_text=value, source=source)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "teredo" not in head or "refreshintervalseconds" in head:
        return 0
    if "enterpriseclient" in head or "probe (" in head or "unspecified" in head:
        return CERTAIN
    states = (": offline", ": dormant", ": qualified", ": online")
    return CERTAIN if any(state in head for state in states) else LIKELY * ("ipv6." in head)


PARSER = Parser(
    name="netsh interface teredo show state",
    parse=parse,
    command=re.compile(r"\bint\w*\s+(?:ter\w*\s+sh\w*\s+st|ipv6\s+sh\w*\s+ter)", re.IGNORECASE),
    signature=signature,
)
