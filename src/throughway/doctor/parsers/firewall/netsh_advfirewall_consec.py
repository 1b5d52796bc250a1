r"""``netsh advfirewall consec show rule name=all``, ``netsh advfirewall monitor show consec``.

Sample::

    Rule Name:                            DirectAccess Policy-ClientToInfra
    ----------------------------------------------------------------------
    Enabled:                              Yes
    Profiles:                             Private,Public
    Type:                                 Static
    Mode:                                 Tunnel
    LocalTunnelEndpoint:                  Any
    RemoteTunnelEndpoint:                 2002:c000:202::c000:202
    Endpoint1:                            ::/0
    Endpoint2:                            2001:db8:1::10-2001:db8:1::10
    Protocol:                             Any
    Action:                               RequireInRequireOut
    Auth1:                                ComputerCert
    Auth1CAName:                          DC=com, DC=example, CN=Example CA
    Auth1HealthCert:                      No
    Auth2:                                UserNTLM
    QuickModeSecMethods:                  ESP:SHA1-AES192+60min+100000kb
    Ok.

Labels are believed where all of them stand before values of their form; else, as in a language
that is not known, values are known by their form and by their place after the mode. The name of
a rule is the line above the ruled one.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.firewall import answers, words
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import ConnectionSecurityRule, NoConnectionSecurityRules

_ACTION = re.compile(r"(?:Require|Request)In(?:Require|Request|Clear)Out$|NoAuthentication$", re.I)
_AUTHENTICATION = re.compile(
    r"(?:Computer|User|Anonymous)\w{0,24}(?:,(?:Computer|User)\w{1,24}){0,8}$"
)
_METHODS = re.compile(r"(?:ESP|AH|AuthNoEncap):\w", re.IGNORECASE)
_MODE_METHODS = re.compile(r"QuickModeSecMethods|[:\s](?:ESP|AH):\w{2,12}-", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:CN|DC|OU|O|C|E|L|S|ST)\s?=\s?\S", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{1,24}\.?(?: [^\W\d_]{1,24}){0,3}$")
_ENDPOINTS = re.compile(r"(?=[0-9a-fA-F,.\-]{0,200}[:./])[0-9a-fA-F:./\-,% ]{2,}$")
_NAMED = re.compile(r"DirectAccess Policy-?\w", re.IGNORECASE)
_NAMES = ("rule name", "regelname", "nom de la règle", "nombre de regla", "规则名称")
_MAY_NAME = re.compile("directaccess policy|" + "|".join(_NAMES), re.IGNORECASE)
_MAXIMUM_VALUE = 4096
"""Characters kept of a value that goes on over many lines."""

Fields = Sequence[tuple[str, str]]
"""Label in lower case without blanks, and value."""


@dataclass(slots=True)
class _Record:
    """One rule, as its lines stand there."""

    name: str
    source: Source
    fields: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tunnel:
    """What is read by label or by place."""

    enabled: bool | None = None
    mode: str | None = None
    ends: tuple[str | None, str | None] = (None, None)
    endpoints: tuple[str | None, str | None] = (None, None)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`ConnectionSecurityRule` for each rule, or that there is none."""
    yield from answers.service_down(evidence)
    settings = "StrongCRLCheck" in evidence.text
    active = settings or answers.mentions(evidence, "monitor", "active")
    if source := answers.no_rules(evidence):
        if answers.mentions(evidence, "consec"):
            yield NoConnectionSecurityRules(
                source=source, active=active, wanted=answers.wanted(evidence)
            )
        return
    records = list(_records(evidence))
    rules = [rule for record in records if (rule := _rule(record, active))]
    if not rules and any(len(record.fields) > 4 for record in records):
        raise ParseError("rules without action or authentication", records[0].source.line)
    if not records and not settings and _MODE_METHODS.search(evidence.text):
        raise ParseError("a part of a rule without its name", evidence.first_line)
    yield from rules


def _records(evidence: Evidence) -> Iterator[_Record]:
    record: _Record | None = None
    lines = [(number, line) for number, line in evidence.lines() if line.strip()]
    for i, (number, text) in enumerate(lines):
        if labelled.is_rule(text):
            continue
        ruled = i + 1 < len(lines) and labelled.is_rule(lines[i + 1][1])
        if record is None and not ruled and not _MAY_NAME.search(text):
            continue
        line = labelled.split(number, text)
        if _is_name(line, ruled):
            if record is not None:
                yield record
            record = _Record(line.value, line.source(evidence))
        elif record is not None:
            _add(record, line, text.strip())
    if record is not None:
        yield record


def _is_name(line: labelled.Line, ruled: bool) -> bool:
    if line.label[-1:].isdigit() and line.value[:2].isdigit():
        # The time in the heading of an association, which the monitor of Windows 7 prints before.
        return False
    known = line.label.lower() in _NAMES or _NAMED.match(line.value)
    return bool(line.label and line.value and (ruled or known))


def _add(record: _Record, line: labelled.Line, text: str) -> None:
    """Add a line, or what a line goes on with, to the record."""
    goes_on = bool(_ENDPOINTS.match(text) or _METHODS.match(text))
    if goes_on and record.fields:
        label, value = record.fields[-1]
        if len(value) < _MAXIMUM_VALUE:
            record.fields[-1] = (label, f"{value.rstrip(', ')},{text}")
    elif line.label:
        record.fields.append(("".join(line.label.lower().split()), line.value))


def _rule(record: _Record, active: bool) -> ConnectionSecurityRule | None:
    """Read a record; None where it is no connection security rule, or was cut off."""
    fields = record.fields
    tunnel = _by_label(dict(fields)) if _labels_hold(fields) else _by_place(fields)
    action = next((v.lower() for _, v in fields if _ACTION.match(v)), None)
    first, second = _authentications([v for _, v in fields if _AUTHENTICATION.match(v)])
    if action is None and first is None and tunnel.mode is None:
        return None
    return ConnectionSecurityRule(
        source=record.source,
        name=record.name,
        active=active,
        enabled=tunnel.enabled,
        profiles=next((found for _, v in fields if (found := words.profiles(v))), ()),
        mode=tunnel.mode,
        local_endpoint=_end(tunnel.ends[0]),
        remote_endpoint=_end(tunnel.ends[1]),
        endpoint1=_list(tunnel.endpoints[0]),
        endpoint2=_list(tunnel.endpoints[1]),
        action=action,
        auth1=first,
        auth1_ca=next((v for _, v in fields if _AUTHORITY.match(v)), None),
        auth2=second,
        health_certificate=next(
            (numbers.boolean(v) for label, v in fields if "healthcert" in label), None
        ),
        quick_mode_methods=next((v for _, v in fields if _METHODS.match(v)), None),
    )


def _authentications(values: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the first and the second authentication; a user's is always the second."""
    users = [value for value in values if value.startswith("User")]
    computers = [value for value in values if not value.startswith("User")]
    second = users[0] if users else computers[1] if len(computers) > 1 else None
    return (computers[0] if computers else None), second


def _mode(value: str) -> str | None:
    word = value.strip().lower()
    if word in words.TUNNEL:
        return "tunnel"
    return "transport" if word in words.TRANSPORT else None


def _is_end(value: str) -> bool:
    """Whether it may be an end of a tunnel: an address, or a word for any."""
    return numbers.address(value) is not None or bool(_WORD.match(value))


def _is_endpoint(value: str) -> bool:
    return bool(_ENDPOINTS.match(value) or _WORD.match(value)) and not _ACTION.match(value)


_FORMS: Mapping[str, Callable[[str], object]] = {
    "mode": _mode,
    "localtunnelendpoint": _is_end,
    "remotetunnelendpoint": _is_end,
    "endpoint1": _is_endpoint,
    "endpoint2": _is_endpoint,
    "action": _ACTION.match,
    "auth1": _AUTHENTICATION.match,
    "auth2": _AUTHENTICATION.match,
    "enabled": lambda value: numbers.boolean(value) is not None,
}


def _labels_hold(fields: Fields) -> bool:
    """Whether the labels are the English ones, each before a value of its form."""
    labels = dict(fields)
    return "mode" in labels and all(
        check(labels[label]) for label, check in _FORMS.items() if labels.get(label)
    )


def _by_label(labels: Mapping[str, str]) -> _Tunnel:
    return _Tunnel(
        enabled=numbers.boolean(labels.get("enabled", "")),
        mode=_mode(labels["mode"]),
        ends=(labels.get("localtunnelendpoint"), labels.get("remotetunnelendpoint")),
        endpoints=(labels.get("endpoint1"), labels.get("endpoint2")),
    )


def _by_place(fields: Fields) -> _Tunnel:
    """Count back from the action: protocol, (ports,) endpoints, ends of the tunnel."""
    values = [value for _, value in fields]
    mode = next((found for value in values if (found := _mode(value))), None)
    enabled = next((yes for v in values[:4] if (yes := numbers.boolean(v)) is not None), None)
    action = next((i for i, value in enumerate(values) if _ACTION.match(value)), 0)
    last = action - 2
    if last >= 3 and not any(_ENDPOINTS.match(v) for v in values[last - 1 : last + 1]):
        last -= 2 if last >= 5 and any(map(_ENDPOINTS.match, values[last - 3 : last - 1])) else 0
    if last < 3 or not all(map(_is_endpoint, values[last - 1 : last + 1])):
        return _Tunnel(enabled=enabled, mode=mode)
    endpoints = (values[last - 1], values[last])
    near, far = values[last - 3], values[last - 2]
    addresses = [numbers.address(near), numbers.address(far)]
    if mode == "transport" or not any(addresses) or not (_is_end(near) and _is_end(far)):
        return _Tunnel(enabled=enabled, mode=mode, endpoints=endpoints)
    return _Tunnel(enabled=enabled, mode="tunnel", ends=(near, far), endpoints=endpoints)


def _end(value: str | None) -> str | None:
    """Return an address; "" for a word that says that any will do."""
    return None if value is None else numbers.address(value) or ""


def _list(value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if value else ()


def signature(head: str) -> int:
    """Score the head of a text."""
    if "phase1authset" in head:
        return 0
    if "remotetunnelendpoint" in head or ("auth1:" in head and "action:" in head):
        return CERTAIN
    if "requireinrequireout" in head and ("computercert" in head or "computerkerb" in head):
        return CERTAIN
    return LIKELY if "requestinrequestout" in head or "quickmodesecmethods:" in head else 0


PARSER = Parser(
    name="netsh advfirewall consec show rule",
    parse=parse,
    command=re.compile(
        r"\badv\w*\s+(?:consec\s+sh|mon\w*\s+sh\w*\s+consec)|^(?:\w+ ){0,3}consec(?: \w+){0,3}$",
        re.IGNORECASE,
    ),
    signature=signature,
)
