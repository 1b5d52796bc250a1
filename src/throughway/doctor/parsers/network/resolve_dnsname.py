r"""``Resolve-DnsName NAME``: as programs resolve it, with the name resolution policy.

Samples::

    Name                      Type   TTL   Section    IPAddress
    ----                      ----   ---   -------    ---------
    app.corp.example.com      AAAA   60    Answer     2001:db8::80

    Resolve-DnsName : app.corp.example.com : DNS name does not exist
        + CategoryInfo          : ResourceUnavailable: (app.corp.example.com:String) […]
        + FullyQualifiedErrorId : DNS_ERROR_RCODE_NAME_ERROR,Microsoft.DnsClient.Commands.Resolve…

The text of an error is translated, its identifier is not.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import numbers, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import NameLookup

_ERROR = re.compile(r"^\s*Resolve-DnsName\s?:\s+([\w.-]{1,255})\s?:\s", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\b(DNS_ERROR_\w+|ERROR_TIMEOUT|WSAETIMEDOUT|DNS_INFO_\w+)", re.I)
_TIMEOUTS = frozenset({"ERROR_TIMEOUT", "WSAETIMEDOUT"})
_SERVER = re.compile(r"-Server\s+(\S+)", re.IGNORECASE)
_TYPED = re.compile(r"\bResolve-DnsName\s+(?:-Name\s+)?[\"']?([\w.-]+)", re.IGNORECASE)
_TYPE = re.compile(r"-Type\s+(\w+)", re.IGNORECASE)
_ADDRESSES = ("ipaddress", "ip6address", "ip4address")
_FAILED_ABOVE = 12
"""Lines of an error in which its identifier stands."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what was answered, and what could not be."""
    typed = _SERVER.search(evidence.command)
    server = numbers.address(typed[1]) if typed else None
    # Who names a server goes past the policy.
    through = None if typed else True
    yield from _errors(evidence, server, through)
    answers = _answers(evidence)
    kind = _TYPE.search(evidence.command)
    asked = _TYPED.search(evidence.command)
    if asked and asked[1] not in answers and answers:
        # The asked name is an alias of what the addresses are of.
        every = [record for found in answers.values() for record in found]
        answers = {asked[1]: every}
    for name, found in answers.items():
        yield NameLookup(
            source=found[0].source(evidence, "name"),
            name=name,
            server=server,
            addresses=tuple(a for record in found for a in _addresses(record)),
            failed=False,
            timed_out=False,
            through_nrpt=through,
            record_type=kind[1].upper() if kind else None,
            both_kinds=kind is None if asked else None,
        )


def _answers(evidence: Evidence) -> dict[str, list[records.Record]]:
    """Return the records that hold addresses, by name."""
    answers: dict[str, list[records.Record]] = {}
    for record in records.read(evidence):
        name = record.word("name")
        if name and _addresses(record):
            answers.setdefault(name, []).append(record)
    return answers


def _addresses(record: records.Record) -> list[str]:
    found = (numbers.address(record.text(name) or "") for name in _ADDRESSES)
    return list(dict.fromkeys(address for address in found if address))


def _errors(evidence: Evidence, server: str | None, through: bool | None) -> Iterator[Fact]:
    lines = list(evidence.lines())
    for place, (number, text) in enumerate(lines):
        if match := _ERROR.match(text):
            below = " ".join(line for _, line in lines[place : place + _FAILED_ABOVE])
            known = _IDENTIFIER.search(below)
            yield NameLookup(
                source=evidence.at(number, text),
                name=match[1].rstrip("."),
                server=server,
                failed=True,
                timed_out=known[1].upper() in _TIMEOUTS if known else None,
                through_nrpt=through,
            )


def signature(head: str) -> int:
    """Score the head of a text."""
    if "microsoft.dnsclient.commands.resolvednsname" in head or "resolve-dnsname :" in head:
        return CERTAIN
    if "ip6address" in head or ("querytype" in head and "ttl" in head and "section" in head):
        return CERTAIN
    return LIKELY if "section" in head and "ttl" in head and "ipaddress" in head else 0


PARSER = Parser(
    name="Resolve-DnsName",
    parse=parse,
    command=re.compile(r"\bResolve-DnsName", re.IGNORECASE),
    signature=signature,
)
