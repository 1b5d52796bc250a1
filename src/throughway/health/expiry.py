"""How near the end of a certificate is, and what both daemons say of it: at 60, 30 and 7 days."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from throughway.catalogue import find
from throughway.health.tracker import Tracker

STEPS = (
    ("ends-this-week", timedelta(days=7)),
    ("expiring", timedelta(days=30)),
    ("renewal-due", timedelta(days=60)),
)
"""What is said so long before the end; the nearest counts."""
EXPIRED = "expired"
LONG_LIFE = timedelta(days=180)
"""Of certificates that live shorter one is warned as much later: one of 90 days is not near its
end from its second month on."""


def expiry_problem(certificate: x509.Certificate, use: str, now: datetime) -> str:
    """Return the catalogue's code for what the dates say of ``use`` (iphttps, ipsec), or ""."""
    left = certificate.not_valid_after_utc - now
    if left < timedelta(0):
        return f"{use}-cert-{EXPIRED}"
    for word, before in STEPS:
        if left < before * _share(certificate):
            return f"{use}-cert-{word}"
    return ""


def next_step(certificate: x509.Certificate, now: datetime) -> timedelta:
    """Return how long it is until something else is to be said; zero: never again."""
    left = certificate.not_valid_after_utc - now
    share = _share(certificate)
    times = [left - before * share for _, before in STEPS] + [left]
    return min((time for time in times if time > timedelta(0)), default=timedelta(0))


def tell_expiry(
    tracker: Tracker, certificate: x509.Certificate, use: str, file: Path, now: datetime
) -> None:
    """Set the one problem that holds of these dates, and clear the others."""
    code = expiry_problem(certificate, use, now)
    tracker.deadlines[use] = certificate.not_valid_after_utc.timestamp()
    for word in (EXPIRED, *(word for word, _ in STEPS)):
        problem = find(f"{use}-cert-{word}")
        if problem.code == code:
            ends = certificate.not_valid_after_utc
            tracker.set(problem, f"{file}: valid until {ends:%Y-%m-%d %H:%M} UTC")
        else:
            tracker.clear(problem)


def forget_expiry(tracker: Tracker, use: str) -> None:
    """Say nothing of dates any more: there is no such certificate."""
    tracker.deadlines.pop(use, None)
    for word in (EXPIRED, *(word for word, _ in STEPS)):
        tracker.clear(find(f"{use}-cert-{word}"))


def _share(certificate: x509.Certificate) -> float:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return min(1.0, life / LONG_LIFE)
