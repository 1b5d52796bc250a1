r"""``sysctl``: settings of the kernel, one a line.

Sample::

    net.ipv6.conf.all.disable_ipv6 = 0
    net.ipv6.conf.all.forwarding = 1
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import KernelSetting

_LINE = re.compile(r"(net\.[\w./@:-]{1,200}) = (\S{1,100})$")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each setting of the network."""
    for number, line in evidence.lines():
        if match := _LINE.match(line.strip()):
            yield KernelSetting(source=evidence.at(number, line), name=match[1], value=match[2])


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if re.search(r"^net\.ipv[46]\.[\w./-]+ = \S", head, re.MULTILINE) else 0


PARSER = Parser(name="sysctl", parse=parse, command=re.compile(r"^sysctl\b"), signature=signature)
