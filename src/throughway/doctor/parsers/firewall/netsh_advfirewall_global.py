r"""``netsh advfirewall show global``.

Sample::

    Global Settings:
    ----------------------------------------------------------------------
    IPsec:
    StrongCRLCheck                        0:Disabled
    SAIdleTimeMin                         5min
    DefaultExemptions                     NeighborDiscovery,DHCP
    IPsecThroughNAT                       Never
    …
    Categories:
    BootTimeRuleCategory                  Windows Firewall
    FirewallRuleCategory                  Windows Firewall
    StealthRuleCategory                   Windows Firewall
    ConSecRuleRuleCategory                Windows Firewall
    Ok.

The labels are the words that are typed to set the values, the same in every language. Copies
lose the blanks after them.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.firewall import answers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import FirewallSettings

_CRL = re.compile(r"\s*(?:StrongCRLCheck)\s*([012])(?:\s*[:\uff1a]|\s*$)", re.IGNORECASE)
_CRL_VALUE = re.compile(r"\S.*\s{2,}([012])[:\uff1a]\D")
_SHAPE = re.compile(r"(?:Check|Min|NAT|Category)|[ ][012][:\uff1a]", re.IGNORECASE)
"""What every line that is read has somewhere."""
_IDLE = re.compile(r"\s*SAIdleTimeMin\s*([0-9]{1,4})\s*min", re.IGNORECASE)
_NAT = re.compile(r"\s*IPsecThroughNAT\s*(\S.*)", re.IGNORECASE)
_OWNER = re.compile(r"\s*(ConSecRule|FirewallRule)(?:Rule)?Category\s*(\S.*)", re.IGNORECASE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield one :class:`FirewallSettings`."""
    yield from answers.service_down(evidence)
    found: FirewallSettings | None = None
    for number, line in evidence.lines():
        if not _SHAPE.search(line):
            continue
        known = _read(line, found or FirewallSettings(source=evidence.at(number, line)))
        if known is not None:
            found = known
    if found is not None:
        yield found


def _read(line: str, found: FirewallSettings) -> FirewallSettings | None:
    if match := _CRL.match(line) or _CRL_VALUE.match(line):
        source = replace(found.source, text=line.strip())
        return replace(found, strong_crl_check=int(match[1]), source=source)
    if match := _IDLE.match(line):
        return replace(found, idle_minutes=int(match[1]))
    if match := _NAT.match(line):
        return replace(found, through_nat=match[1].strip().lower())
    if match := _OWNER.match(line):
        owner = match[2].strip()
        if match[1].lower().startswith("consec"):
            return replace(found, rules_owner=owner)
        return replace(found, firewall_owner=owner)
    return None


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "strongcrlcheck" in head and "saidletimemin" in head else 0


PARSER = Parser(
    name="netsh advfirewall show global",
    parse=parse,
    command=re.compile(r"\badv\w*\s+sh\w*\s+glob", re.IGNORECASE),
    signature=signature,
)
