"""The gateway's own certificates: their dates are watched, and they are renewed in time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from throughway.catalogue import find
from throughway.health import log
from throughway.health.expiry import forget_expiry, next_step, tell_expiry
from throughway.health.tracker import Tracker
from throughway.model.config import GatewayConfig
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.model.findings import Component
from throughway.net.renewal import Pair, renew
from throughway.pki import judgement
from throughway.pki.pem import build_certificate_pem, parse_certificate, parse_certificates

LOOK_INTERVAL = 3600.0
"""Seconds between two looks at the certificates."""
RETRY_INTERVAL = 600.0
"""Seconds after which a renewal that failed is tried again; weeks are left then."""


def read_certificate(file: Path) -> x509.Certificate:
    """Return the certificate in a PEM file; ConfigError when there is none."""
    return parse_certificate(_read(file), str(file))


def look_at_dates(config: GatewayConfig, tracker: Tracker) -> timedelta:
    """Warn of certificates that expire soon, or have; return the time until more is to be said."""
    now = datetime.now(UTC)
    nearest, pause = now + timedelta(days=36500), timedelta(0)
    tracker.clear(find("iphttps-no-usable-cert"))
    for use, file in (
        ("iphttps", config.iphttps.certificate),
        ("ipsec", config.ipsec.certificate),
    ):
        if file is None:
            forget_expiry(tracker, use)
            continue
        certificate = read_certificate(file)
        tell_expiry(tracker, certificate, use, file, now)
        nearest = min(nearest, certificate.not_valid_after_utc)
        if step := next_step(certificate, now):
            pause = min(pause, step) if pause else step
    word = "valid until" if nearest > now else "not all in force: one ended on"
    tracker.ok(Component.CERTIFICATES, f"{word} {nearest:%Y-%m-%d}")
    return pause


class CertificateWatch:
    """Looks at the certificates from time to time; ``on_renewed`` puts new ones in force."""

    def __init__(self, tracker: Tracker, on_renewed: Callable[[], Awaitable[None]]) -> None:
        self._tracker = tracker
        self._on_renewed = on_renewed
        self._log = log.logger("certificates")
        self._changed = asyncio.Event()
        self._config: GatewayConfig | None = None
        self._waiting = False
        """Whether a new certificate is on the disk that is not in force yet."""
        self._one_at_a_time = asyncio.Lock()
        """What is due, and what somebody asks for, may come at once."""

    def configure(self, config: GatewayConfig) -> None:
        """Take a configuration, and look at once."""
        self._config = config
        self._changed.set()

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            self._changed.clear()
            pause = LOOK_INTERVAL
            if self._config is not None:
                pause = await self._look(self._config)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def renew_now(self) -> str:
        """Renew what our own authority has issued, due or not; ThroughwayError when it cannot."""
        config = self._config
        if config is None or config.enrolment is None:
            why = "there is no [enrolment]: put certificates of your authority in place, and reload"
            raise ConfigError(str(config.file) if config is not None else "", "enrolment", why)
        renewed = await self._renew_pairs(config, config.enrolment.url, due_only=False)
        if not renewed:
            raise TrustError("none of the certificates is of the authority in [enrolment]")
        if why := await self._put_in_force():
            raise TrustError(why)
        self._changed.set()
        return f"renewed: {', '.join(renewed)}"

    async def _look(self, config: GatewayConfig) -> float:
        """Look, renew what is due; return for how long there is nothing to do."""
        try:
            left = look_at_dates(config, self._tracker).total_seconds()
        except ThroughwayError as error:
            self._tracker.set(find("iphttps-no-usable-cert"), str(error))
            return LOOK_INTERVAL
        pause = min(LOOK_INTERVAL, left + 1) if left > 0 else LOOK_INTERVAL
        if config.enrolment is None:
            return pause
        why = [await self._renew(config, config.enrolment.url), await self._put_in_force()]
        if words := "; ".join(filter(None, why)):
            self._log.warning("certificate not renewed", reason=words)
            self._tracker.set(find("certificate-not-renewed"), words)
            return min(pause, RETRY_INTERVAL)
        self._tracker.clear(find("certificate-not-renewed"))
        return pause

    async def _put_in_force(self) -> str:
        """Let what was renewed be used, now or the next time; say why it cannot be."""
        if not self._waiting:
            return ""
        try:
            await self._on_renewed()
        except (ThroughwayError, OSError) as error:
            return f"it is renewed, but not in force: {error}"
        self._waiting = False
        return ""

    async def _renew(self, config: GatewayConfig, url: str) -> str:
        """Renew what is due and of our own authority; say why anything of it is not."""
        try:
            await self._renew_pairs(config, url)
        except (ThroughwayError, OSError) as error:
            return str(error)
        return ""

    async def _renew_pairs(
        self, config: GatewayConfig, url: str, *, due_only: bool = True
    ) -> tuple[str, ...]:
        """Return the files that were renewed."""
        async with self._one_at_a_time:
            return await self._renew_each(config, url, due_only=due_only)

    async def _renew_each(
        self, config: GatewayConfig, url: str, *, due_only: bool
    ) -> tuple[str, ...]:
        renewed: list[str] = []
        anchors = parse_certificates(_read(config.ipsec.ca), str(config.ipsec.ca))
        texts = [build_certificate_pem(anchor).decode() for anchor in anchors]
        now = datetime.now(UTC)
        for pair in pairs(config):
            own, *between = parse_certificates(_read(pair.certificate), str(pair.certificate))
            ours = judgement.chain(own, anchors, now, between).trusted
            if ours and (not due_only or now >= judgement.renewal_time(own)):
                made = await renew(pair, url, texts, now, by_proof=True)
                ends = made.not_valid_after_utc
                self._log.info("certificate renewed", file=str(pair.certificate), until=str(ends))
                self._waiting = True
                renewed.append(str(pair.certificate))
        return tuple(renewed)


def pairs(config: GatewayConfig) -> tuple[Pair, ...]:
    """Return the gateway's certificates with their keys, each once."""
    iphttps, ipsec = config.iphttps, config.ipsec
    found = (
        (iphttps.certificate, iphttps.key),
        (iphttps.rsa_certificate, iphttps.rsa_key),
        (ipsec.certificate, ipsec.key),
    )
    return tuple(dict.fromkeys(Pair(c, k) for c, k in found if c is not None and k is not None))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(str(file), "", f"cannot be read: {error.strerror}") from error
