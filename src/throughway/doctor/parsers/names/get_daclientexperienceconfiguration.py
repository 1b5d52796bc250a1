r"""``Get-DAClientExperienceConfiguration``: what the client was given to show and to probe.

Sample::

    Description              : DA Client Settings
    CorporateResources       : {HTTP:http://directaccess-WebProbeHost.corp.example.com}
    IPsecTunnelEndpoints     : {PING:fd2d:3a70:2c4c:1000::1, PING:fd2d:3a70:2c4c:1000::2}
    CustomCommands           :
    PreferLocalNamesAllowed  : False
    UserInterface            : True
    PassiveMode              : False
    SupportEmail             : support@example.com
    FriendlyName             : Workplace Connection
    ManualEntryPointSelectionAllowed : True

Where the policy has not arrived, all of it is empty.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import DAClientExperience

_NAMES = ("ipsectunnelendpoints", "corporateresources", "preferlocalnamesallowed", "friendlyname")
_ENOUGH = 2
"""Of those names, before an object is taken for one of this kind."""
_PROBE = re.compile(r"^ping:", re.IGNORECASE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the configuration."""
    for record in records.read(evidence):
        if sum(name in record for name in _NAMES) < _ENOUGH:
            continue
        lists = [record.items(name) for name in _NAMES[:2] if name in record]
        yield DAClientExperience(
            source=record.source(evidence, _NAMES[0]),
            # Where lists are not written out, an empty name is no sign that nothing is set.
            friendly_name=record.word("friendlyname")
            if None in lists
            else record.text("friendlyname"),
            tunnel_endpoints=tuple(_endpoint(i) for i in record.items(_NAMES[0]) or ()),
            corporate_resources=record.items(_NAMES[1]) or (),
            passive_mode=record.boolean("passivemode"),
            user_interface=record.boolean("userinterface"),
            prefer_local_names=record.boolean(_NAMES[2]),
        )


def _endpoint(item: str) -> str:
    """Return the address that the assistant pings."""
    target = _PROBE.sub("", item)
    return numbers.address(target) or target


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "ipsectunnelendpoints" in head and "corporateresources" in head else 0


PARSER = Parser(
    name="Get-DAClientExperienceConfiguration",
    parse=parse,
    command=re.compile(r"\bGet-DAClientExperienceConfig", re.IGNORECASE),
    signature=signature,
)
