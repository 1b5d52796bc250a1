r"""``Get-DnsClientNrptRule``, ``Add-DAClientDNSConfiguration -PassThru``: rules as they are stored.

Sample (shortened)::

    Name                             : DA-{64329e4f-0000-4d27-9553-6ed6880fa2a5}
    Version                          : 1
    Namespace                        : {.corp.example.com}
    DirectAccessDnsServers           : {2001:db8:1::2}
    DirectAccessEnabled              : True
    DirectAccessProxyType            : Direct
    NameServers                      :

Rules of DirectAccess have Version 1 and a name with DA- before the GUID; local ones Version 2.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NRPTRule, PolicyView


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each rule."""
    for record in records.read(evidence):
        if "namespace" not in record:
            continue
        version = record.integer("version")
        yield NRPTRule(
            source=record.source(evidence, "namespace"),
            view=PolicyView.RULE,
            namespaces=record.items("namespace"),
            directaccess=record.boolean("directaccessenabled"),
            dns_servers=_addresses(record, "directaccessdnsservers"),
            name_servers=_addresses(record, "nameservers"),
            proxy=record.word("directaccessproxytype"),
            dnssec_required=record.boolean("dnssecvalidationrequired"),
            ipsec_required=record.boolean("directaccessqueryipsecrequired"),
            rule_name=record.text("name") or "",
            version=version,
            by_policy=None if version is None else version == 1,
        )


def _addresses(record: records.Record, name: str) -> tuple[str, ...] | None:
    items = record.items(name)
    return None if items is None else tuple(numbers.address(item) or item for item in items)


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "ipseccarestriction" in head and "dnssecenabled" in head else 0


PARSER = Parser(
    name="Get-DnsClientNrptRule",
    parse=parse,
    command=re.compile(
        r"\b(?:Get-DnsClientNrptRule|(?:Add|Set)-(?:DnsClientNrptRule|DAClientDNSConfig\w*))", re.I
    ),
    signature=signature,
)
