r"""``netsh interface isatap show state|router``.

Samples::

    ISATAP State                      : enabled

    Router Name                       : isatap.corp.example.com
    Use Relay                         : default
    Resolution Interval               : default
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import settings
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import ISATAPState

_LABELS = (
    ("interval", re.compile(r"interval", re.I)),
    ("use", re.compile(r"relay|relais|\u4e2d\u7ee7", re.I)),
    ("router", re.compile(r"router|routeur|enrutador|\u8def\u7531\u5668", re.I)),
    ("state", re.compile(r"isatap", re.I)),
)
_PLACES = {"state": ("state",), "router": ("router", "use", "interval")}
_UNNAMED = frozenset({"default", "enabled", "disabled", "automatic"})


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the output says."""
    found = settings.read(evidence, _LABELS, _PLACES)
    known = [name for name in ("state", "router") if name in found]
    if not known:
        return
    router = found["router"].value if "router" in found else None
    yield ISATAPState(
        source=found[known[0]].source,
        state=found["state"].value if "state" in found else None,
        router=None if router in _UNNAMED else router,
        by_policy=any(setting.by_policy for setting in found.values()),
    )


def signature(head: str) -> int:
    """Score the head of a text."""
    stated = "isatap state" in head or "isatap service state" in head
    routed = "router name" in head and "resolution interval" in head
    return CERTAIN if stated or routed else 0


PARSER = Parser(
    name="netsh interface isatap show state",
    parse=parse,
    command=re.compile(r"\bint\w*\s+(?:ipv6\s+)?isatap\s+sh", re.IGNORECASE),
    signature=signature,
)
