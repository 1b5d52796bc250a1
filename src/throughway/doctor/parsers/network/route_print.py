"""``route print``: the tables of IPv4 and of IPv6, active and persistent.

Samples::

              0.0.0.0          0.0.0.0     192.168.1.1     192.168.1.5     25

     12     58 ::/0                     On-link
     12    306 2001:0:5ef5:79fd:14d7:3137:1234:5678/128
                                        On-link

Headings and "On-link" are translated. A persistent route of IPv4 has no interface, one of IPv6
the number 0 for it.
"""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import numbers
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.network import Route

_IPV6 = re.compile(r"^[ \t]*(\d{1,10})[ \t]+(\d{1,10})[ \t]+([0-9a-fA-F:.]{2,45}/\d{1,3})(.*)$")
_IPV4 = re.compile(r"^[ \t]*(\d{1,3}(?:\.\d{1,3}){3})[ \t]+(\d{1,3}(?:\.\d{1,3}){3})[ \t]+(\S.*)$")
_WITHOUT_INTERFACE = 2
"""Columns behind the mask of a persistent route: gateway and metric; else an interface, too."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield every route."""
    lines = list(evidence.lines())
    for place, (number, text) in enumerate(lines):
        source = evidence.at(number, text)
        if match := _IPV6.match(text):
            below = lines[place + 1][1] if place + 1 < len(lines) else ""
            yield from _ipv6(match, match[4].strip() or _gateway_below(below), source)
        elif match := _IPV4.match(text):
            yield from _ipv4(match, source)


def _gateway_below(text: str) -> str:
    """A long prefix leaves no place; what follows on the next line is its gateway."""
    return "" if _IPV6.match(text) else text.strip()


def _ipv6(match: re.Match[str], gateway: str, source: Source) -> Iterator[Route]:
    prefix = _network(match[3])
    if prefix is not None:
        yield Route(
            source=source,
            prefix=prefix,
            gateway=numbers.address(gateway.partition(" ")[0]) or "",
            interface=match[1] if match[1] != "0" else "",
            metric=int(match[2]),
            persistent=match[1] == "0",
        )


def _ipv4(match: re.Match[str], source: Source) -> Iterator[Route]:
    prefix = _network(f"{match[1]}/{match[2]}")
    columns = match[3].split()
    ends = [numbers.address(column) for column in columns]
    if prefix is None or not columns[1:]:
        return
    interface = next((end for end in ends[1:] if end), "")
    yield Route(
        source=source,
        prefix=prefix,
        gateway=ends[0] or "",
        interface=interface,
        metric=numbers.integer(columns[-1]),
        persistent=not interface and len(columns) == _WITHOUT_INTERFACE,
    )


@lru_cache(maxsize=4096)
def _network(text: str) -> str | None:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "::1/128" in head and "ff00::/8" in head and "-----" not in head:
        return CERTAIN
    return LIKELY if "255.0.0.0" in head and "224.0.0.0" in head and "====" in head else 0


PARSER = Parser(
    name="route print",
    parse=parse,
    command=re.compile(r"\broute(?:\.exe)?\s+(?:-\d\s+)?print\b|\bnetstat\s+-n?rn?\b", re.I),
    signature=signature,
)
