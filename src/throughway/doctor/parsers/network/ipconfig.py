r"""``ipconfig [/all]``.

Sample (shortened)::

    Windows IP Configuration

       Host Name . . . . . . . . . . . . : CLIENT1
       Primary Dns Suffix  . . . . . . . : corp.example.com

    Tunnel adapter iphttpsinterface:

       Connection-specific DNS Suffix  . :
       Description . . . . . . . . . . . : Microsoft IP-HTTPS Platform Adapter
       IPv6 Address. . . . . . . . . . . : 2001:db8:c0:2:1c3f:3d2a:7c94:fffa(Preferred)
       Link-local IPv6 Address . . . . . : fe80::1c3f:3d2a:7c94:fffa%18(Preferred)
       Default Gateway . . . . . . . . . :

Labels are translated; dotted leaders tell a label from a heading, which ends with a colon and has
no value. What an address is for follows from the address and its place: own addresses come before
the gateway, the servers after it. A value that goes on stands below itself without a label.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import numbers
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.network import Adapter, ComputerName

_LABEL = re.compile(r"^[ \t]*([^\W\d][^:\uff1a]{0,60}?)[ .\t]*[:\uff1a](?:[ \t]+(.*)|[ \t]*)$")
_ADDRESS = re.compile(r"^[0-9a-fx]*[:.][0-9a-fx:.*]*", re.IGNORECASE)
_KINDS = re.compile(
    r"^(?:(?P<tunnel>tunnel[- ]?adapter|\u96a7\u9053\u9002\u914d\u5668|\u901a\u9053\u5361"
    r"|adaptador de t\u00fanel|carte tunnel|scheda tunnel)"
    r"|(?:[\w-]+ ){0,4}?(?:lan[- ])?adapter|\S*\u9002\u914d\u5668|(?:carte|adaptador)(?: \w+){0,3})"
    r"\s+(?P<name>.+)$",
    re.IGNORECASE,
)
_TUNNELS = ("isatap", "teredo", "6to4", "iphttps", "ip-https")
_DISCONNECTED = re.compile(
    r"disconnected|getrennt|d\u00e9connect|desconectad|\u5df2\u65ad\u5f00|\u4e2d\u65b7|scollegat",
    re.IGNORECASE,
)
_GATEWAY = re.compile(
    r"gateway|passerelle|puerta de enlace|\u7f51\u5173|\u9598\u9053|predeterminad", re.IGNORECASE
)
_DNS = re.compile(r"dns|wins|dhcp", re.IGNORECASE)
_OWN = re.compile(r"ipv[46]|auto|\u5730\u5740", re.IGNORECASE)


@dataclass
class _Block:
    """One adapter while its lines are read."""

    heading: str
    source: Source
    values: dict[str, list[str]] = field(default_factory=dict)
    connected: bool | None = None
    description: str = ""
    suffix: str | None = None
    first: bool = True

    def add(self, kind: str, text: str) -> None:
        address = numbers.address(text)
        if address is not None and kind:
            self.values.setdefault(kind, []).append(address)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the computer's name, then every adapter."""
    block: _Block | None = None
    kind = ""
    head: list[tuple[int, str, str]] = []
    for number, text in evidence.lines():
        if not text or text.isspace():
            continue
        if _is_heading(text):
            if block is not None:
                yield _adapter(block)
            block, kind = _Block(text.strip().rstrip(" :\uff1a"), evidence.at(number, text)), ""
            continue
        match = None if _ADDRESS.match(text.strip()) else _LABEL.match(text)
        if match is None:
            if block is not None:
                block.add(kind, text)
        elif block is None and numbers.address(match[2] or "") is None:
            head.append((number, text, (match[2] or "").strip()))
        else:
            # A copy may begin in the middle of an adapter.
            block = block or _Block("", evidence.at(number, text))
            kind = _read_value(block, match[1], (match[2] or "").strip())
    yield from _computer(head, evidence)
    if block is not None and (block.heading or block.values):
        yield _adapter(block)


def _is_heading(text: str) -> bool:
    stripped = text.rstrip()
    return (
        stripped.endswith((":", "\uff1a"))
        and ". ." not in stripped
        and " " in stripped.strip()
        and not text.startswith(("   ", "\t"))
        # The first line of each adapter has no value where there is no suffix.
        and "dns" not in stripped.lower()
        and not stripped[:-1].rstrip().endswith(".")
    )


def _read_value(block: _Block, label: str, value: str) -> str:
    """Take a labelled value in; return what a value that goes on below would be."""
    first, block.first = block.first, False
    if _DISCONNECTED.search(value) and first:
        block.connected = False
        return ""
    address = numbers.address(value)
    kind = _kind(label, address, block)
    if address is not None:
        block.add(kind, value)
    elif not block.description and "dns" not in label.lower() and value and not block.values:
        block.description = value
    elif "dns" in label.lower() and block.suffix is None and not block.values:
        block.suffix = value
    if first and "dns" in label.lower():
        block.suffix = value
    return kind


def _kind(label: str, address: str | None, block: _Block) -> str:
    """Say what an address is for, by the words that all languages share and by its form."""
    if _GATEWAY.search(label):
        return "gateway"
    if _DNS.search(label) and (address is not None or "dns" in label.lower()):
        return "dns" if "dns" in label.lower() else "other"
    if address is None or not (_OWN.search(label) or "gateway" not in block.values):
        return ""
    if address.startswith("255.") or address == "0.0.0.0":
        return "other"
    if address.lower().startswith("fe80:"):
        return "link_local"
    return "ipv6" if ":" in address else "ipv4"


def _adapter(block: _Block) -> Adapter:
    match = _KINDS.match(block.heading)
    name = match["name"] if match else block.heading
    lower = (block.heading + block.description).lower()
    tunnel = bool(match and match["tunnel"]) or any(word in lower for word in _TUNNELS)
    connected = block.connected
    if connected is None and (block.values.get("ipv4") or block.values.get("ipv6")):
        connected = True
    return Adapter(
        source=block.source,
        name=name,
        heading=block.heading,
        tunnel=tunnel,
        description=block.description,
        connected=connected,
        ipv4=tuple(block.values.get("ipv4", ())),
        ipv6=tuple(block.values.get("ipv6", ())),
        link_local=tuple(block.values.get("link_local", ())),
        gateways=tuple(block.values.get("gateway", ())),
        dns_servers=tuple(block.values.get("dns", ())),
        suffix=block.suffix,
    )


def _computer(head: list[tuple[int, str, str]], evidence: Evidence) -> Iterator[Fact]:
    """Read the lines before the first adapter: the name comes first, the domain second."""
    if head and head[0][2] and " " not in head[0][2]:
        number, text, name = head[0]
        domain = head[1][2] if len(head) > 1 and " " not in head[1][2] else ""
        yield ComputerName(source=evidence.at(number, text), name=name, domain=domain)


def signature(head: str) -> int:
    """Score the head of a text."""
    dotted = ". . . . :" in head or ". . :" in head
    if "windows ip" in head[:400] and dotted:
        return CERTAIN
    if dotted and ("fe80::" in head or "255.255." in head or "isatap" in head or "dhcp" in head):
        return CERTAIN
    return LIKELY if dotted and ("adapter" in head or "dns" in head) else 0


PARSER = Parser(
    name="ipconfig /all",
    parse=parse,
    command=re.compile(r"^(?:\S*\\)?ipconfig\b|\bipconfig(?: all)?$", re.IGNORECASE),
    signature=signature,
)
