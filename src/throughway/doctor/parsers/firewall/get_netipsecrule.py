r"""``Get-NetIPsecRule``, ``Show-NetIPsecRule``, ``Find-NetIPsecRule``.

Sample::

    IPsecRuleName         : {1c9e7b0a-…}
    DisplayName           : DirectAccess Policy-ClientToCorp
    Enabled               : True
    Profile               : Private, Public
    Mode                  : Tunnel
    InboundSecurity       : Require
    OutboundSecurity      : Require
    LocalTunnelEndpoint   : {Any}
    RemoteTunnelEndpoint  : {2002:c000:203::c000:203}
    EnforcementStatus     : NotApplicable
    PolicyStoreSourceType : GroupPolicy

JSON holds numbers: Enabled 1 yes, 2 no; Mode 1 tunnel, 2 transport; Profile bits 1 domain,
2 private, 4 public, 0 any.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.firewall import answers, words
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import ConnectionSecurityRule

_ENABLED = {"1": True, "2": False, "true": True, "false": False}
_MODES = {"1": "tunnel", "2": "transport", "tunnel": "tunnel", "transport": "transport"}
_SECURITY = {"0": "none", "1": "request", "2": "require"}
_IN_FORCE = frozenset({"", "notapplicable", "full", "enforced", "0", "1"})


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`ConnectionSecurityRule` for each rule."""
    active = answers.mentions(evidence, "activestore", "monitor")
    for record in records.read(evidence):
        name = record.word("displayname") or record.word("name")
        if name is None or not {"mode", "inboundsecurity", "remotetunnelendpoint"} & set(
            record.properties
        ):
            continue
        enforcement = _enforcement(record)
        yield ConnectionSecurityRule(
            source=record.source(evidence, "displayname"),
            name=name,
            active=active and not enforcement,
            enabled=_ENABLED.get((record.text("enabled") or "").lower()),
            profiles=_profiles(record.text("profile") or ""),
            mode=_MODES.get((record.text("mode") or "").lower()),
            local_endpoint=_end(record, "localtunnelendpoint"),
            remote_endpoint=_end(record, "remotetunnelendpoint"),
            action=_action(record),
            enforcement=enforcement,
        )


def _profiles(text: str) -> tuple[str, ...]:
    """Return the profiles; () for any, and for what is not understood."""
    if text.isdigit():
        return tuple(name for i, (name, _) in enumerate(words.PROFILES) if int(text[:3]) >> i & 1)
    return words.profiles(text)


def _end(record: records.Record, name: str) -> str | None:
    items = record.items(name)
    if items is None:
        return None
    return next((found for item in items if (found := numbers.address(item))), "")


def _action(record: records.Record) -> str | None:
    inbound, outbound = (
        _SECURITY.get(word, word)
        for name in ("inboundsecurity", "outboundsecurity")
        for word in [(record.text(name) or "").lower()]
    )
    return f"{inbound}in{outbound}out" if inbound and outbound else None


def _enforcement(record: records.Record) -> str | None:
    """Return why the store does not enforce the rule; "" where it does."""
    text = record.text("enforcementstatus")
    if text is None:
        return None
    parts = [part.strip().lower() for part in text.strip("{}").split(",")]
    return ", ".join(part for part in parts if part not in _IN_FORCE and not part.isdigit())


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "phase1authset" in head or "ipsecrulename" in head else 0


PARSER = Parser(
    name="Get-NetIPsecRule",
    parse=parse,
    command=re.compile(r"\b(?:Get|Show|Find)-NetIPsecRule\b", re.IGNORECASE),
    signature=signature,
)
