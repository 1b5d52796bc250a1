r"""``certutil -verify [-urlfetch] CERTIFICATE``.

Sample::

    Issuer:
        CN=Example Issuing CA
      Name Hash(sha1): …
    Subject:
        CN=da.example.com
    ChainContext.dwErrorStatus = CERT_TRUST_REVOCATION_STATUS_UNKNOWN (0x40)
    CertContext[0][0]: dwInfoStatus=102 dwErrorStatus=1000040
      Issuer: CN=Example Issuing CA, DC=corp, DC=example, DC=com
      NotBefore: 7/1/2024 9:44 AM
      NotAfter: 7/1/2026 9:44 AM
      Subject: CN=da.example.com
      ----------------  Certificate CDP  ----------------
      Failed "CDP" Time: 0 (null)
        Error retrieving URL: The server name could not be resolved 0x80072ee7
        http://crl.example.com/issuing.crl

Constants are never translated, sentences are. What could be fetched stands with its index before
the address, what could not has an error above it. The last line says "completed successfully"
whatever was found.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.certificates import distinguished
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import (
    Certificate,
    CertificateVerification,
    CRLRetrieval,
    RevocationList,
    Store,
)

_CONSTANT = re.compile(r"\b(CERT_TRUST_[A-Z_]{3,60}|(?:CRYPT|CERT|TRUST)_E_[A-Z_]{3,60})\b")
_INFORMATION = ("CERT_TRUST_HAS_", "CERT_TRUST_IS_SELF_SIGNED", "CERT_TRUST_IS_COMPLEX_CHAIN")
_CONTEXT = re.compile(r"\s*CertContext\[([0-9]{1,3})\]\[([0-9]{1,3})\]")
_CODE = re.compile(r"\b0x8[0-9a-f]{7}\b", re.IGNORECASE)
_URL = re.compile(
    r"\s*(?:\[([0-9]{1,3}\.[0-9]{1,3})\]\s*)?[`<\"]?((?:https?|ldap|file):/[^\s`>\"]+)"
)
_ENTRY = re.compile(r"\s*[^\"\n]{1,60}\"([^\"\n]{1,60})\"\s*\S")
_SECTION = re.compile(r"\s*-{8,}\s{1,4}(\S[^-\n]{0,60}\S)\s{1,4}-{8,}\s*$")
_DELTA = ("delta", "\u589e\u91cf", "\u5dee\u5206")
_ALTERNATIVE = re.compile(r"DNS[^=,\n]{0,12}=([\w.*\-]{1,253})", re.IGNORECASE)
_NEXT = re.compile(r"\s*(ThisUpdate|NextUpdate):\s*(\S.*)", re.IGNORECASE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the verdict, the first certificate of the chain, and each list that was fetched."""
    yield from _verdict(evidence)
    yield from _leaf(evidence)
    yield from _retrievals(evidence)
    yield from _lists(evidence)


def _verdict(evidence: Evidence) -> Iterator[Fact]:
    constants: dict[str, int] = {}
    codes: dict[int, int] = {}
    chain = False
    for number, line in evidence.lines():
        if "dwInfoStatus =" in line:
            continue
        chain = chain or "dwErrorStatus" in line
        for constant in _CONSTANT.findall(line):
            if not constant.startswith(_INFORMATION):
                constants.setdefault(constant, number)
        if "WinHttp" not in line and _ENTRY.match(line) is None:
            for code in _CODE.findall(line):
                codes.setdefault(int(code, 16), number)
    if not chain:
        return
    first = min(constants.values(), default=evidence.first_line)
    names = list(_names(evidence))
    yield CertificateVerification(
        source=evidence.at(first, _line(evidence, first)),
        issuer=names[0] if len(names) > 1 else "",
        subject=names[1] if len(names) > 1 else "",
        errors=tuple(constants),
        error_codes=tuple(codes),
    )


def _line(evidence: Evidence, wanted: int) -> str:
    return next((line for number, line in evidence.lines() if number == wanted), "")


def _names(evidence: Evidence) -> Iterator[str]:
    """Yield issuer and subject from the head, where each goes over several lines."""
    parts: list[str] = []
    for number, text in evidence.lines():
        line = labelled.split(number, text)
        if _CONTEXT.match(text):
            break
        if not line.label and distinguished.NAME.match(line.value):
            parts.append(line.value)
        elif parts:
            yield ", ".join(parts)
            parts = []


def _leaf(evidence: Evidence) -> Iterator[Fact]:
    found: Certificate | None = None
    for number, text in evidence.lines():
        if match := _CONTEXT.match(text):
            if found is not None:
                break
            if match[1] == match[2] == "0":
                found = Certificate(source=evidence.at(number, text), store=Store.UNKNOWN)
        elif found is not None:
            found = _with(found, labelled.split(number, text), evidence)
    if found is not None and found.subject:
        yield found


def _with(found: Certificate, line: labelled.Line, evidence: Evidence) -> Certificate:
    """Return what is known of the certificate with this line."""
    if distinguished.NAME.match(line.value) and line.label:
        if not found.issuer:
            return replace(found, issuer=line.value)
        if not found.subject:
            return replace(found, subject=line.value, source=line.source(evidence))
    elif line.label and (when := distinguished.moment(line.value)):
        if found.not_before is None:
            return replace(found, not_before=when)
        if found.not_after is None:
            return replace(found, not_after=when)
    elif names := _ALTERNATIVE.findall(line.value):
        return replace(found, names=tuple(name.lower() for name in names))
    elif line.label and not found.thumbprint and distinguished.thumbprint(line.value):
        return replace(found, thumbprint=distinguished.thumbprint(line.value))
    return found


def _retrievals(evidence: Evidence) -> Iterator[Fact]:
    """Yield what became of each distribution point."""
    of_lists, kind, code = True, "", None
    for number, line in evidence.lines():
        if match := _SECTION.match(line):
            of_lists, kind, code = "cdp" in match[1].lower(), "", None
        elif match := _ENTRY.match(line):
            kind, code = match[1].lower(), None
        elif (match := _URL.match(line)) and kind:
            about = of_lists and ("crl" in kind or "cdp" in kind or "sperr" in kind)
            if about and (match[1] or code is not None):
                yield CRLRetrieval(
                    source=evidence.at(number, line),
                    url=match[2],
                    retrieved=code is None,
                    error_code=code,
                    delta=any(word in kind for word in _DELTA),
                )
        elif kind and (found := numbers.error_code(line)) and _CODE.search(line):
            code = found


def _lists(evidence: Evidence) -> Iterator[Fact]:
    this = None
    for number, line in evidence.lines():
        match = _NEXT.match(line)
        if match is None:
            continue
        when = distinguished.moment(match[2])
        if match[1].lower() == "thisupdate":
            this = when
        else:
            yield RevocationList(
                source=evidence.at(number, line), this_update=this, next_update=when
            )
            this = None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "certcontext[" in head or "dwerrorstatus" in head:
        return CERTAIN
    retrieved = '"cdp"' in head or '"base crl' in head
    return LIKELY if retrieved and ("://" in head) else 0


PARSER = Parser(
    name="certutil -verify",
    parse=parse,
    command=re.compile(r"\bcertutil\b.*-verify", re.IGNORECASE),
    signature=signature,
)
