r"""``certutil -urlcache CRL``: what is in the cache of revocation lists.

Sample::

    http://crl.example.com/pki/issuing.crl
    http://crl.example.com/pki/root.crl

    WinHttp Cache entries: 2

    CertUtil: -URLCache command completed successfully.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import CachedURL

_URL = re.compile(r"\s*((?:https?|ldap)://?[^\s]{3,2000})\s*$", re.IGNORECASE)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`CachedURL` for each line that is an address."""
    for number, line in evidence.lines():
        if match := _URL.match(line):
            yield CachedURL(source=evidence.at(number, line), url=match[1])


def signature(head: str) -> int:
    """Score the head of a text."""
    if "winhttp cache entries" in head or "-urlcache command" in head:
        return CERTAIN
    if ".cr" not in head:
        return 0
    lines = [line for line in head.split("\n")[:20] if line.strip()]
    return LIKELY if lines and all(_URL.match(ln) and ".cr" in ln for ln in lines) else 0


PARSER = Parser(
    name="certutil -urlcache",
    parse=parse,
    command=re.compile(r"\bcertutil\b.*-urlcache", re.IGNORECASE),
    signature=signature,
)
