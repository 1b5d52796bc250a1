r"""``Get-RemoteAccessConnectionStatistics``: which clients are connected.

Sample::

    ClientIPAddress       : {2001:db8:1:1000::5}
    UserName              : {CORP\anna}
    ConnectionDuration(s) : 220
    ConnectionType        : DirectAccess
    AccessStatus          : User Mode/Full Corp Access
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.server import RemoteAccessConnection


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`RemoteAccessConnection` for each connection."""
    for record in records.read(evidence):
        addresses = [numbers.address(item) for item in record.items("clientipaddress") or ()]
        if any(addresses):
            yield RemoteAccessConnection(
                source=record.source(evidence, "clientipaddress"),
                addresses=tuple(address for address in addresses if address),
                user=_only(record.items("username")),
                computer=record.text("hostname") or "",
                type=record.text("connectiontype") or "",
                status=record.text("accessstatus") or "",
            )


def _only(items: tuple[str, ...] | None) -> str:
    return items[0] if items else ""


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "clientipaddress" in head and "connectiontype" in head else 0


PARSER = Parser(
    name="Get-RemoteAccessConnectionStatistics",
    parse=parse,
    command=re.compile(r"\bGet-RemoteAccessConnectionStat", re.IGNORECASE),
    signature=signature,
)
