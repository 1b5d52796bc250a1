r"""``Get-CimInstance -Namespace root\SecurityCenter2 -ClassName FirewallProduct``.

Sample::

    displayName              : Example Endpoint Firewall
    instanceGuid             : {0F1A2B3C-…}
    pathToSignedProductExe   : C:\Program Files\Example\fw.exe
    productState             : 266240
    timestamp                : Fri, 20 Nov 2026 07:00:00 GMT

The second byte of productState says whether the product is on. AntiVirusProduct prints the same
properties; only the class or the command tells them apart.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.firewall import answers
from throughway.doctor.parsers.forms import records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import ThirdPartyFirewall

_OURS = ("windows", "microsoft defender")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`ThirdPartyFirewall` for each product that is not of Windows."""
    told = answers.mentions(evidence, "firewallproduct")
    if not told and "firewallproduct" not in evidence.text.lower():
        return
    for record in records.read(evidence):
        name = record.word("displayname")
        if name is None or "productstate" not in record or name.lower().startswith(_OURS):
            continue
        state = record.integer("productstate")
        yield ThirdPartyFirewall(
            source=record.source(evidence, "displayname"),
            name=name,
            enabled=None if state is None else state >> 12 & 0xF == 1,
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "productstate" in head and "firewallproduct" in head else 0


PARSER = Parser(
    name="Get-CimInstance FirewallProduct",
    parse=parse,
    command=re.compile(r"\bFirewallProduct\b", re.IGNORECASE),
    signature=signature,
)
