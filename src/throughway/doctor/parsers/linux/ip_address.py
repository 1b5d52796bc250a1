r"""``ip -j address`` (and ``ip -j link``): devices, whether they are up, their addresses.

Sample (shortened)::

    [ {
            "ifindex": 2,
            "ifname": "net0",
            "flags": [ "BROADCAST","MULTICAST","UP","LOWER_UP" ],
            "addr_info": [ { "family": "inet", "local": "131.107.0.2", "prefixlen": 24 } ]
        } ]
"""

import re
from collections.abc import Iterator
from typing import Any

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import Lines, load, objects, text, texts
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import LinkState


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each device."""
    if not evidence.text.strip():
        return
    lines = Lines(evidence)
    for device in objects(load(evidence, "the list of devices")):
        name = text(device, "ifname")
        if not name:
            continue
        flags = texts(device, "flags")
        yield LinkState(
            source=lines.of("ifname", name),
            name=name,
            up="UP" in flags,
            carrier="LOWER_UP" in flags,
            addresses=_addresses(device) if "addr_info" in device else None,
        )


def _addresses(device: dict[str, Any]) -> tuple[str, ...]:
    return tuple(text(a, "local") for a in objects(device.get("addr_info")) if text(a, "local"))


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"ifindex":' in head and '"ifname":' in head and '"flags":' in head else 0


PARSER = Parser(
    name="ip -j address",
    parse=parse,
    command=re.compile(r"\bip (?:-\w+ )*-j\w* (?:-\w+ )*(?:a|addr|address|l|link)\b"),
    signature=signature,
)
