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
_ERROR = re.compile(r"0x[0-9a-f]{1,8}\b[\W_]*$", re.IGNORECASE)
_LONG_URL = "more data is available"
_URL = re.compile(r"(https?://[^\s`<>*]+)", re.IGNORECASE)
_WORDS = (
    ("no usable certificate", IPHTTPSStatus.NO_USABLE_CERTIFICATE),
    ("invalid", IPHTTPSStatus.INVALID_URL),
    ("creation failure", IPHTTPSStatus.CREATION_FAILED),
    ("not installed", IPHTTPSStatus.NOT_INSTALLED),
    ("deactivated", IPHTTPSStatus.DEACTIVATED),
    ("failed to connect", IPHTTPSStatus.CONNECTING),
    ("waiting to reconnect", IPHTTPSStatus.CONNECTING),
    ("interface active", IPHTTPSStatus.ACTIVE),
)


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
    if status := status_of(value):
        return replace(found, status=status, status_text=value)
    return None


def _read_heading(line: labelled.Line, found: IPHTTPSInterface) -> IPHTTPSInterface | None:
    if _LONG_URL in line.value.lower() and not line.value.startswith("#"):
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
    return LIKELY if "iphttps" in head and "more data is available" in head else 0


PARSER = Parser(
    name="netsh interface httpstunnel show interfaces",
    parse=parse,
    command=re.compile(r"\bint\w*\s+http\w*\s+sh", re.IGNORECASE),
    signature=signature,
)
