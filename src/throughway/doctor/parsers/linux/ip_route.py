r"""``ip -j -6 route``: the routes of the kernel.

Sample::

    [{"type":"unicast","dst":"2001:db8:da::/64","dev":"iphttps0","protocol":"kernel","metric":256}]
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import Lines, load, objects, text
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import KernelRoute

_LENGTHS = {True: 128, False: 32}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each route of IPv6."""
    if not evidence.text.strip():
        return
    lines = Lines(evidence)
    for route in objects(load(evidence, "the list of routes")):
        prefix = text(route, "dst")
        if not prefix:
            continue
        source = lines.of("dst", prefix)
        if prefix == "default":
            prefix = "::/0" if ":" in text(route, "gateway") else "0.0.0.0/0"
        yield KernelRoute(
            source=source,
            prefix=prefix if "/" in prefix else f"{prefix}/{_LENGTHS[':' in prefix]}",
            interface=text(route, "dev"),
            kind=text(route, "type") or "unicast",
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"dst":' in head and ('"dev":' in head or '"type":' in head) else 0


PARSER = Parser(
    name="ip -j route",
    parse=parse,
    command=re.compile(r"\bip (?:-\w+ )*-j\w* (?:-\w+ )*(?:r|route)\b"),
    signature=signature,
)
