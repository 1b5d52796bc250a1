r"""``Test-NetConnection HOST [-Port PORT]``.

Samples::

    ComputerName     : da.example.com
    RemoteAddress    : 192.0.2.10
    RemotePort       : 443
    TcpTestSucceeded : True

    WARNING: TCP connect to (192.0.2.10 : 443) failed
    WARNING: Name resolution of da.example.com failed

Names and values are not translated. Without a port it is a ping.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import NameLookup, PingResult, PortTest

_UNRESOLVED = re.compile(
    r"^[^\w\n]{0,40}\w{1,40}: Name resolution of (\S+) failed", re.IGNORECASE | re.MULTILINE
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the test of the port or the ping, and that a name did not resolve."""
    unresolved = set()
    for match in _UNRESOLVED.finditer(evidence.text):
        unresolved.add(match[1].lower())
        line = evidence.first_line + evidence.text.count("\n", 0, match.start(1)) * evidence.step
        yield NameLookup(
            source=evidence.at(line, match[0]), name=match[1], failed=True, through_nrpt=True
        )
    for record in records.read(evidence):
        target = record.word("computername")
        if target is None or target.lower() in unresolved:
            continue
        address = numbers.address(record.text("remoteaddress") or "")
        succeeded = record.boolean("tcptestsucceeded")
        if succeeded is not None:
            yield PortTest(
                source=record.source(evidence, "tcptestsucceeded"),
                target=target,
                address=address,
                port=record.integer("remoteport"),
                succeeded=succeeded,
            )
        elif (replied := record.boolean("pingsucceeded")) is not None:
            yield PingResult(
                source=record.source(evidence, "pingsucceeded"),
                target=target,
                address=address,
                resolved=True if address else None,
                replied=replied,
            )


def signature(head: str) -> int:
    """Score the head of a text."""
    tested = "tcptestsucceeded" in head or "pingsucceeded" in head
    return CERTAIN if tested and "computername" in head else 0


PARSER = Parser(
    name="Test-NetConnection",
    parse=parse,
    command=re.compile(r"\b(?:Test-NetConnection|tnc)\b", re.IGNORECASE),
    signature=signature,
)
