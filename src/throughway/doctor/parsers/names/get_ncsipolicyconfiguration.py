r"""``Get-NCSIPolicyConfiguration``: how the client finds out where it is.

Sample::

    Description                    : NCSI Configuration
    CorporateDNSProbeHostAddress   : fd2d:3a70:2c4c:7777::7f00:1
    CorporateDNSProbeHostName      : directaccess-corpConnectivityHost.corp.example.com
    CorporateSitePrefixList        : 2001:db8::/32,fd2d:3a70:2c4c:1::/64
    CorporateWebsiteProbeURL       : http://directaccess-WebProbeHost.corp.example.com/
    DomainLocationDeterminationURL : https://nls.corp.example.com/
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NCSIPolicy

_NAMES = (
    "domainlocationdeterminationurl",
    "corporatednsprobehostname",
    "corporatewebsiteprobeurl",
    "corporatesiteprefixlist",
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the configuration."""
    for record in records.read(evidence):
        if not any(name in record for name in _NAMES):
            continue
        address = record.word("corporatednsprobehostaddress")
        yield NCSIPolicy(
            source=record.source(evidence, _NAMES[0]),
            location_url=record.word(_NAMES[0]),
            probe_host=record.word(_NAMES[1]),
            probe_address=numbers.address(address) or address if address else None,
            probe_url=record.word(_NAMES[2]),
            prefixes=record.items(_NAMES[3]) or (),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "domainlocationdeterminationurl" in head else 0


PARSER = Parser(
    name="Get-NCSIPolicyConfiguration",
    parse=parse,
    command=re.compile(r"\bGet-NCSIPolicyConfig", re.IGNORECASE),
    signature=signature,
)
