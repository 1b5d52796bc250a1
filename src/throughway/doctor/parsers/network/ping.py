r"""``ping``, of Windows and of the Unix systems that may live on a Windows machine (WSL).

Samples::

    Pinging app.corp.example.com [2001:db8::80] with 32 bytes of data:
    Reply from 2001:db8::80: time=29ms

    Ping request could not find host app.corp.example.com. Please check the name and try again.

    PING app.corp.example.com (2001:db8::80) 56 data bytes
    ping: app.corp.example.com: Name or service not known
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import numbers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import PingResult

_TYPED = re.compile(r"\bping(?:\.exe)?\s+(?:-\S+\s+(?:\d+\s+)?)*([\w.:%-]+)", re.IGNORECASE)
_WINDOWS = re.compile(
    r"^[ \t]*(?:Pinging|Ping wird ausgef\u00fchrt f\u00fcr|Haciendo ping a|Envoi d.une "
    r"requ\u00eate "
    r"'ping' sur|\u6b63\u5728 Ping)\s+(\S+)(?:\s+\[([^\]]{0,60})\])?",
    re.IGNORECASE,
)
_NO_HOST = re.compile(
    r"(?:could not find host|konnte Host|nicht finden|n'a pas pu trouver l'h\u00f4te"
    r"|no pudo encontrar el host|\u627e\u4e0d\u5230\u4e3b\u673a)\s*\"?([\w-]+(?:\.[\w-]+)*)?",
    re.IGNORECASE,
)
_UNIX = re.compile(r"^PING6?\s+(\S+?)\s*\(([^)]{0,60})\)")
_UNIX_NO_HOST = re.compile(
    r"^ping6?: (?:unknown host )?(\S+?)(?::|$)(?=.*(?:not known|unknown|failure|No address))"
)
_REPLY = re.compile(
    r"^(?:Reply from|Antwort von|Respuesta desde|R\u00e9ponse de|\u6765\u81ea)\s.*"
    r"(?:=|<)\s?\d+\s?ms",
    re.IGNORECASE,
)
_UNIX_REPLY = re.compile(r"^\d+ bytes from ")
_LOST = re.compile(
    r"timed out|unreachable|\u00dcberschreitung|nicht erreichbar|agotado|inaccesible|d.passement"
    r"|\u8d85\u65f6|\u65e0\u6cd5\u8bbf\u95ee|100% (?:packet )?loss|General failure",
    re.IGNORECASE,
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each ping."""
    found: PingResult | None = None
    typed = _TYPED.search(evidence.command)
    target = typed[1] if typed else ""
    for number, text in evidence.lines():
        if not text or text.isspace():
            continue
        begun = _begin(text, target, evidence, number)
        if begun is not None:
            if found is not None:
                yield found
            found = begun
        elif found is not None:
            found = _go_on(found, text)
    if found is not None:
        yield found


def _begin(text: str, target: str, evidence: Evidence, number: int) -> PingResult | None:
    """Return a result when the line begins one."""
    line = text.strip()
    source = evidence.at(number, text)
    if match := _WINDOWS.match(line) or _UNIX.match(line):
        return PingResult(
            source=source,
            target=match[1].lower(),
            address=numbers.address(match[2] or match[1]),
            resolved=True,
            unix=line.startswith("PING"),
        )
    if match := _UNIX_NO_HOST.match(line):
        return PingResult(source=source, target=match[1].lower(), resolved=False, unix=True)
    if match := _NO_HOST.search(line):
        name = (match[1] or target).lower().rstrip(".")
        return PingResult(source=source, target=name, resolved=False) if name else None
    return None


def _go_on(found: PingResult, text: str) -> PingResult:
    line = text.strip()
    if _REPLY.match(line) or _UNIX_REPLY.match(line):
        return replace(found, replied=True)
    return replace(found, replied=False) if found.replied is None and _LOST.search(line) else found


def signature(head: str) -> int:
    """Score the head of a text."""
    if "ping" not in head:
        return 0
    words = (
        "pinging ",
        "ping request could",
        "\nping: ",
        "ping wird",
        "haciendo ping",
        "'ping' sur",
    )
    begins = any(word in f"\n{head[:2000]}" for word in words) or "\u6b63\u5728 ping" in head
    return CERTAIN if begins or ("ping " in head and " bytes from " in head) else 0


PARSER = Parser(
    name="ping HOST",
    parse=parse,
    command=re.compile(r"^(?:\S*[\\/])?ping6?(?:\.exe)?\b|^ping\b", re.IGNORECASE),
    signature=signature,
)
