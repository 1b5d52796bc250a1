r"""``ss -tulnp``: who listens on which ports.

Sample::

    Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
    tcp   LISTEN 0      4096     131.107.0.2:443       0.0.0.0:*    users:(("python3",pid=9,fd=7))
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import ListeningSocket

_LINE = re.compile(
    r"(?P<protocol>tcp|udp)\s+(?:LISTEN|UNCONN)\s+\d+\s+\d+\s+"
    r"(?P<address>\S+):(?P<port>\d{1,5})\s+\S+(?:\s+users:\(\(\"(?P<process>[^\"]{1,60}))?"
)
_BEGINNING = re.compile(r"^netid\s+state\s+recv-q\s+send-q\s", re.MULTILINE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each listening socket."""
    for number, line in evidence.lines():
        if not line.startswith(("tcp", "udp")):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ParseError("a socket without address and port", number)
        yield ListeningSocket(
            source=evidence.at(number, line),
            protocol=match["protocol"],
            address=_address(match["address"]),
            port=int(match["port"]),
            process=match["process"] or "",
        )


def _address(text: str) -> str:
    bare = text.strip("[]").partition("%")[0].strip("[]")
    return "*" if bare in {"*", "0.0.0.0", "::"} else bare


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if _BEGINNING.search(head) else 0


PARSER = Parser(
    name="ss -tulnp", parse=parse, command=re.compile(r"^ss -\w*l"), signature=signature
)
