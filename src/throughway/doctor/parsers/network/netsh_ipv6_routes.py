"""``netsh interface ipv6 show route``.

Sample::

    Publish  Type      Met  Prefix                    Idx  Gateway/Interface Name
    -------  --------  ---  ------------------------  ---  ------------------------
    Yes      Manual    256  2001:db8:1:1000::/64       17  IPHTTPSInterface
    No       Manual    256  ::/0                       12  fe80::1
    No       System    256  ff00::/8                   14  Local Area Connection

The words of the first two columns are translated; ``Age`` is a published route that grows old.
"""

import ipaddress
import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import Route

_ROW = re.compile(
    r"^[ \t]*(\S{1,20})[ \t]+(?:\S{1,20}[ \t]+){1,2}(\d{1,10})[ \t]+([0-9a-fA-F:.]{2,45}/\d{1,3})"
    r"[ \t]+(\d{1,10})[ \t]+(\S.*?)[ \t]*$"
)
_AGES = "age"


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield every route."""
    for number, text in evidence.lines():
        match = _ROW.match(text)
        if match is None:
            continue
        try:
            prefix = str(ipaddress.IPv6Network(match[3], strict=False))
        except ValueError:
            continue
        gateway = numbers.address(match[5])
        word = match[1].lower()
        yield Route(
            source=evidence.at(number, text),
            prefix=prefix,
            gateway=gateway or "",
            interface=match[4] if gateway else match[5],
            metric=int(match[2]),
            published=True if word == _AGES else numbers.boolean(word),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    if "publish" in head and "prefix" in head and "idx" in head:
        return CERTAIN
    return CERTAIN if "::1/128" in head and "------  --------  ---  --" in head else 0


PARSER = Parser(
    name="netsh interface ipv6 show route",
    parse=parse,
    command=re.compile(r"\bnetsh\s+int\w*\s+ipv6\s+sh\w*\s+rout\w*", re.IGNORECASE),
    signature=signature,
)
