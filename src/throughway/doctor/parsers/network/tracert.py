"""``tracert TARGET``.

Sample::

    Tracing route to da.example.com [2001:db8::1]
    over a maximum of 30 hops:

      1     1 ms    <1 ms    <1 ms  2001:db8:5::1
      2     *        *        *     Request timed out.
      3  2001:db8:5::1  reports: Destination host unreachable.

    Trace complete.

Words are translated; a hop begins with its number, and its last column holds an address.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import numbers
from throughway.model.evidence import MAXIMUM_LINE, Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import TraceResult

_HOP = re.compile(
    r"^[ \t]*(\d{1,3})[ \t]+(?:(?:<?[ ]?\d{1,6}[ ]?m?s|\*)[ \t]+){3}(\S.*?)?[ \t]*$", re.IGNORECASE
)
_REPORT = re.compile(r"^[ \t]*(\d{1,3})[ \t]+([0-9a-fA-F:.%]{2,60})[ \t]+\S")
_BRACKETED = re.compile(r"([\w.-]{1,255})[ \t]+\[([0-9a-fA-F:.%]{2,60})\]")
_ADDRESS = re.compile(r"(?<![\w.:])([0-9a-fA-F.]*[:.][0-9a-fA-F:.]{2,44})(?![\w:])")
_TYPED = re.compile(r"\btracert(?:\.exe)?\s+(?:-[dR46]\s+|-\w\s+\d+\s+)*([\w.:%-]+)", re.IGNORECASE)
_LAST_HOP = 30


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the trace."""
    head, hops, silent = "", [], 0
    source = None
    complete = reported = False
    for number, text in evidence.lines():
        if match := _HOP.match(text):
            address = _address_of(match[2] or "")
            hops += [address] if address else []
            silent = 0 if address else silent + 1
            complete = int(match[1]) >= _LAST_HOP
        elif hops and (match := _REPORT.match(text)):
            reported = True
        elif source is None and text.strip():
            head, source = text, evidence.at(number, text)
        elif not hops and not silent and len(head) < MAXIMUM_LINE:
            head += " " + text
    if source is None:
        return
    target, address = _target(head, evidence.command)
    if target is None:
        return
    if not hops and not silent:
        yield from _unresolved(target, address, evidence, source.line or evidence.first_line)
        return
    reached = bool(hops) and hops[-1] == address and not silent
    given_up = reported or complete
    yield TraceResult(
        source=source,
        target=target,
        address=address,
        hops=tuple(hops),
        reached=True if reached else False if given_up else None,
    )


def _unresolved(
    target: str, address: str | None, evidence: Evidence, line: int
) -> Iterator[TraceResult]:
    """A head without any hop was cut off, or says that the name is not known: not told apart."""
    yield TraceResult(source=evidence.at(line), target=target, address=address)


def _target(head: str, command: str) -> tuple[str | None, str | None]:
    if match := _BRACKETED.search(head):
        return match[1].lower(), numbers.address(match[2])
    typed = _TYPED.search(command)
    found = _ADDRESS.search(head)
    address = numbers.address(found[1]) if found else None
    if typed:
        return typed[1].lower(), address or numbers.address(typed[1])
    return address, address


def _address_of(text: str) -> str | None:
    """Return the address at the end of a hop, in brackets behind a name or alone."""
    if match := _BRACKETED.search(text):
        return numbers.address(match[2])
    return numbers.address(text.partition(" ")[0])


def signature(head: str) -> int:
    """Score the head of a text."""
    if "tracing route to" in head[:2000]:
        return CERTAIN
    hops = " ms " in head and "  1  " in head and "  2  " in head
    return LIKELY if hops and "ping" not in head[:200] else 0


PARSER = Parser(
    name="tracert TARGET",
    parse=parse,
    command=re.compile(r"\btracert(?:\.exe)?\b", re.IGNORECASE),
    signature=signature,
)
