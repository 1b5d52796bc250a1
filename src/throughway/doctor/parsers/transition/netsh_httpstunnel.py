r"""``netsh interface httpstunnel show interfaces``, on a client or a server.

Sample::

    Interface IPHTTPSInterface (Group Policy)  Parameters
    ------------------------------------------------------------
    Role                       : client
    URL                        : https://da.example.com:443/IPHTTPS
    Last Error Code            : 0x80090326
    Interface Status           : failed to connect to the IPHTTPS server. Waiting to reconnect

Articles print it condensed, with an ``Error:`` line of their own and what the code translates to.
Role, URL and code are known by their form; the status by its words, and it is read in English
only: in another language the code has to say it.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.base import Fact
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus

_ROLES = {role.value: role for role in Role}
_HEADING = re.compile(r"^\W*(?:\w+ )?(\S*iphttps\S*)\b", re.IGNORECASE)
_ERROR = re.compile(r"0[x\u00d7][0-9a-f]{1,8}\b[\W_]*$", re.IGNORECASE)
_LONG_URL = (
    *("more data is available", "mehr daten", "weitere daten", "plus de donn\u00e9es"),
    *("m\u00e1s datos", "\u66f4\u591a\u6570\u636e", "\u66f4\u591a\u7684\u8cc7\u6599"),
)
"""The system's text for ERROR_MORE_DATA, in the languages that are known."""
_URL = re.compile(r"(https?://[^\s`<>*\"\u201c\u201d\u00bb]+)", re.IGNORECASE)
_WORDS = (
    ("no usable certificate", IPHTTPSStatus.NO_USABLE_CERTIFICATE),
    ("invalid", IPHTTPSStatus.INVALID_URL),
    ("creation failure", IPHTTPSStatus.CREATION_FAILED),
    ("not installed", IPHTTPSStatus.NOT_INSTALLED),
    ("interface deact", IPHTTPSStatus.DEACTIVATED),
    ("failed to conn", IPHTTPSStatus.CONNECTING),
    ("reconnect", IPHTTPSStatus.CONNECTING),
    ("interface act", IPHTTPSStatus.ACTIVE),
)
"""The beginnings of texts; tables cut them off."""
_STEMS = (
    (
        re.compile("deaktiv|d\u00e9sactiv|desactiv|disattiv|\u505c\u7528|\u7981\u7528"),
        "DEACTIVATED",
    ),
    (re.compile("verbind|connexion|conectar|\u8fde\u63a5|\u9023\u7dda"), "CONNECTING"),
    (
        re.compile(r"\baktiv\b|\bactive\b|\bactiva\b|\battiva\b|\u6d3b\u52a8|\u4f7f\u7528\u4e2d"),
        "ACTIVE",
    ),
)
"""Beginnings of words elsewhere; what says that it is off holds that it is on, and goes first."""
_NEGATED = re.compile(r"\b(?:not|nicht|pas|no|non|n[a\u00e3]o|niet|nie)\b|[\u672a\u4e0d]")
"""What turns the word for active round; no known text of the system does that."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield an :class:`IPHTTPSInterface` for each interface (or code) that is printed."""
    found: IPHTTPSInterface | None = None
    nothing = IPHTTPSInterface(source=evidence.at(evidence.first_line))
    for line in labelled.read(evidence):
        known = _read_line(line, found or nothing)
        if known is None:
            continue
        if found is not None and _begins_another(found, known):
            yield found
            found, known = None, _read_line(line, nothing) or nothing
        found = replace(known, source=line.source(evidence)) if found is None else known
    if found is not None:
        yield found


def status_of(text: str) -> IPHTTPSStatus | None:
    """Return the meaning of a status in English."""
    lower = text.lower()
    return next((status for words, status in _WORDS if words in lower), None)


def _read_line(line: labelled.Line, found: IPHTTPSInterface) -> IPHTTPSInterface | None:
    """Return what is known with this line; None where it says nothing."""
    value, by_policy = labelled.without_remark(line.value)
    if not line.label:
        return _read_heading(line, found)
    if role := _ROLES.get(value.lower().rstrip(".")):
        return replace(found, role=role)
    if match := _URL.search(value):
        return replace(found, url=match[1], by_policy=by_policy or found.by_policy)
    if _ERROR.match(value):
        # What a person looks at is the line with the code.
        code = numbers.error_code(value)
        source = replace(found.source, line=line.number, text=line.text.strip())
        return replace(found, last_error=code, source=source)
    # Elsewhere than in English the words stand below the code, in a line that names IP-HTTPS.
    if status := status_of(value) or (_translated(value) if _is_below_code(found) else None):
        return replace(found, status=status, status_text=value)
    return None


def _is_below_code(found: IPHTTPSInterface) -> bool:
    return found.last_error is not None and found.status is None


def _translated(text: str) -> IPHTTPSStatus | None:
    lower = text.lower()
    found = next((IPHTTPSStatus[name] for stem, name in _STEMS if stem.search(lower)), None)
    return None if found is IPHTTPSStatus.ACTIVE and _NEGATED.search(lower) else found


def _read_heading(line: labelled.Line, found: IPHTTPSInterface) -> IPHTTPSInterface | None:
    if not line.value.startswith("#") and any(words in line.value.lower() for words in _LONG_URL):
        return replace(found, more_data=True)
    match = _HEADING.match(line.value)
    if match is None or "://" in line.value:
        return None
    by_policy = True if labelled_by_policy(line.value) else found.by_policy
    return replace(found, name=match[1], by_policy=by_policy)


def labelled_by_policy(heading: str) -> bool:
    """Whether a heading says that a group policy made the interface."""
    return "(group policy)" in heading.lower()


def _begins_another(found: IPHTTPSInterface, known: IPHTTPSInterface) -> bool:
    """Whether the new line belongs to another interface than what was read so far."""
    again = found.last_error is not None and known.last_error != found.last_error
    return again or bool(found.name and known.name != found.name)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "last error code" in head and ("iphttps" in head or "interface status" in head):
        return CERTAIN
    if "/iphttps" in head and "0x" in head and "https://" in head:
        return CERTAIN
    begun = "iphttpsinterface" in head and "https://" in head
    return LIKELY if begun or ("iphttps" in head and _LONG_URL[0] in head) else 0


PARSER = Parser(
    name="netsh interface httpstunnel show interfaces",
    parse=parse,
    command=re.compile(r"\bint\w*\s+http\w*\s+sh", re.IGNORECASE),
    signature=signature,
)
