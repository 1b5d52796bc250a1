"""Audit: who was admitted, who was refused, and why, in values that a file and a journal keep.

The numbers are those of Windows' security log, so that what reads that log reads this one too.
IP-HTTPS has none there, nor has what the audit says of itself.
"""

from dataclasses import dataclass
from enum import StrEnum


class AuditEvent(StrEnum):
    """What happened."""

    MAIN_MODE_ESTABLISHED = "main-mode-established"
    """Both rounds of authentication are done, the first one by certificate."""
    MAIN_MODE_FAILED = "main-mode-failed"
    """Refused with, or because of, the certificate of round 1."""
    MAIN_MODE_FAILED_EARLY = "main-mode-failed-early"
    """Refused, or given up, before any certificate was seen."""
    EXTENDED_MODE_FAILED = "extended-mode-failed"
    """Round 1 is done, and round 2 (the computer account, the user) was refused."""
    QUICK_MODE_FAILED = "quick-mode-failed"
    """Authenticated, but prefixes or algorithms do not agree."""
    QUICK_MODE_ESTABLISHED = "quick-mode-established"
    QUICK_MODE_ENDED = "quick-mode-ended"
    MAIN_MODE_ENDED = "main-mode-ended"
    USER_LOGON = "user-logon"
    USER_LOGON_FAILED = "user-logon-failed"
    USER_LOGOFF = "user-logoff"
    IPHTTPS_OPENED = "iphttps-opened"
    IPHTTPS_REFUSED = "iphttps-refused"
    IPHTTPS_CLOSED = "iphttps-closed"
    TOKEN_MADE = "token-made"
    """A computer may join."""
    TOKEN_VOIDED = "token-voided"
    TOKEN_EXPIRED = "token-expired"
    """Its time is over, and nobody has used it."""
    CERTIFICATE_ISSUED = "certificate-issued"
    CERTIFICATE_RENEWED = "certificate-renewed"
    CERTIFICATE_REVOKED = "certificate-revoked"
    ENROLMENT_REFUSED = "enrolment-refused"
    """No certificate, or no policy, was given to who asked the authority for one."""
    LEFT_OUT = "left-out"
    """A source was refused so often that the rest is only counted."""
    RECORDS_LOST = "records-lost"
    """The file could not be written; the records were in the journal only."""


WINDOWS_NUMBERS = {
    AuditEvent.USER_LOGON: 4624,
    AuditEvent.USER_LOGON_FAILED: 4625,
    AuditEvent.USER_LOGOFF: 4634,
    AuditEvent.MAIN_MODE_ESTABLISHED: 4651,
    AuditEvent.MAIN_MODE_FAILED: 4652,
    AuditEvent.MAIN_MODE_FAILED_EARLY: 4653,
    AuditEvent.QUICK_MODE_FAILED: 4654,
    AuditEvent.MAIN_MODE_ENDED: 4655,
    AuditEvent.EXTENDED_MODE_FAILED: 4984,
    AuditEvent.QUICK_MODE_ESTABLISHED: 5451,
    AuditEvent.QUICK_MODE_ENDED: 5452,
    AuditEvent.CERTIFICATE_REVOKED: 4870,
    AuditEvent.CERTIFICATE_ISSUED: 4887,
    AuditEvent.CERTIFICATE_RENEWED: 4887,
    AuditEvent.ENROLMENT_REFUSED: 4888,
}
"""Of the security log; those of certificates are AD CS's. 4650 (no certificate was used) never
happens: round 1 always uses one."""
AUTHORITY_EVENTS = "events.jsonl"
"""The name of an authority's file, in its directory."""


class Outcome(StrEnum):
    """How it ended."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    ENDED = "ended"
    """What was admitted is over."""
    NOTED = "noted"
    """Nobody has come or gone: tokens, and what the audit says of itself."""


OUTCOMES = {
    AuditEvent.MAIN_MODE_ESTABLISHED: Outcome.ADMITTED,
    AuditEvent.QUICK_MODE_ESTABLISHED: Outcome.ADMITTED,
    AuditEvent.USER_LOGON: Outcome.ADMITTED,
    AuditEvent.IPHTTPS_OPENED: Outcome.ADMITTED,
    AuditEvent.QUICK_MODE_ENDED: Outcome.ENDED,
    AuditEvent.MAIN_MODE_ENDED: Outcome.ENDED,
    AuditEvent.USER_LOGOFF: Outcome.ENDED,
    AuditEvent.IPHTTPS_CLOSED: Outcome.ENDED,
    AuditEvent.CERTIFICATE_ISSUED: Outcome.ADMITTED,
    AuditEvent.CERTIFICATE_RENEWED: Outcome.ADMITTED,
    AuditEvent.CERTIFICATE_REVOKED: Outcome.ENDED,
    AuditEvent.TOKEN_MADE: Outcome.NOTED,
    AuditEvent.TOKEN_VOIDED: Outcome.NOTED,
    AuditEvent.TOKEN_EXPIRED: Outcome.NOTED,
    AuditEvent.LEFT_OUT: Outcome.NOTED,
    AuditEvent.RECORDS_LOST: Outcome.NOTED,
}
"""All others are refusals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSeen:
    """A certificate that somebody has shown."""

    subject: str = ""
    issuer: str = ""
    serial: str = ""
    """In hexadecimal digits."""
    thumbprint: str = ""
    """SHA-256 of the whole certificate, in hexadecimal digits."""
    others: int = 0
    """How many more charon remembers for the same name; which one it was is then not sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a client is told of the last refusal of its own certificate."""

    age: float
    """Seconds since then; clocks may differ."""
    tunnel: str
    problem: str
    """The catalogue's code."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One event of the audit; "" and 0 stand for what is not known or does not apply."""

    at: float
    """Seconds since 1970-01-01 UTC."""
    event: AuditEvent
    side: str
    """Who tells it: ``gateway``, ``client`` or ``authority``."""
    computer: str = ""
    """The identity that the computer certificate names; proven unless main mode failed."""
    account: str = ""
    """The computer account."""
    user: str = ""
    transport: str = ""
    """Over what it came: ``native``, ``6to4``, ``teredo``, ``iphttps``."""
    outer_address: str = ""
    """Where it came from on the Internet."""
    outer_port: int = 0
    inner_address: str = ""
    """The IPv6 address with which the peer does IKE."""
    certificate: CertificateSeen | None = None
    problem: str = ""
    """The catalogue's code."""
    reason: str = ""
    tunnel: str = ""
    ike_sa: int = 0
    """charon's number of the IKE_SA, since charon was started."""
    count: int = 0
    """Of left out or lost records."""
    detail: str = ""
    windows: int = 0
    """The number in Windows' security log, 0 where it has none."""
    outcome: Outcome = Outcome.REFUSED


def record_of(event: AuditEvent, *, at: float, side: str, **values: object) -> AuditRecord:
    """Make a record with the event's own number and outcome."""
    return AuditRecord(
        at=at,
        event=event,
        side=side,
        windows=WINDOWS_NUMBERS.get(event, 0),
        outcome=OUTCOMES.get(event, Outcome.REFUSED),
        **values,  # type: ignore[arg-type]  # checked by the dataclass
    )
