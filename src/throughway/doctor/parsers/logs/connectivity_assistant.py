"""The head of a log of the Network Connectivity Assistant, or of the DCA of Windows 7.

Sample::

    RED: Corporate connectivity is not working.
    3/5/2024 8:00:00 (UTC)

    Probes List
    FAIL HTTP: http://directaccess-webprobehost.corp.example.com
    PASS PING: app.corp.example.com

    DTE List
    PASS PING: 2002:836b:2::836b:2
    FAIL PING: 2002:836b:3::836b:3

What follows are outputs of commands behind their prompts, which have parsers of their own.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.names import NCALog

_STATUS = re.compile(r"^[ \t]*(RED|YELLOW|GREEN)\b[ \t]*[:\uff1a-]")
_RESULT = re.compile(r"^[ \t]*(PASS|FAIL)(?:ED)?\b[ \t:-]*(.{0,500}?)[ \t]*$")
_TARGET = re.compile(
    r"(https?://\S+|\\\\\S+|(?:PING|HTTP|FILE|UDP)[ \t]*:[ \t]*\S+)", re.IGNORECASE
)
_SECTION = re.compile(r"^[ \t]*(Probes|DTE)[ \t]+List\b", re.IGNORECASE)
_KIND = re.compile(r"^(?:PING|HTTP|FILE|UDP)[ \t]*:[ \t]*", re.IGNORECASE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the assistant found."""
    status = None
    source = None
    section = ""
    results: dict[tuple[bool, bool], list[str]] = {}
    for number, text in evidence.lines():
        if match := _STATUS.match(text):
            status = status or match[1]
        elif match := _SECTION.match(text):
            section = match[1].lower()
            continue
        elif match := _RESULT.match(text):
            target = _target(match[2])
            endpoint = numbers.address(target) is not None and section != "probes"
            results.setdefault((endpoint, match[1] == "PASS"), []).append(target)
        else:
            continue
        if source is None or (match[1] in {"FAIL", "RED"} and not source.text.startswith("FAIL")):
            source = evidence.at(number, text)
    if not evidence.text.strip():
        return
    if source is None:
        raise ParseError("neither a state nor a probe is in it", evidence.first_line)
    yield NCALog(
        source=source,
        status=status,
        failed_probes=tuple(results.get((False, False), ())),
        passed_probes=tuple(results.get((False, True), ())),
        failed_endpoints=tuple(results.get((True, False), ())),
        passed_endpoints=tuple(results.get((True, True), ())),
    )


def _target(text: str) -> str:
    """Return what was probed; the words around it tell why it failed."""
    match = _TARGET.search(text)
    return _KIND.sub("", match[1]) if match else text


def signature(head: str) -> int:
    """Score the head of a text."""
    tried = "pass" in head or "fail" in head
    if tried and ("pass ping" in head or "fail ping" in head or "pass http" in head):
        return CERTAIN
    if "probes list" not in head and "dte list" not in head:
        return 0
    said = any(word in head[:2000] for word in ("red: ", "green: ", "yellow: "))
    return CERTAIN if said or tried else 0


PARSER = Parser(
    name="log of the Network Connectivity Assistant",
    parse=parse,
    signature=signature,
)
