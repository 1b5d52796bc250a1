"""The index of an authority: what it has issued and revoked, as JSON beside its key.

Without it nothing could be revoked: a CRL lists serial numbers, and only the index knows whose.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography import x509

from throughway.model.errors import ConfigError
from throughway.pki import fields
from throughway.pki.authority import Profile, Revoked
from throughway.pki.fields import Fields
from throughway.pki.judgement import names, serial_of
from throughway.pki.user_certificate import principal_names

FORMAT = 1

MAX_ENTRIES = 100_000
"""Certificates; the file is read whole at each command."""


class Reason(StrEnum):
    """Reasons for which a certificate is revoked for ever (RFC 5280, 5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    SUPERSEDED = "superseded"
    AFFILIATION_CHANGED = "affiliation-changed"
    CESSATION_OF_OPERATION = "cessation-of-operation"
    PRIVILEGE_WITHDRAWN = "privilege-withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One certificate."""

    serial: str
    """Hexadecimal, as openssl prints it."""
    profile: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    """Times as ISO 8601, UTC."""
    file: str = ""
    """Where the certificate was written."""
    revoked_at: str = ""
    reason: str = ""

    @property
    def revoked(self) -> bool:
        """Whether it counts no more, whatever its dates say."""
        return bool(self.revoked_at)

    def is_called(self, wanted: str) -> bool:
        """Whether people mean this one by a name or a serial number."""
        serial = wanted.replace(":", "").upper().lstrip("0")
        return wanted.lower() in self.names or serial == self.serial.lstrip("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Everything an authority must remember besides its key."""

    crl_url: str = ""
    """Distribution point of new certificates."""
    crl_number: int = 0
    """Of the last CRL; it only grows."""
    entries: tuple[Entry, ...] = ()

    def find(self, wanted: str) -> tuple[Entry, ...]:
        """Return the certificates that people mean by a name or a serial number."""
        return tuple(entry for entry in self.entries if entry.is_called(wanted))

    def added(self, certificate: x509.Certificate, profile: Profile, file: str) -> "Index":
        """Return the index with one more certificate; ConfigError when it is full."""
        if len(self.entries) >= MAX_ENTRIES:
            # One more, and nobody could read it again: nothing could be revoked, and no CRL made.
            why = f"has {MAX_ENTRIES} certificates, and no room for another"
            raise ConfigError("index.json", "entries", why)
        return replace(self, entries=(*self.entries, entry_of(certificate, profile, file)))

    def without_users(self, before: datetime) -> tuple["Index", tuple[Entry, ...]]:
        """Return the index without users' certificates that had ended then, and those."""
        gone = tuple(
            entry
            for entry in self.entries
            if entry.profile == Profile.USER and datetime.fromisoformat(entry.not_after) < before
        )
        serials = {entry.serial for entry in gone}
        kept = tuple(entry for entry in self.entries if entry.serial not in serials)
        return (replace(self, entries=kept) if gone else self), gone

    def with_revoked(self, serial: str, at: datetime, reason: str) -> "Index":
        """Return the index with one certificate revoked."""
        entries = tuple(
            replace(entry, revoked_at=at.isoformat(), reason=reason)
            if entry.serial == serial
            else entry
            for entry in self.entries
        )
        return replace(self, entries=entries)

    def revoked(self) -> tuple[Revoked, ...]:
        """Return what the CRL must list; expired ones too, for clocks that are slow."""
        return tuple(
            Revoked(
                int(entry.serial, 16),
                datetime.fromisoformat(entry.revoked_at),
                x509.ReasonFlags[entry.reason.replace("-", "_")],
            )
            for entry in self.entries
            if entry.revoked
        )


def entry_of(certificate: x509.Certificate, profile: Profile, file: str) -> Entry:
    """Return the index's entry for a certificate."""
    return Entry(
        serial=serial_of(certificate),
        profile=profile,
        names=tuple(n.lower() for n in names(certificate) or principal_names(certificate)),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        file=file,
    )


def build_index(index: Index) -> bytes:
    """Return the file's content."""
    head = {"format": FORMAT, "crl_url": index.crl_url, "crl_number": index.crl_number}
    return build_lines(head, "entries", index.entries)


def build_lines(head: Mapping[str, object], name: str, items: Sequence[Any]) -> bytes:
    """Return a JSON object whose last value is a list of records, one in each line.

    By hand, since json is ten times slower where it has to indent, and there may be thousands.
    """
    names = tuple(field.name for field in fields_of(items[0])) if items else ()
    lines = ",\n".join(json.dumps({key: getattr(item, key) for key in names}) for item in items)
    start = json.dumps(dict(head)).removesuffix("}")
    return f'{start}, "{name}": [\n{lines}\n]}}\n'.encode()


def parse_index(data: bytes, what: str) -> Index:
    """Return the index; :exc:`ConfigError` where it was damaged."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(what, "", f"is not JSON: {error}") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ConfigError(what, "format", f"must be {FORMAT}: not an index of this throughway")
    top = Fields(values, what)
    tables = top.tables("entries", maximum=MAX_ENTRIES)
    index = Index(
        crl_url=top.optional_text("crl_url", fields.check_web_url),
        crl_number=top.integer("crl_number"),
        entries=tuple(_read_entry(table) for table in tables),
    )
    top.finish(*tables)
    return index


def _read_entry(table: Fields) -> Entry:
    entry = Entry(
        serial=table.text("serial", _check_with(lambda text: bytes.fromhex(text).hex().upper())),
        profile=table.text("profile", _check_with(Profile)),
        names=table.texts("names", fields.check_text),
        not_before=table.text("not_before", _check_time),
        not_after=table.text("not_after", _check_time),
        file=table.optional_text("file", fields.check_text),
        revoked_at=table.optional_text("revoked_at", _check_time),
        reason=table.optional_text("reason", _check_with(Reason)),
    )
    if entry.revoked and not entry.reason:
        table.refuse("reason", "is missing for a revoked certificate")
    table.gather()
    return entry


def _check_with(convert: Callable[[str], str]) -> fields.Check:
    """Make a check of something that raises when it cannot convert."""

    def check(value: str) -> str:
        try:
            return str(convert(value))
        except ValueError:
            raise ValueError(f"{value!r} has no meaning here") from None

    return check


def _check_time(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return value
