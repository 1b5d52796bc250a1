r"""``nft list ruleset``: what the packet filter drops or rejects.

Sample::

    table inet filter {
        chain input {
                type filter hook input priority filter; policy accept;
                tcp dport 443 counter packets 3 bytes 180 drop
        }
    }
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import FilterRule

_TABLE = re.compile(r"table (\w{2,8} \S{1,64}) \{")
_CHAIN = re.compile(r"chain (\S{1,64}) \{")
_HOOK = re.compile(r"type filter hook (\w{3,12}) ")
_STOPS = re.compile(r"\b(?:drop|reject)\b")
_PORTS = re.compile(r"\btcp dport (?:\{([^}]{1,400})\}|(\d{1,5})(?![\d-]))")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the rules that let nothing through."""
    table = hook = ""
    for number, raw in evidence.lines():
        line = raw.strip()
        if match := _TABLE.match(line):
            table, hook = match[1], ""
        elif _CHAIN.match(line):
            hook = ""
        elif match := _HOOK.match(line):
            hook = match[1]
        elif _STOPS.search(line) and not line.startswith("#"):
            yield FilterRule(
                source=evidence.at(number, line),
                table=table,
                hook=hook,
                text=line,
                ports=_ports(line),
            )


def _ports(line: str) -> tuple[int, ...]:
    match = _PORTS.search(line)
    if match is None:
        return ()
    return tuple(int(n) for n in re.findall(r"(?<![\d-])\d{1,5}(?![\d-])", match[1] or match[2]))


def signature(head: str) -> int:
    """Score the head of a text."""
    return (
        CERTAIN
        if re.search(r"^\s{0,8}table (?:inet|ip6?|netdev|bridge|arp) \S+ \{", head, re.M)
        else 0
    )


PARSER = Parser(
    name="nft list ruleset", parse=parse, command=re.compile(r"\bnft\b"), signature=signature
)
