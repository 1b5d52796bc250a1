r"""``nltest /dsgetdc:[DOMAIN] [/force]``: the domain controller that is found.

Samples::

               DC: \\DC1.corp.example.com
          Address: \\2001:db8::10
         Dom Guid: 29ae137a-0000-4fd5-a839-607b5807b1d7
         Dom Name: corp.example.com
      Forest Name: corp.example.com
     Dc Site Name: Default-First-Site-Name
    Our Site Name: Default-First-Site-Name
            Flags: PDC GC DS LDAP KDC TIMESERV WRITABLE DNS_DC DNS_DOMAIN DNS_FOREST CLOSE_SITE
    The command completed successfully

    Getting DC name failed: Status = 1355 0x54b ERROR_NO_SUCH_DOMAIN

Labels and texts are translated; backslashes, the GUID and the order of the lines are not.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.domain import DomainController

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_FLAG = "LDAP"
"""One of those that every controller has."""
_FAILED = re.compile(r"[=:\uff1a]\s*(\d{1,5})\s+0x[0-9a-f]{1,8}\b", re.IGNORECASE)
_OTHER = re.compile(r"^\s*I_Net|/(?!dsgetdc|force)(?:sc_|dsgetsite|dclist|query|dsregdns)", re.I)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each controller that was found, and each search that failed."""
    if _OTHER.search(evidence.command):
        return
    found: DomainController | None = None
    after_guid = -1
    for line in labelled.read(evidence):
        if failed := _FAILED.search(line.text):
            if not _OTHER.match(line.text):
                yield _failure(line, int(failed[1]), evidence)
        elif line.value.startswith("\\\\") and line.label:
            name = line.value.lstrip("\\").strip()
            address = numbers.address(name)
            if address is None or found is None or found.address is not None:
                if found is not None:
                    yield _whole(found)
                found, after_guid = _beginning(line, name, evidence), -1
            else:
                found = replace(found, address=address)
        elif found is not None and _GUID.match(line.value):
            after_guid = 0
        elif found is not None and after_guid >= 0 and line.label:
            found = _read(found, after_guid, line)
            after_guid += 1
    if found is not None:
        yield _whole(found)


def _beginning(line: labelled.Line, name: str, evidence: Evidence) -> DomainController:
    address = numbers.address(name)
    return DomainController(
        source=line.source(evidence),
        found=True,
        name=None if address else name,
        address=address,
    )


def _read(found: DomainController, place: int, line: labelled.Line) -> DomainController:
    """Take in a line after the GUID, by its place; the second is the forest."""
    value = line.value or None
    if _FLAG in line.value.split():
        return found
    if place == 0:
        return replace(found, domain=value)
    # A machine in no site has no line of its own site, which stands behind the controller's.
    if place == 2:
        return replace(found, dc_site=value)
    return replace(found, our_site=value) if place == 3 else found


def _whole(found: DomainController) -> DomainController:
    if found.name is None and found.address is None:
        raise ParseError("a controller without a name", found.source.line)
    return found


def _failure(line: labelled.Line, code: int, evidence: Evidence) -> DomainController:
    return DomainController(source=line.source(evidence), found=False, error_code=code)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "error_no_such_domain" in head or "getting dc name failed" in head:
        return CERTAIN
    flags = "ldap" in head and "kdc" in head and "timeserv" in head
    return CERTAIN if flags and "\\\\" in head else 0


PARSER = Parser(
    name="nltest /dsgetdc",
    parse=parse,
    command=re.compile(r"\bnltest\b", re.IGNORECASE),
    signature=signature,
)
