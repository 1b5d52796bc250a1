r"""``certutil -store My``, ``certutil -v -store My``, ``certutil -store Root`` and the like.

Sample::

    My "Personal"
    ================ Certificate 0 ================
    Serial Number: 5800000002ca70ea4e42f218a6000000000002
    Issuer: CN=Example Issuing CA, DC=corp, DC=example, DC=com
     NotBefore: 11/3/2024 8:14 AM
     NotAfter: 11/3/2026 8:14 AM
    Subject: CN=client1.corp.example.com
    Certificate Template Name (Certificate Type): Machine
    Non-root Certificate
    Cert Hash(sha1): 779a97b1d8e492b5bafebc02338845ffdff76ad2
      Key Container = 46f11b4056ad38609b08d1dea6880023_7989b711
      Provider = Microsoft RSA SChannel Cryptographic Provider
    Encryption test passed
    CertUtil: -store command completed successfully.

Labels are translated. The issuer stands before the subject, the beginning before the end; with
``-v`` names go over several lines, and extensions are headed by their object identifiers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.certificates import distinguished
from throughway.doctor.parsers.forms import labelled
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import Certificate, NoCertificates, Store

_BEGINNING = re.compile(r"={6,}[^=\n]{1,60}[0-9]{1,6}[^=\n]{0,20}={6,}\s*$")
_HEADER = re.compile(r"([A-Za-z][\w\\]{1,40})(?:[ \t]+\"[^\"\n]{1,120}\")\s*$")
_ASKED = re.compile(r"-(?:ent)?store\w*\s+(?:-\w+\s+){0,3}\"?([\w\\]{1,60})", re.IGNORECASE)
_COMPLETED = re.compile(r"certutil:\s*-\w*store\b", re.IGNORECASE)
_SERIAL = re.compile(r"[0-9a-f]{2}(?:[ ]?[0-9a-f]{2}){3,31}$", re.IGNORECASE)
_EXTENSION = re.compile(r"\s*([0-2](?:\.[0-9]{1,10}){3,12}):")
_USAGE, _NAMES, _POINTS, _BASIC = "2.5.29.37", "2.5.29.17", "2.5.29.31", "2.5.29.19"
_DNS = re.compile(r"\s*[^=\n]{0,20}DNS[^=\n]{0,20}=\s*([\w.*\-]{1,253})\s*$", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s)]+", re.IGNORECASE)
_NO_KEY = re.compile(
    "missing stored keyset|no key provider|schl\u00fcsselsatz|jeu de cl|conjunto de claves"
    "|\u7f3a\u5c11|\u7f3a\u5c0f|cannot find the certificate and private key",
    re.IGNORECASE,
)
_KEY = re.compile(
    "(?:encryption|signature) test passed|(?:verschl|signatur)\\w*test|test de (?:chiff|sign)"
    "|prueba de (?:cifrado|firma)|\u6d4b\u8bd5|\u6e2c\u8a66",
    re.IGNORECASE,
)
_ARCHIVED = re.compile(
    "archived!|archiviert|archiv\u00e9|archivado|\u5df2\u5b58\u6863", re.IGNORECASE
)
_MAXIMUM_LINES = 2000
"""Lines of one certificate that are looked at."""


@dataclass(slots=True)
class _Block:
    """The lines of one certificate."""

    source: Source
    store: Store
    lines: list[tuple[int, str]] = field(default_factory=list)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`Certificate` for each block; or that the store is empty."""
    asked = _ASKED.search(evidence.command)
    user = "-user" in evidence.command.lower()
    store = distinguished.store(asked[1], user=user) if asked else Store.UNKNOWN
    block: _Block | None = None
    found = ended = False
    for number, line in evidence.lines():
        if _BEGINNING.match(line.strip()):
            if block is not None:
                yield _certificate(block, evidence)
            block, found = _Block(evidence.at(number, line), store), True
        elif match := _HEADER.match(line):
            named = distinguished.store(match[1], user=user)
            store = named if named is not Store.UNKNOWN else store
        elif block is not None and len(block.lines) < _MAXIMUM_LINES:
            block.lines.append((number, line))
        ended = ended or bool(_COMPLETED.match(line.strip()))
    if block is not None:
        yield _certificate(block, evidence)
    elif ended and not found and store is not Store.UNKNOWN and "0x" not in evidence.text:
        yield NoCertificates(
            source=evidence.at(evidence.first_line, evidence.text[:80]), store=store
        )


def _certificate(block: _Block, evidence: Evidence) -> Certificate:
    names = list(_distinguished(block.lines))
    times = [(number, when) for number, line in block.lines if (when := _moment(line))]
    text = "\n".join(line for _, line in block.lines)
    issuer, subject = (names[0], names[1]) if len(names) > 1 else ("", "")
    usage = _section(block.lines, _USAGE)
    own = _section(block.lines, _NAMES)
    points = _section(block.lines, _POINTS)
    basic = _section(block.lines, _BASIC)
    extended = any(_EXTENSION.match(line) for _, line in block.lines)
    serial = next((digits for _, line in block.lines if (digits := _serial(line))), "")
    if not names and len(block.lines) > 6:
        raise ParseError("a certificate without names", block.source.line)
    return Certificate(
        source=_subject_source(block, subject, evidence),
        store=block.store,
        subject=subject,
        issuer=issuer,
        serial=serial,
        thumbprint=_thumbprint(block.lines),
        not_before=times[0][1] if times else None,
        not_after=times[1][1] if len(times) > 1 else None,
        names=tuple(m[1].lower() for line in own if (m := _DNS.match(line))) if extended else None,
        usages=distinguished.identifiers("\n".join(usage)) if extended else None,
        private_key=True if _KEY.search(text) else False if _NO_KEY.search(text) else None,
        archived=bool(_ARCHIVED.search(text)),
        self_signed=subject == issuer if subject else None,
        authority=("CA" in " ".join(basic)) if basic else None,
        crl_urls=tuple(_URL.findall("\n".join(points))) if extended else None,
    )


def _distinguished(lines: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Yield the names: in one line behind a label, or on lines below a label without value."""
    parts: list[str] = []
    for number, text in lines:
        line = labelled.split(number, text)
        if line.label and distinguished.NAME.match(line.value):
            yield line.value
        elif not line.label and distinguished.NAME.match(line.value) and line.indent:
            parts.append(line.value)
        elif parts:
            yield ", ".join(parts)
            parts = []
    if parts:
        yield ", ".join(parts)


def _moment(text: str) -> datetime | None:
    line = labelled.split(0, text)
    return distinguished.moment(line.value) if line.label else None


def _serial(text: str) -> str:
    line = labelled.split(0, text)
    return distinguished.hexadecimal(line.value) if _SERIAL.match(line.value) else ""


def _thumbprint(lines: Sequence[tuple[int, str]]) -> str:
    """Return the last hash called sha1: those of the names and keys stand before it."""
    hashes = [
        labelled.split(number, text).value for number, text in lines if "(sha1)" in text.lower()
    ]
    return distinguished.thumbprint(hashes[-1]) if hashes else ""


def _section(lines: Sequence[tuple[int, str]], identifier: str) -> list[str]:
    """Return the lines of an extension."""
    inside, section = False, []
    for _, line in lines:
        if match := _EXTENSION.match(line):
            inside = match[1] == identifier
        elif inside and line.strip() and not line[0].isspace():
            inside = False
        elif inside:
            section.append(line)
    return section


def _subject_source(block: _Block, subject: str, evidence: Evidence) -> Source:
    """Return the line of the subject, which a person looks at; else the beginning."""
    lines = [(n, line) for n, line in block.lines if subject and line.rstrip().endswith(subject)]
    return evidence.at(*lines[-1]) if lines else block.source


def signature(head: str) -> int:
    """Score the head of a text."""
    if "================" in head and "(sha1)" in head and "dwerrorstatus" not in head:
        return CERTAIN
    return LIKELY if "certutil: -store" in head else 0


PARSER = Parser(
    name="certutil -store",
    parse=parse,
    command=re.compile(r"\bcertutil\b.*-(?:ent)?store", re.IGNORECASE),
    signature=signature,
)
