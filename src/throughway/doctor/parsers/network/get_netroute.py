"""``Get-NetRoute``.

Sample::

    ifIndex DestinationPrefix              NextHop                  RouteMetric ifMetric PolicyStore
    ------- -----------------              -------                  ----------- -------- -----------
    17      2001:db8:1:1000::/64           ::                               256 5        ActiveStore
"""

import ipaddress
import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import Route

_ON_LINK = frozenset({"::", "0.0.0.0"})
_PUBLISHED = {"yes": True, "no": False, "age": True, "0": False, "2": True, "3": True}
"""Also as the numbers that JSON has."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield every route."""
    for record in records.read(evidence):
        printed = record.word("destinationprefix")
        if printed is None:
            continue
        try:
            prefix = str(ipaddress.ip_network(printed, strict=False))
        except ValueError:
            continue
        hop = numbers.address(record.word("nexthop") or "")
        store = (record.word("policystore") or record.word("store") or "").lower()
        yield Route(
            source=record.source(evidence, "destinationprefix"),
            prefix=prefix,
            gateway=hop if hop and hop not in _ON_LINK else "",
            interface=record.word("interfacealias") or record.word("ifindex") or "",
            metric=record.integer("routemetric"),
            published=_PUBLISHED.get((record.word("publish") or "").lower()),
            persistent=True if "persistent" in store else None,
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "destinationprefix" in head and "nexthop" in head else 0


PARSER = Parser(
    name="Get-NetRoute",
    parse=parse,
    command=re.compile(r"\bGet-NetRoute\b", re.IGNORECASE),
    signature=signature,
)
