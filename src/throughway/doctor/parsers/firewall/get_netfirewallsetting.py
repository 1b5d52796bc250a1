r"""``Get-NetFirewallSetting``, of which IPsec needs how revocation is checked.

Sample::

    Name                                    : {70DAD0A4-…}
    Exemptions                              : NeighborDiscovery, Dhcp
    EnableStatefulFtp                       : True
    CertValidationLevel                     : AttemptCrlCheck
    AllowIPsecThroughNAT                    : None
    MaxSAIdleTimeSeconds                    : 300
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.firewall import FirewallSettings

_LEVELS = {"none": 0, "attemptcrlcheck": 1, "requirecrlcheck": 2, "0": 0, "1": 1, "2": 2}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`FirewallSettings` for each store that says how it checks."""
    for record in records.read(evidence):
        if "certvalidationlevel" not in record:
            continue
        idle = record.integer("maxsaidletimeseconds")
        yield FirewallSettings(
            source=record.source(evidence, "certvalidationlevel"),
            strong_crl_check=_LEVELS.get((record.text("certvalidationlevel") or "").lower()),
            idle_minutes=None if idle is None else idle // 60,
            through_nat=record.word("allowipsecthroughnat"),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "certvalidationlevel" in head and "exemptions" in head else 0


PARSER = Parser(
    name="Get-NetFirewallSetting",
    parse=parse,
    command=re.compile(r"\bGet-NetFirewallSetting", re.IGNORECASE),
    signature=signature,
)
