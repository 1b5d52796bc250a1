r"""``Get-NetIPsecMainModeSA`` and ``Get-NetIPsecQuickModeSA``.

Sample::

    Name                       : 21
    KeyModule                  : AuthIP
    LocalEndpoint              : 2001:db8:51::2
    RemoteEndpoint             : 2002:c000:202::c000:202
    LocalFirstId               : CN=client1.corp.example.com (ComputerCert)
    LocalSecondId              : CORP\CLIENT1$ (UserNTLM)
    InitiatorCookie            : 15132…
    MaxQMSAs                   : 0

What the identities print as differs between versions; the authentication is read where one of
its words stands there. Without associations the commands print nothing at all.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.firewall import answers
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.ipsec import Mode, SecurityAssociation

_LOCAL = ("localtunnelendpoint", "localendpoint", "localaddress")
_REMOTE = ("remotetunnelendpoint", "remoteendpoint", "remoteaddress")
_OF_MAIN = frozenset({"initiatorcookie", "maxqmsas", "localfirstid", "ikepolicykey"})
_OF_QUICK = frozenset({"localtunnelendpoint", "encapsulationmode", "transportlayerfiltername"})
_KINDS = (("ntlm", "NTLM"), ("kerb", "Kerb"), ("cert", "Cert"))


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield a :class:`SecurityAssociation` for each object."""
    for record in records.read(evidence):
        mode = _mode(record, evidence)
        remote = _address(record, _REMOTE)
        if mode is None or remote is None:
            continue
        yield SecurityAssociation(
            source=record.source(evidence, "remoteendpoint"),
            mode=mode,
            local=_address(record, _LOCAL),
            remote=remote,
            auth1=_authentication(record, "Computer", "firstid"),
            auth2=_authentication(record, "User", "secondid"),
            local_id=record.word("localsecondid") or record.word("localfirstid"),
            remote_id=record.word("remotesecondid") or record.word("remotefirstid"),
        )


def _mode(record: records.Record, evidence: Evidence) -> Mode | None:
    names = set(record.properties)
    if names & _OF_MAIN:
        return Mode.MAIN
    if names & _OF_QUICK or answers.mentions(evidence, "quickmode", "quick mode"):
        return Mode.QUICK
    return Mode.MAIN if answers.mentions(evidence, "mainmode", "main mode") else None


def _address(record: records.Record, names: tuple[str, ...]) -> str | None:
    values = (record.text(name) for name in names)
    return next((found for v in values if v and (found := numbers.address(v))), None)


def _authentication(record: records.Record, who: str, name: str) -> str | None:
    """Return the authentication that both sides' identities of that round show."""
    text = f"{record.text('local' + name) or ''} {record.text('remote' + name) or ''}".lower()
    found = [kind for word, kind in _KINDS if word in text]
    return f"{who}{found[0]}" if len(found) == 1 else None


def signature(head: str) -> int:
    """Score the head of a text."""
    if "remoteendpoint" not in head or "localendpoint" not in head:
        return 0
    kinds = ("keymodule", *_OF_MAIN, *_OF_QUICK)
    return CERTAIN if any(name in head for name in kinds) else 0


PARSER = Parser(
    name="Get-NetIPsecMainModeSA",
    parse=parse,
    command=re.compile(r"\bGet-NetIPsec(?:Main|Quick)ModeSA\b", re.IGNORECASE),
    signature=signature,
)
