"""Whose certificate is whose, and what time it was: for the rules about certificates."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from throughway.model.evidence import Source
from throughway.model.facts.base import CollectedAt
from throughway.model.facts.certificates import Certificate, RevocationList
from throughway.model.facts.domain import GroupPolicyResult
from throughway.model.facts.events import LogEvent
from throughway.model.facts.ipsec import (
    NegotiationFailure,
    NegotiationSuccess,
    SecurityAssociation,
)

_PART = re.compile(r"(?:^|[,+;/])\s*(CN|DC|OU|O|C|E|L|ST|S)\s?=\s?", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(\d{1,2})[./-](\d{1,2})[./-]([12]\d{3})(?!\d)")
_MONTHS = 12
_MAXIMUM_CHAIN = 8
"""Certificates from a leaf to its root; real chains have four."""


Moment = (
    CollectedAt
    | LogEvent
    | NegotiationFailure
    | NegotiationSuccess
    | SecurityAssociation
    | GroupPolicyResult
    | RevocationList
)
"""What tells when the evidence was collected, or at least that it was not before."""


_HAPPENED = (
    LogEvent,
    NegotiationFailure,
    NegotiationSuccess,
    SecurityAssociation,
    GroupPolicyResult,
)
"""What was over when the evidence was collected: it was not before the newest of these."""


def collected_at(moments: Iterable[Moment]) -> datetime | None:
    """Return when the evidence was collected, in the machine's own time."""
    known = collected(moments)
    return known[0] if known else None


def collected(moments: Iterable[Moment]) -> tuple[datetime, Source] | None:
    """Return when it was, or since when it must have been; and where that stands."""
    every = tuple(moments)
    for kinds in ((CollectedAt,), _HAPPENED):
        told = [m for m in every if isinstance(m, kinds)]
        known = [(when, m.source) for m in told if (when := _when(m)) is not None]
        if known:
            return max(known, key=lambda item: item[0])
    lists = [m for m in every if isinstance(m, RevocationList) and m.this_update is not None]
    fresh = [(naive(m.this_update), m.source) for m in lists if m.this_update is not None]
    return max(fresh, key=lambda item: item[0], default=None)


def _when(moment: Moment) -> datetime | None:
    if isinstance(moment, CollectedAt):
        text: str | None = moment.iso
    elif isinstance(moment, GroupPolicyResult):
        text = moment.last_applied
    else:
        text = getattr(moment, "when", None)
    try:
        return naive(datetime.fromisoformat(text or ""))
    except ValueError:
        return _printed(text or "")


def _printed(text: str) -> datetime | None:
    """Return the day of a date as a console prints it, where only one day can be meant."""
    match = _DATE.search(text)
    if match is None:
        return None
    first, second, year = (int(part) for part in match.groups())
    if first > _MONTHS >= second or first == second:
        day, month = first, second
    elif second > _MONTHS >= first:
        day, month = second, first
    else:
        return None
    try:
        return datetime(year, month, day)  # noqa: DTZ001 - as printed
    except ValueError:
        return None


def is_early(certificate: Certificate, moments: Iterable[Moment]) -> bool:
    """Whether it was not valid yet, by a day at least: time zones are not known."""
    begin = certificate.not_before
    if begin is None:
        return False
    now = collected_at(m for m in moments if isinstance(m, CollectedAt))
    return now is not None and naive(begin) > now + timedelta(days=1)


def naive(moment: datetime) -> datetime:
    """Return the moment without its time zone, as certutil prints it; hours do not matter here."""
    return moment.replace(tzinfo=None)


def is_past(moment: datetime | None, now: datetime | None) -> bool:
    """Whether both are known and the first was before the other."""
    return moment is not None and now is not None and naive(moment) < now


@lru_cache(maxsize=4096)
def parts(name: str) -> frozenset[str]:
    """Return the parts of a distinguished name; commands print them in either order."""
    starts = list(_PART.finditer(name))
    ends = [*(match.start() for match in starts), len(name)][1:]
    values = (name[match.end() : end] for match, end in zip(starts, ends, strict=True))
    return frozenset(
        match[1].lower() + "=" + value.strip(' \t"').lower()
        for match, value in zip(starts, values, strict=True)
    )


def joined(certificates: Iterable[Certificate]) -> list[Certificate]:
    """Make one of what several commands say of the same certificate."""
    known: dict[str, Certificate] = {}
    alone: list[Certificate] = []
    for certificate in certificates:
        if not certificate.thumbprint:
            alone.append(certificate)
        elif certificate.thumbprint in known:
            known[certificate.thumbprint] = _joined(known[certificate.thumbprint], certificate)
        else:
            known[certificate.thumbprint] = certificate
    return [*known.values(), *alone]


def _joined(first: Certificate, other: Certificate) -> Certificate:
    """Fill what one leaves open from the other; a key that was found once is there."""
    return replace(
        first,
        subject=first.subject or other.subject,
        issuer=first.issuer or other.issuer,
        serial=first.serial or other.serial,
        not_before=first.not_before or other.not_before,
        not_after=first.not_after or other.not_after,
        names=other.names if first.names is None else first.names,
        usages=other.usages if first.usages is None else first.usages,
        private_key=_either(first.private_key, other.private_key),
        self_signed=_either(first.self_signed, other.self_signed),
        authority=_either(first.authority, other.authority),
        archived=first.archived and other.archived,
    )


def _either(one: bool | None, other: bool | None) -> bool | None:
    known = [answer for answer in (one, other) if answer is not None]
    return any(known) if known else None


def _may_be(printed: frozenset[str], name: frozenset[str]) -> bool:
    """Whether a name that a narrow console may have cut off can be the beginning of the other."""
    return all(any(whole.startswith(part) for whole in name) for part in printed)


def common_name(name: str) -> str:
    """Return the common name in lower case; "" where there is none."""
    names = [part[3:] for part in parts(name) if part.startswith("cn=")]
    return names[0] if len(names) == 1 else ""


def covers(names: Iterable[str], host: str) -> bool:
    """Whether one of the names is the host, or stands for it with an asterisk."""
    host = host.lower().rstrip(".")
    rest = host.partition(".")[2]
    return any(name.lower() in {host, f"*.{rest}"} for name in names)


def chains_to(
    leaf: Certificate, authority: str, certificates: Iterable[Certificate]
) -> bool | None:
    """Whether a certificate chains to an authority of that name; None where a link is unknown."""
    wanted = parts(authority)
    by_subject = {parts(c.subject): c for c in certificates if c.subject}
    current: Certificate | None = leaf
    for _ in range(_MAXIMUM_CHAIN):
        if current is None or not current.issuer:
            return None
        issuer = parts(current.issuer)
        if issuer == wanted:
            return True
        if _may_be(wanted, issuer):
            return None
        if issuer == parts(current.subject):
            return False
        current = by_subject.get(issuer)
    return None
