r"""``Get-NetFirewallProfile`` and ``Get-NetConnectionProfile``.

Samples::

    Name                            : Public
    Enabled                         : True
    DefaultInboundAction            : NotConfigured

    Name             : Coffee House
    InterfaceAlias   : Wi-Fi
    InterfaceIndex   : 12
    NetworkCategory  : Public

JSON holds numbers: Enabled 0 no, 1 yes, 2 not configured; NetworkCategory 0 public, 1 private,
2 domain.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.firewall import answers, words
from throughway.doctor.parsers.forms import records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import FirewallProfile

_NAMES = frozenset(name for name, _ in words.PROFILES)
_CATEGORIES = {
    "0": "public",
    "1": "private",
    "2": "domain",
    "domainauthenticated": "domain",
    "public": "public",
    "private": "private",
}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`FirewallProfile` for each profile, or each network's."""
    effective = answers.mentions(evidence, "activestore")
    for record in records.read(evidence):
        if "networkcategory" in record:
            yield from _network(record, evidence)
        elif (name := (record.text("name") or "").lower()) in _NAMES and "enabled" in record:
            yield FirewallProfile(
                source=record.source(evidence, "enabled"),
                name=name,
                enabled=record.switch("enabled"),
                effective=effective,
                inbound=_action(record, "defaultinboundaction"),
                outbound=_action(record, "defaultoutboundaction"),
            )


def _network(record: records.Record, evidence: Evidence) -> Iterator[Fact]:
    category = _CATEGORIES.get((record.text("networkcategory") or "").lower())
    if category is None:
        return
    alias = record.text("interfacealias")
    name = record.text("name") or ""
    yield FirewallProfile(
        source=record.source(evidence, "networkcategory"),
        name=category,
        current=True,
        networks=(f"{name} ({alias})" if alias else name,),
    )


def _action(record: records.Record, name: str) -> str | None:
    word = (record.word(name) or "").lower()
    return word if word in {"allow", "block"} else None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "defaultinboundaction" in head and "enabled" in head:
        return CERTAIN
    return CERTAIN if "networkcategory" in head and "interfacealias" in head else 0


PARSER = Parser(
    name="Get-NetFirewallProfile",
    parse=parse,
    command=re.compile(r"\bGet-Net(?:FirewallProfile|ConnectionProfile)", re.IGNORECASE),
    signature=signature,
)
