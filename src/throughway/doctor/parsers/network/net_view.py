r"""``net view \\SERVER``: whether the shares of a server can be listed.

Samples::

    Shared resources at \\app1

    System error 53 has occurred.

    The network path was not found.

All words are translated; the error's number stands on the first line, shares in a ruled table.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import NetworkShare

_TYPED = re.compile(r"\bnet(?:\.exe)?\s+(?:view|use)\s+(?:\w:\s+)?\"?\\\\([\w.:-]+)", re.IGNORECASE)
_SERVER = re.compile(r"\\\\([\w.:-]{1,255})")
_ERROR = re.compile(r"^[^\d\\]{0,60}?[ \t]?(\d{1,5})(?:[^\d\\]{0,60})$")
_CLOCKS_DIFFER = 1398
"""The one error that says all itself, whichever server was asked, and by which command."""
_HEADS = (
    "system error ",
    "systemfehler ",
    "erreur syst\u00e8me ",
    "error de sistema ",
    "\u7cfb\u7edf\u9519\u8bef ",
)
_FEWEST = 10
"""Dashes of the line over the shares."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield whether the shares were listed."""
    typed = _TYPED.search(evidence.command)
    server = typed[1].lower() if typed else ""
    error: int | None = None
    listed = False
    source = None
    for number, text in evidence.lines():
        if not text.strip():
            continue
        if labelled.is_rule(text) and len(text.strip()) >= _FEWEST:
            listed = True
        elif source is None:
            source = evidence.at(number, text)
            match = _ERROR.match(text.strip())
            error = int(match[1]) if match else None
        if not server and (named := _SERVER.search(text)):
            server = named[1].lower()
    if source is None or (error is None and not listed):
        return
    if not server and error != _CLOCKS_DIFFER:
        return
    yield NetworkShare(
        source=source,
        server=server,
        succeeded=listed and error is None,
        error_code=None if listed and error is None else error,
    )


def signature(head: str) -> int:
    """Score the head of a text."""
    if "shared resources at \\\\" in head[:2000]:
        return CERTAIN
    begins = head.lstrip()[:80]
    return LIKELY if any(f"{words}{_CLOCKS_DIFFER}" in begins for words in _HEADS) else 0


PARSER = Parser(
    name=r"net view \\SERVER",
    parse=parse,
    command=re.compile(r"\bnet(?:\.exe)?\s+view\b", re.IGNORECASE),
    signature=signature,
)
