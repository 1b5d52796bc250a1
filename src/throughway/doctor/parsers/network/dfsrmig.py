"""``dfsrmig /getglobalstate`` and ``/getmigrationstate``: by what SYSVOL is replicated.

Samples::

    Current DFSR global state: 'Eliminated'
    Succeeded.

    DFSR migration has not yet initialized. To start migration please
    set global state to desired value.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import DomainReplication

_QUOTED = re.compile(
    "['\u2018\u2019\"\u00ab\u201e\u201c](\\w{1,30})['\u2018\u2019\"\u00bb\u201c\u201d]"
)
_DFSR = ("eliminat", "elimin", "\u00e9limin", "redirect", "redirig", "umgeleitet", "beseitigt")
_DFSR_WORDS = (
    *_DFSR,
    "entfernt",
    "\u5df2\u5220\u9664",
    "\u5df2\u91cd\u5b9a\u5411",
    "\u5df2\u6d88\u9664",
)
_FRS_WORDS = (
    *("start", "prepared", "vorbereitet", "pr\u00e9par", "preparado", "d\u00e9mar", "inici"),
    *("\u5f00\u59cb", "\u51c6\u5907", "\u5df2\u51c6\u5907"),
)
_NOT_BEGUN = "has not yet initialized"


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the state that is quoted."""
    for number, text in evidence.lines():
        state = _state(text)
        if state is not None:
            yield DomainReplication(source=evidence.at(number, text), dfsr=state)
            return


def _state(text: str) -> bool | None:
    if _NOT_BEGUN in text.lower():
        return False
    match = _QUOTED.search(text)
    word = match[1].lower() if match else ""
    if word.startswith(_DFSR_WORDS):
        return True
    return False if word.startswith(_FRS_WORDS) else None


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "dfsr" in head and ("global state" in head or "migration" in head) else 0


PARSER = Parser(
    name="dfsrmig /getglobalstate",
    parse=parse,
    command=re.compile(r"\bdfsrmig(?:\.exe)?\b", re.IGNORECASE),
    signature=signature,
)
