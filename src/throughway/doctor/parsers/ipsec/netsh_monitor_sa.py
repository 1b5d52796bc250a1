r"""``netsh advfirewall monitor show mmsa`` and ``netsh advfirewall monitor show qmsa``.

Samples::

    Main Mode SA at 11/18/2024 10:31:12
    ----------------------------------------------------------------------
    Local IP Address:                     2001:db8:51::2
    Remote IP Address:                    2002:c000:202::c000:202
    Auth1:                                ComputerCert
    Auth2:                                UserNTLM
    MM Offer:                             None-AES128-SHA256
    Cookie Pair:                          d203b3df87a3d0b6:0e60d97ac8b5a9f2
    Health Cert:                          No
    Ok.

    Quick Mode SA at 11/18/2024 10:31:12
    ----------------------------------------------------------------------
    Local IP Address:                     2001:db8:51::2
    Remote IP Address:                    2002:c000:202::c000:202
    Local Port:                           Any
    …
    QM Offer:                             ESP:SHA1-AES192+60min+100000kb
    PFS:                                  None
    Ok.

An association begins at a line with a date and a time. The local address stands before the remote
one; the authentications, the cookies and the offers are known by their form, and an offer of ESP
or AH is of quick mode whatever the heading says.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.firewall import answers
from throughway.doctor.parsers.forms import labelled, numbers
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact
from throughway.model.facts.ipsec import Mode, NoSecurityAssociations, SecurityAssociation

_WHEN = re.compile(
    r"[0-9]{1,4}[./\-\u5e74][ ]?[0-9]{1,2}[./\-\u6708][ ]?[0-9]{1,4}[.\u65e5]?,?[ ]{1,3}"
    r"[^\d\n]{0,4}[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2})?"
)
_AUTHENTICATION = re.compile(r"(?:Computer|User|Machine)(?:Cert|Kerb|NTLM|PSK|EAP)\w{0,16}", re.I)
_COOKIES = re.compile(r"[0-9a-f]{4,16}:[0-9a-f]{4,16}$", re.IGNORECASE)
_OFFER = re.compile(r"(?:ESP|AH|AuthNoEncap)[: ]\w", re.IGNORECASE)
_MAIN_OFFER = re.compile(r"[\w()]{2,24}-(?:AES|3DES|DES|None)\w{0,10}-\w{2,12}", re.IGNORECASE)
_MAIN = ("main mode", "hauptmodus", "mode principal", "modo principal", "\u4e3b\u6a21\u5f0f")
_QUICK = (
    "quick mode",
    "schnellmodus",
    "mode rapide",
    "modo r\u00e1pido",
    "\u5feb\u901f\u6a21\u5f0f",
)
_MAXIMUM_FIELDS = 32
"""Lines of one association: twice what the longest has."""
_LOCAL, _REMOTE = "localipaddress", "remoteipaddress"
_FORMS: Mapping[str, Callable[[str], object]] = {
    _LOCAL: numbers.address,
    _REMOTE: numbers.address,
    "cookiepair": _COOKIES.match,
    "qmoffer": _OFFER.match,
    "healthcert": lambda value: numbers.boolean(value) is not None,
    "direction": str.isalpha,
    "protocol": str.isalnum,
}
"""What the values of labels look like; a label before another value is not believed."""


@dataclass(slots=True)
class _Record:
    """One association, as its lines stand there."""

    heading: str = ""
    source: Source | None = None
    fields: list[tuple[str, str, Source]] = field(default_factory=list)
    """Label in lower case without blanks, value, and where it stands."""
    addresses: list[str] = field(default_factory=list)
    """Of the values, in their order."""

    def add(self, label: str, value: str, source: Source) -> None:
        """Take one more line, unless there are more than an association has."""
        if len(self.fields) >= _MAXIMUM_FIELDS:
            return
        self.fields.append((label, value, source))
        if found := numbers.address(value):
            self.addresses.append(found)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each association, or that there is none."""
    yield from answers.service_down(evidence)
    told = _told(evidence)
    if source := answers.no_associations(evidence):
        yield NoSecurityAssociations(source=source, mode=told)
        return
    records = list(_records(evidence))
    found = [fact for record in records if (fact := _association(record, told))]
    if not found and any(len(record.fields) > 3 for record in records):
        raise ParseError("no addresses, or neither main nor quick mode", evidence.first_line)
    yield from found


def _told(evidence: Evidence) -> Mode | None:
    """Return the mode that the command or the file's name says."""
    main = answers.mentions(evidence, "mmsa", "main mode", "mainmode")
    quick = answers.mentions(evidence, "qmsa", "quick mode", "quickmode")
    return None if main == quick else Mode.MAIN if main else Mode.QUICK


def _records(evidence: Evidence) -> Iterator[_Record]:
    record = _Record()
    for line in labelled.read(evidence):
        source = line.source(evidence)
        if _WHEN.search(line.text):
            if record.fields:
                yield record
            record = _Record(line.text.strip(), source)
        elif line.label:
            label = "".join(line.label.lower().split())
            if _starts_over(record, label, line.value):
                yield record
                record = _Record()
            record.add(label, line.value, source)
    if record.fields:
        yield record


def _starts_over(record: _Record, label: str, value: str) -> bool:
    """Whether a line belongs to another association whose heading was lost."""
    if numbers.address(value) is None:
        return False
    return len(record.addresses) >= 2 and _mode(record, None) is not None


def _association(record: _Record, told: Mode | None) -> SecurityAssociation | None:
    """Read a record; None where its end was cut off before it said enough."""
    mode = _mode(record, told)
    ends = _ends(record)
    if mode is None or ends is None:
        return None
    values = [value for _, value, _ in record.fields]
    first, second = _authentications(values)
    when = _WHEN.search(record.heading)
    return SecurityAssociation(
        source=record.source or record.fields[0][2],
        mode=mode,
        local=ends[0],
        remote=ends[1],
        auth1=first,
        auth2=second,
        offer=next((v for v in values if _OFFER.match(v) or _MAIN_OFFER.match(v)), None),
        health_certificate=next(
            (numbers.boolean(v) for label, v, _ in record.fields if "health" in label), None
        ),
        when=when[0] if when else None,
    )


def _mode(record: _Record, told: Mode | None) -> Mode | None:
    """Return the mode: by what only one of them has, then by the heading, then as told."""
    values = [value for _, value, _ in record.fields]
    if any(_OFFER.match(value) for value in values):
        return Mode.QUICK
    if any(_COOKIES.match(v) or _AUTHENTICATION.match(v) for v in values):
        return Mode.MAIN
    heading = record.heading.lower()
    if any(words in heading for words in _MAIN):
        return Mode.MAIN
    return Mode.QUICK if any(words in heading for words in _QUICK) else told


def _ends(record: _Record) -> tuple[str, str] | None:
    """Return local and remote address: by label where both are there, else in their order."""
    by_label = {label: value for label, value, _ in record.fields}
    hold = all(form(by_label[label]) for label, form in _FORMS.items() if by_label.get(label))
    local, remote = (numbers.address(by_label.get(label, "")) for label in (_LOCAL, _REMOTE))
    if hold and local and remote:
        return local, remote
    addresses = record.addresses
    return (addresses[0], addresses[1]) if len(addresses) >= 2 else None


def _authentications(values: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the first and the second authentication; a user's is always the second."""
    found = [match[0] for value in values if (match := _AUTHENTICATION.match(value))]
    users = [name for name in found if name.lower().startswith("user")]
    computers = [name for name in found if not name.lower().startswith("user")]
    second = users[0] if users else computers[1] if len(computers) > 1 else None
    return (computers[0] if computers else None), second


def signature(head: str) -> int:
    """Score the head of a text."""
    if "main mode sa at" in head or "quick mode sa at" in head:
        return CERTAIN
    if "remoteendpoint" in head and "localendpoint" in head:
        return 0
    if "computercert" in head and ("userntlm" in head or "userkerb" in head):
        return CERTAIN if "action" not in head and "requirein" not in head else 0
    return LIKELY if "no sas match" in head else 0


PARSER = Parser(
    name="netsh advfirewall monitor show mmsa",
    parse=parse,
    command=re.compile(r"\badv\w*\s+mon\w*\s+sh\w*\s+[mq]msa|^[mq]msa\b", re.IGNORECASE),
    signature=signature,
)
