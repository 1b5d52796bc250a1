r"""``Get-ChildItem Cert:\LocalMachine\My``, as a table or with ``Format-List *``.

Samples::

       PSParentPath: Microsoft.PowerShell.Security\Certificate::LocalMachine\My

    Thumbprint                                Subject
    ----------                                -------
    779A97B1D8E492B5BAFEBC02338845FFDFF76AD2  CN=client1.corp.example.com

    EnhancedKeyUsageList : {Client Authentication (1.3.6.1.5.5.7.3.2)}
    DnsNameList          : {client1.corp.example.com}
    NotAfter             : 11/3/2026 8:14:00 AM
    HasPrivateKey        : True
    Issuer               : CN=Example Issuing CA, DC=corp, DC=example, DC=com
    Subject              : CN=client1.corp.example.com
    Thumbprint           : 779A97B1D8E492B5BAFEBC02338845FFDFF76AD2
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.certificates import distinguished
from throughway.doctor.parsers.forms import dates, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import Certificate, Store

_PATH = re.compile(
    r"(?:Certificate::|Cert:[\\/]{0,2})((?:LocalMachine|CurrentUser)[\\/]\w{1,40})", re.I
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`Certificate` for each object."""
    path = _PATH.search(evidence.text[:4096]) or _PATH.search(evidence.command)
    asked = distinguished.store(path[1]) if path else Store.UNKNOWN
    for record in records.read(evidence):
        thumbprint = distinguished.thumbprint(record.text("thumbprint") or "")
        if not thumbprint:
            continue
        own = _PATH.search(record.text("psparentpath") or "")
        subject, issuer = record.text("subject") or "", record.text("issuer") or ""
        usages = record.text("enhancedkeyusagelist")
        yield Certificate(
            source=record.source(evidence, "subject"),
            store=distinguished.store(own[1]) if own else asked,
            subject=subject,
            issuer=issuer,
            serial=distinguished.hexadecimal(record.text("serialnumber") or ""),
            thumbprint=thumbprint,
            not_before=dates.moment(record.text("notbefore") or ""),
            not_after=dates.moment(record.text("notafter") or ""),
            names=record.items("dnsnamelist"),
            usages=_usages(usages),
            private_key=record.boolean("hasprivatekey"),
            archived=record.boolean("archived") or False,
            self_signed=subject == issuer if subject and issuer else None,
        )


def _usages(text: str | None) -> tuple[str, ...] | None:
    """Return the identifiers; None where the list is cut off or has none of them."""
    if text is None:
        return None
    found = distinguished.identifiers(text)
    empty = text.strip() in {"", "{}"}
    return found if found or empty else None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "security\\certificate::" in head and "thumbprint" in head:
        return CERTAIN
    return CERTAIN if "hasprivatekey" in head and "thumbprint" in head else 0


PARSER = Parser(
    name=r"Get-ChildItem Cert:\LocalMachine\My",
    parse=parse,
    command=re.compile(r"\bCert:[\\/]{0,2}(?:LocalMachine|CurrentUser)", re.IGNORECASE),
    signature=signature,
)
