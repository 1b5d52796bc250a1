r"""``netsh interface 6to4 show state|relay|routing``.

Samples::

    6to4 Service State                : enabled
    Undo on Service Stop              : default

    Relay Name                        : 6to4.ipv6.microsoft.com.
    Use Relay                         : default
    Resolution Interval               : default
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import settings
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import SixToFourState

_LABELS = (
    (
        "undo_on_stop",
        re.compile(r"undo|r\u00fcckg\u00e4ngig|annul|deshacer|\u64a4[\u6d88\u9500]", re.I),
    ),
    ("interval", re.compile(r"interval", re.I)),
    (
        "relay",
        re.compile(r"(?:relay|relais).{0,10}name|name.{0,10}rel|\u4e2d\u7ee7\S*\u540d", re.I),
    ),
    ("relay_state", re.compile(r"relay|relais|retransmi|\u4e2d\u7ee7", re.I)),
    ("routing", re.compile(r"rout|enrut|\u8def\u7531", re.I)),
    ("state", re.compile(r"6to4|6zu4", re.I)),
)
_PLACES = {
    "state": ("state", "undo_on_stop"),
    "relay": ("relay", "relay_state", "interval"),
    "routing": ("routing",),
}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the output says."""
    found = settings.read(evidence, _LABELS, _PLACES)
    said = {name: setting.value for name, setting in found.items()}
    known = [name for name in ("state", "relay", "relay_state", "routing") if name in found]
    if known:
        yield SixToFourState(
            source=found[known[0]].source,
            state=said.get("state"),
            undo_on_stop=said.get("undo_on_stop"),
            relay=said.get("relay"),
            relay_state=said.get("relay_state"),
            routing=said.get("routing"),
            by_policy=any(setting.by_policy for setting in found.values()),
        )


def signature(head: str) -> int:
    """Score the head of a text."""
    stated = "6to4 service state" in head or "6to4 state" in head
    relayed = "relay name" in head and "resolution interval" in head and "router" not in head
    return CERTAIN if stated or relayed else 0


PARSER = Parser(
    name="netsh interface 6to4 show state",
    parse=parse,
    command=re.compile(r"\bint\w*\s+(?:ipv6\s+)?6to4\s+sh", re.IGNORECASE),
    signature=signature,
)
