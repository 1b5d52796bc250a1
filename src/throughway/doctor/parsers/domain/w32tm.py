r"""``w32tm /stripchart``, ``/query /status``, ``/monitor``: how far the clock is off.

Samples::

    Tracking dc1.corp.example.com [192.0.2.10:123].
    Collecting 3 samples.
    The current time is 11/18/2025 8:31:02 AM.
    08:31:02, -00.0012345s
    08:31:04 d:+00.0312s o:+412.1234567s  [                  *  |                  ]

    Phase Offset: 0.0012345s

    dc1.corp.example.com[192.0.2.10:123]:
        NTP: +0.0012345s offset from dc2.corp.example.com

    08:31:02, error: 0x800705B4

Of a source that did not answer nothing is said: it may not be reachable from where this was asked.
Numbers of seconds stand with a sign and the unit; the words around them are translated.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.network import get_date
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.domain import TimeOffset

_SECONDS = r"([+-]?\d{1,10}(?:[.,]\d{1,12})?)s"
_SAMPLE = re.compile(rf"^\s*\d{{1,2}}:\d\d:\d\d(?:,\s*{_SECONDS}\s*$|\s.{{0,40}}?\bo:{_SECONDS})")
_PHASE = re.compile(
    rf"^\s*(?:Phase Offset|Phasenoffset|D\S+calage de phase)\s*:\s*{_SECONDS}", re.I
)
_MONITOR = re.compile(rf"^\s*NTP:\s*{_SECONDS}\s\D")
_HOST = re.compile(r"([\w-]+(?:\.[\w-]+)+)\s*\[[^\]]{1,60}\]")
_NOW = re.compile(r"[^\W\d_]\s(\d{1,2}[./-]\d{1,2}[./-]20\d\d) \d{1,2}:\d\d:\d\d")
"""The line that says what time it is here."""
_MAXIMUM_LINE = 400
"""Characters; longer ones are of nothing that is read here."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the last sample of each source."""
    reference = ""
    last: TimeOffset | None = None
    for number, text in evidence.lines():
        if len(text) > _MAXIMUM_LINE:
            continue
        match = _SAMPLE.match(text) or _PHASE.match(text) or _MONITOR.match(text)
        if match:
            said = next(group for group in match.groups() if group)
            seconds = float(said.replace(",", "."))
            last = TimeOffset(
                source=evidence.at(number, text), seconds=seconds, reference=reference
            )
        elif now := _NOW.search(text):
            yield from get_date.day_of(evidence, number, text, now[1])
        elif host := _HOST.search(text):
            if last is not None:
                yield last
            reference, last = host[1], None
    if last is not None:
        yield last


def signature(head: str) -> int:
    """Score the head of a text."""
    if "phase offset" in head and "stratum" in head:
        return CERTAIN
    samples = "s\n" in head or "o:" in head or "ntp:" in head or ": 0x800" in head
    return CERTAIN if ":123]" in head and samples else 0


PARSER = Parser(
    name="w32tm",
    parse=parse,
    command=re.compile(r"\bw32tm\b", re.IGNORECASE),
    signature=signature,
)
