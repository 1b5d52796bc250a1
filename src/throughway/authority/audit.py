"""What the authority gave away, refused and took back, and to whom: one book for the service and
for the commands, in the authority's directory, which belongs to both.

It is written before anybody can have what it tells of; whoever writes waits for the disk.
"""

import contextlib
import os
import pwd
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509

from throughway.authority.files import give_to_owner
from throughway.model.audit import AUTHORITY_EVENTS, AuditEvent, CertificateSeen, record_of
from throughway.net.audit import cleaned, encode, journal_fields
from throughway.net.audit_file import AuditFile
from throughway.net.journal import Journal
from throughway.net.listeners import source_of
from throughway.pki import judgement
from throughway.pki.index import Entry
from throughway.pki.pem import UNREADABLE, load_certificate
from throughway.pki.tokens import Issuable
from throughway.proto.flood import FloodGate

SIDE = "authority"
LOST = "the file could not be written"
LEFT_OUT = "refused more often than is recorded"
NO_LOGIN = 0xFFFFFFFF
"""What the kernel says of a process that nobody's logon has begun."""


class AuthorityAudit:
    """The book of one authority; every call may block.

    ``on_trouble(words)`` hears when it cannot be written, and "" when it can again.
    """

    def __init__(
        self,
        directory: Path,
        on_trouble: Callable[[str], None] = lambda words: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._file = AuditFile(directory / AUTHORITY_EVENTS)
        self._journal = Journal()
        self._gate = FloodGate()
        self._on_trouble = on_trouble
        self._clock = clock
        self._lost = 0

    def issued(
        self,
        made: x509.Certificate,
        why: str,
        *,
        source: str = "",
        user: str = "",
        event: AuditEvent = AuditEvent.CERTIFICATE_ISSUED,
    ) -> None:
        """Somebody has a certificate now."""
        self._write(
            event,
            computer="" if user else _name_of(made),
            user=user,
            outer_address=source,
            certificate=judgement.seen(made),
            detail=f"serial {judgement.serial_of(made)}, {why}",
        )

    def refused(
        self, what: str, problem: str, reason: str, *, source: str, shown: bytes = b""
    ) -> None:
        """Somebody was refused; ``shown`` is the certificate by which he asked, if any."""
        if not self._gate.admits(source_of(source) if source else "", time.monotonic()):
            return
        name, seen = _looked_at(shown)
        self._write(
            AuditEvent.ENROLMENT_REFUSED,
            computer=name,
            outer_address=source,
            certificate=seen,
            problem=problem,
            reason=reason,
            detail=what,
        )

    def tokens(self, event: AuditEvent, tokens: Iterable[Issuable], why: str) -> None:
        """Tokens were made, made void, or have ended."""
        for token in tokens:
            until = f"for a {token.profile}, until {token.expires_at[:16]} UTC"
            detail = ", ".join(words for words in (until, why) if words)
            self._write(event, computer=token.names[0], detail=detail)

    def revoked(self, entry: Entry, reason: str) -> None:
        """A certificate is worth nothing any more."""
        self._write(
            AuditEvent.CERTIFICATE_REVOKED,
            computer=entry.names[0] if entry.names else "",
            certificate=CertificateSeen(serial=entry.serial),
            reason=reason,
            detail=f"serial {entry.serial}, by {who()}",
        )

    def sweep(self) -> None:
        """Tell what was left out of floods that are over."""
        for left in self._gate.due(time.monotonic()):
            self._write(
                AuditEvent.LEFT_OUT, outer_address=left.source, count=left.count, reason=LEFT_OUT
            )

    def close(self) -> None:
        """Let go of file and journal."""
        self._file.close()
        self._journal.close()

    def _write(self, event: AuditEvent, **values: object) -> None:
        record = cleaned(record_of(event, at=self._clock(), side=SIDE, **values))
        self._journal.send(journal_fields(record))
        try:
            self._file.append(self._told_of_loss() + encode(record))
            give_to_owner(self._directory, self._file.path)
        except OSError as error:
            self._lost += 1
            if self._lost == 1:
                self._on_trouble(f"{self._file.path}: {error.strerror or error}")
            return
        if self._lost:
            self._lost = 0
            self._on_trouble("")

    def _told_of_loss(self) -> bytes:
        if not self._lost:
            return b""
        event, at = AuditEvent.RECORDS_LOST, self._clock()
        return encode(record_of(event, at=at, side=SIDE, count=self._lost, reason=LOST))


@contextlib.contextmanager
def by_command(directory: Path) -> Iterator[AuthorityAudit]:
    """Give the book to a command, which goes on when it cannot be written, but says so."""
    audit = AuthorityAudit(directory, lambda words: print(f"audit: {words}", file=sys.stderr))
    try:
        yield audit
    finally:
        audit.close()


def ended(tokens: Iterable[Issuable], since: datetime, now: datetime) -> tuple[Issuable, ...]:
    """Return the tokens that ended in this time without having been used."""
    return tuple(
        token
        for token in tokens
        if not token.used_at and since < datetime.fromisoformat(token.expires_at) <= now
    )


def who() -> str:
    """Return who gives this command: the account, and who has logged on to become it."""
    account = _account(os.getuid())
    try:
        login = int(Path("/proc/self/loginuid").read_text())
    except (OSError, ValueError):
        login = NO_LOGIN
    if login in {NO_LOGIN, os.getuid()}:
        return account
    return f"{account} ({_account(login)})"


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _name_of(certificate: x509.Certificate) -> str:
    try:
        names = judgement.names(certificate)
    except ValueError:
        names = ()
    return names[0] if names else judgement.name_of(certificate.subject)


def _looked_at(data: bytes) -> tuple[str, CertificateSeen | None]:
    """Return what a stranger's certificate says of itself, nothing where it is none."""
    if not data:
        return "", None
    try:
        certificate = load_certificate(data)
        return _name_of(certificate), judgement.seen(certificate)
    except UNREADABLE:
        return "", None
