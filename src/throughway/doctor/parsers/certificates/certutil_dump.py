r"""``certutil -dump CRL_FILE``: a revocation list.

Sample::

    X509 Certificate Revocation List:
    Version: 2
    Issuer:
        CN=Example Issuing CA
        DC=example
        DC=com
      Name Hash(sha1): …
     ThisUpdate: 11/1/2024 1:00 PM
     NextUpdate: 11/9/2024 1:20 AM
    CRL Entries: 1
      Serial Number: 5800000002ca70ea4e42f218a6000000000002
       Revocation Date: 11/1/2024 1:00 PM

Labels may be translated: the first name is the issuer, the first two dates are the validity, and
numbers that stand in lines of their own before a date belong to what was revoked.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.certificates import distinguished
from throughway.doctor.parsers.forms import labelled
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import RevocationList

if TYPE_CHECKING:
    from datetime import datetime

_SERIAL = re.compile(r"[0-9a-f]{8,64}$", re.IGNORECASE)
_DELTA = "2.5.29.27"
_MAXIMUM_REVOKED = 50_000
_VALIDITY = 2
"""Dates: this update and the next."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield one :class:`RevocationList`."""
    parts: list[str] = []
    times: list[datetime] = []
    source = None
    revoked: list[str] = []
    for line in labelled.read(evidence):
        if len(times) < _VALIDITY:
            if not line.label and distinguished.NAME.match(line.value):
                parts.append(line.value)
            elif line.label and (when := distinguished.moment(line.value)):
                times.append(when)
                source = line.source(evidence)
        elif _is_serial(line) and len(revoked) < _MAXIMUM_REVOKED:
            revoked.append(distinguished.hexadecimal(line.value))
    if len(times) == _VALIDITY and parts and source is not None:
        yield RevocationList(
            source=source,
            issuer=", ".join(parts),
            this_update=times[0],
            next_update=times[1],
            delta=_DELTA in evidence.text,
            revoked=tuple(revoked),
        )


def _is_serial(line: labelled.Line) -> bool:
    return bool(line.label and _SERIAL.match(line.value)) and "(" not in line.label


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "x509 certificate revocation list" in head else 0


PARSER = Parser(
    name="certutil -dump",
    parse=parse,
    command=re.compile(
        r"\bcertutil\b.*\.crl\b|\bcertutil\b.*-dump|\bcertutil(?:\.exe)?[ ]+[^-\s]", re.IGNORECASE
    ),
    signature=signature,
)
