"""What the gateway looks at from time to time: the dates of its certificates."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from throughway.catalogue import find
from throughway.health.tracker import Tracker
from throughway.model.config import GatewayConfig
from throughway.model.errors import ConfigError
from throughway.model.findings import Component
from throughway.pki.pem import parse_certificate

WARNING_TIME = timedelta(days=30)
"""How long before its end a certificate is warned about."""
INTERVAL = 3600.0
"""Seconds between two looks."""


def read_certificate(file: Path) -> x509.Certificate:
    """Return the certificate in a PEM file; ConfigError when there is none."""
    try:
        return parse_certificate(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(str(file), "", f"cannot be read: {error.strerror}") from error


def expiry_problem(certificate: x509.Certificate, use: str, now: datetime) -> str:
    """Return the catalogue's code for what the dates say of ``use`` (iphttps, ipsec), or ""."""
    if now > certificate.not_valid_after_utc:
        return f"{use}-cert-expired"
    if now > certificate.not_valid_after_utc - WARNING_TIME:
        return f"{use}-cert-expiring"
    return ""


async def watch_dates(
    config: Callable[[], GatewayConfig], tracker: Tracker, changed: asyncio.Event
) -> None:
    """Look at the dates every hour, when one comes, and when ``changed`` is set."""
    while True:
        pause = INTERVAL
        changed.clear()
        try:
            left = look_at_dates(config(), tracker).total_seconds()
        except ConfigError as error:
            tracker.set(find("iphttps-no-usable-cert"), str(error))
        else:
            pause = min(pause, left + 1) if left > 0 else pause
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await changed.wait()


def look_at_dates(config: GatewayConfig, tracker: Tracker) -> timedelta:
    """Warn of certificates that expire soon, or have; return the time until the next does."""
    now = datetime.now(UTC)
    nearest = now + timedelta(days=36500)
    tracker.forget(Component.CERTIFICATES)
    tracker.clear(find("iphttps-no-usable-cert"))
    for use, file in (
        ("iphttps", config.iphttps.certificate),
        ("ipsec", config.ipsec.certificate),
    ):
        if file is None:
            continue
        certificate = read_certificate(file)
        code = expiry_problem(certificate, use, now)
        ends = certificate.not_valid_after_utc
        nearest = min(nearest, ends)
        for word in ("expired", "expiring"):
            problem = find(f"{use}-cert-{word}")
            if problem.code == code:
                tracker.set(problem, f"{file}: valid until {ends:%Y-%m-%d %H:%M} UTC")
            else:
                tracker.clear(problem)
    word = "valid until" if nearest > now else "not all in force: one ended on"
    tracker.ok(Component.CERTIFICATES, f"{word} {nearest:%Y-%m-%d}")
    return nearest - now
