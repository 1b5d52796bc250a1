r"""``nslookup NAME [SERVER]``.

Samples::

    Server:  dc1.corp.example.com
    Address:  2001:db8:7::3333:1

    Non-authoritative answer:
    Name:    app.corp.example.com
    Addresses:  2001:db8::80
              192.0.2.80
    Aliases:  www.corp.example.com

    *** UnKnown can't find app.corp.example.com: Non-existent domain

    DNS request timed out.
        timeout was 2 seconds.
    *** Request to UnKnown timed-out

Labels are translated. The first address is the server's, those after it are the answer; three
stars begin what went wrong, and its last words stay English.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import NameLookup

_TYPED = re.compile(
    r"\bnslookup(?:\.exe)?((?:\s+-\S+)*)(?:\s+([\w.-]+)(?:\s+([\w.:-]+))?)?\s*$", re.IGNORECASE
)
_TYPE = re.compile(r"-(?:q|querytype|ty|type)=(\w+)", re.IGNORECASE)
_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+\.?$")
_QUOTED = re.compile(r"([\w-]+(?:\.[\w-]+)+)\.?\s?:\s|\s([\w-]+(?:\.[\w-]+)+)\b")
_TIMED_OUT = re.compile(
    r"timed[- ]?out|timeout was|zeit\u00fcberschreitung|d\u00e9lai|tiempo de espera|agotado"
    "|\u8d85\u65f6|\u903e\u6642",
    re.IGNORECASE,
)


@dataclass
class _Answer:
    """What one output says, while it is read."""

    server_name: str = ""
    server: str | None = None
    name: str = ""
    aliases: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    timed_out: bool = False
    failed_at: tuple[int, str] | None = None
    named_at: tuple[int, str] | None = None


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the lookup."""
    answer = _Answer()
    for number, text in evidence.lines():
        if text and not text.isspace():
            _read(answer, number, text)
    typed = _TYPED.search(evidence.command)
    asked = (typed[2] or "") if typed else ""
    name = (asked if "." in asked else "") or (answer.aliases or [answer.name or asked])[0]
    # A name is answered even where the server's own name is not found in time.
    failed = not answer.addresses
    at = answer.failed_at if failed else answer.named_at
    if at is None or not (name or (answer.timed_out and answer.server)):
        return
    kind = _TYPE.search(evidence.command)
    yield NameLookup(
        source=evidence.at(*at),
        name=name.rstrip("."),
        server=answer.server or _server(typed),
        addresses=tuple(answer.addresses),
        failed=failed,
        timed_out=failed and answer.timed_out,
        through_nrpt=False,
        record_type=kind[1].upper() if kind else None,
        both_kinds=kind is None if asked else None,
    )


def _server(typed: re.Match[str] | None) -> str | None:
    return numbers.address(typed[3]) if typed and typed[3] else None


def _read(answer: _Answer, number: int, text: str) -> None:
    stripped = text.strip()
    if stripped.startswith("***"):
        quoted = [match[1] or match[2] for match in _QUOTED.finditer(stripped)]
        # The server may stand there as well: the one that was asked, not what it was asked for.
        name = next((name for name in quoted if name != answer.server_name), "")
        if numbers.address(name) is None:
            # Else it is the server whose name was looked for.
            answer.failed_at = (number, text)
            answer.timed_out = bool(_TIMED_OUT.search(stripped))
            answer.name = answer.name or name
    elif _TIMED_OUT.search(stripped):
        return
    elif address := numbers.address(stripped):
        if answer.name:
            answer.addresses.append(address)
    else:
        _read_value(answer, number, labelled.split(number, text))


def _read_value(answer: _Answer, number: int, line: labelled.Line) -> None:
    address = numbers.address(line.value)
    if line.label and address:
        if answer.server is None and not answer.name:
            answer.server = address
        elif answer.name:
            answer.addresses.append(address)
            answer.named_at = answer.named_at or (number, line.text)
    elif line.label and _NAME.match(line.value):
        if answer.server is None and not answer.server_name:
            answer.server_name = line.value
        elif not answer.name:
            answer.name = line.value
            answer.named_at = (number, line.text)
        elif answer.addresses:
            answer.aliases.append(line.value)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "non-authoritative answer" in head or "non-existent domain" in head:
        return CERTAIN
    if "dns request timed out" in head or ("*** " in head and "timed-out" in head):
        return CERTAIN
    served = head.lstrip().startswith(("server:", "serveur", "servidor:", "\u670d\u52a1\u5668:"))
    return LIKELY if served and "address" in head else 0


PARSER = Parser(
    name="nslookup",
    parse=parse,
    command=re.compile(r"\bnslookup\b", re.IGNORECASE),
    signature=signature,
)
