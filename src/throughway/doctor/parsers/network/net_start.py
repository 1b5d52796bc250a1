r"""``net start``: which services run, by the names that people see.

Sample::

    These Windows services are started:

       Base Filtering Engine
       IP Helper
       Windows Defender Firewall

    The command completed successfully.

The list has only what runs. What is missing in a whole one does not run; that is said of services
that always do, and only in English, where no other name of them is possible.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import ServiceState

_ENGLISH = {
    "ip helper": "iphlpsvc",
    "base filtering engine": "bfe",
    "windows firewall": "mpssvc",
    "windows defender firewall": "mpssvc",
    "ike and authip ipsec keying modules": "ikeext",
    "ipsec policy agent": "policyagent",
    "network connectivity assistant": "ncasvc",
    "remote access management service": "ramgmtsvc",
    "dns client": "dnscache",
}
_LANGUAGES: tuple[dict[str, str], ...] = (
    _ENGLISH,
    {
        "ip-hilfsdienst": "iphlpsvc",
        "basisfiltermodul": "bfe",
        "windows-firewall": "mpssvc",
        "windows defender firewall": "mpssvc",
        "dns-client": "dnscache",
    },
    {
        "assistance ip": "iphlpsvc",
        "moteur de filtrage de base": "bfe",
        "pare-feu windows": "mpssvc",
        "pare-feu windows defender": "mpssvc",
        "client dns": "dnscache",
    },
    {
        "aplicaci\u00f3n auxiliar ip": "iphlpsvc",
        "motor de filtrado de base": "bfe",
        "firewall de windows": "mpssvc",
        "firewall de windows defender": "mpssvc",
        "cliente dns": "dnscache",
    },
)
_ALWAYS = ("iphlpsvc", "bfe", "mpssvc")
"""Services that start with the machine and stay; others wait for work."""
_KNOWN = 2
"""Names that show that the list is in English."""
_MINIMUM = 12
"""Services that run on every machine; a shorter list is a part of one."""
_HEADS = (
    "windows services are started:",
    "windows-dienste sind gestartet:",
    "services windows suivants",
    "services windows ont \u00e9t\u00e9 d\u00e9marr\u00e9s",
    "servicios de windows:",
    "\u542f\u52a8\u4ee5\u4e0b windows \u670d\u52a1",
)
_ITEM = re.compile(r"[ \t]{1,8}\S")


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the services that are known, running or missing."""
    lines = [(number, text) for number, text in evidence.lines() if text.strip()]
    if not lines:
        return
    head, *rest = lines
    items = [(number, text) for number, text in rest if _ITEM.match(text)]
    if not items:
        raise ParseError("no list of services is in it", head[0])
    listed = {text.strip().lower(): (number, text) for number, text in items}
    names = max(_LANGUAGES, key=lambda names: len(names.keys() & listed.keys()))
    running = {names[shown]: place for shown, place in listed.items() if shown in names}
    for name, (number, text) in running.items():
        yield ServiceState(source=evidence.at(number, text), name=name, running=True)
    whole = len(items) >= _MINIMUM and not _ITEM.match(lines[-1][1])
    if whole and _HEADS[0] in head[1].lower() and len(running) >= _KNOWN:
        for name in _ALWAYS:
            if name not in running:
                yield ServiceState(source=evidence.at(*head), name=name, running=False)


def signature(head: str) -> int:
    """Score the head of a text."""
    if "windows" not in head:
        return 0
    if _HEADS[0] in head:
        return CERTAIN
    return LIKELY if any(words in head[:400] for words in _HEADS) else 0


PARSER = Parser(
    name="net start",
    parse=parse,
    command=re.compile(r"^(?:\S*[\\/])?net1?(?:\.exe)?\s+start\s*$", re.IGNORECASE),
    signature=signature,
)
