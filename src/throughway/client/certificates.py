"""The computer certificate: its dates are watched, and it is renewed through the tunnel in time."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509

from throughway.catalogue import find
from throughway.health import log
from throughway.health.expiry import next_step, tell_expiry
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.net.files import read_file
from throughway.net.renewal import Pair, renew
from throughway.pki import judgement, pem

LOOK_INTERVAL = 3600.0
"""Seconds between two looks at the dates."""
FIRST_BACKOFF, LAST_BACKOFF = 60.0, 6 * 3600.0
"""Seconds between attempts that fail; a third of the certificate's life is left for them."""

ATTEMPT = "renewal"
NOT_RENEWED = "certificate-not-renewed"


class CertificateKeeper:
    """Watches one certificate; ``on_renewed`` is awaited when another one is in its place."""

    def __init__(
        self,
        config: ClientConfig,
        tracker: Tracker,
        on_renewed: Callable[[], Awaitable[None]],
    ) -> None:
        self._pair = Pair(config.certificate, config.key)
        self._on_token = config.token_key is not None
        """Whether the key is in no file: then only the dates are watched."""
        self._tracker = tracker
        self._on_renewed = on_renewed
        self._log = log.logger("certificates")
        self._policy: Policy | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._wanted_at = 0.0
        """When it is to be renewed, in seconds since 1970; 0: not known."""
        self._not_before = 0.0
        """When it may be tried again, on the loop's clock."""
        self._backoff = FIRST_BACKOFF
        self._failure = ""
        """Why the last renewal failed."""
        self._used: x509.Certificate | None = None

    def start(self) -> None:
        """Begin to watch; what a power cut has left half done is finished."""
        with contextlib.suppress(OSError):
            self._pair.recover()
        self._watcher = asyncio.create_task(self._watch(), name="certificate")

    async def close(self) -> None:
        """Stop."""
        for task in (self._watcher, self._renewing):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))

    def set_policy(self, policy: Policy) -> None:
        """Take a policy: it says where the authority is, and who it is."""
        self._policy = policy

    def authority_reachable(self) -> None:
        """Renew in the background if it is time: the infrastructure is there, by tunnel or not."""
        if self._renewing is not None and not self._renewing.done():
            return
        if self._policy is None or not self._policy.enrolment_url or not self._wanted_at:
            return
        loop = asyncio.get_running_loop()
        if time.time() >= self._wanted_at and loop.time() >= self._not_before:
            self._renewing = loop.create_task(self._renew(self._policy))

    async def renew_now(self) -> str:
        """Renew at once because somebody asks for it; ThroughwayError when that cannot be."""
        policy = self._policy
        if policy is None or not policy.enrolment_url or self._on_token:
            raise ConfigError(
                str(self._pair.certificate),
                "",
                "this computer was not enrolled by an authority that renews: put another "
                "certificate in its place, or join again with a token",
            )
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(policy))
        # Who asks may give up before it is done.
        await asyncio.shield(self._renewing)
        if self._failure:
            raise TrustError(self._failure, problem=NOT_RENEWED)
        return f"renewed: {self._pair.certificate}"

    def connected(self) -> None:
        """The infrastructure tunnel has come up with the certificate in place."""
        with contextlib.suppress(OSError):
            self._pair.forget_old()

    async def refused(self) -> None:
        """A tunnel has failed for the certificate: one that was replaced lately comes back."""
        try:
            back = self._pair.fall_back(datetime.now(UTC))
        except (ThroughwayError, OSError) as error:
            self._log.warning("no way back to the former certificate", reason=str(error))
            return
        if back:
            self._log.warning("the new certificate is refused: the former one is back in place")
            self._put_off()
            await self.look()

    async def look(self) -> None:
        """Look at the files: the dates, and whether there is another certificate to be used."""
        if self._on_token:
            self._look_at_dates()
            return
        try:
            (certificate, *_), key = self._pair.read()
        except ThroughwayError as error:
            # Who uses it says so; until then there is nothing to renew.
            self._log.warning("no certificate to watch", reason=str(error))
            self._wanted_at = 0.0
            return
        self._tell(certificate)
        whole = pem.same_key(certificate, key)  # else somebody is putting two files in place
        if whole and certificate != self._used:
            former, self._used = self._used, certificate
            if former is not None:
                await self._take(certificate)

    def _look_at_dates(self) -> None:
        file = self._pair.certificate
        try:
            self._used = pem.parse_certificate(read_file(file), str(file))
        except (ThroughwayError, ValueError) as error:
            self._log.warning("no certificate to watch", reason=str(error))
            return
        self._tell(self._used)
        self._wanted_at = 0.0

    async def _take(self, certificate: x509.Certificate) -> None:
        serial = judgement.serial_of(certificate)
        self._log.info("another certificate is used from now on", serial=serial)
        try:
            await self._on_renewed()
        except ThroughwayError as error:
            self._log.warning("the certificate cannot be used", reason=str(error))

    async def _watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Return for how long there is nothing to say."""
        step = timedelta(0)
        if self._used is not None:
            step = next_step(self._used, datetime.now(UTC))
        return min(LOOK_INTERVAL, step.total_seconds() + 1) if step else LOOK_INTERVAL

    def _tell(self, certificate: x509.Certificate) -> None:
        self._wanted_at = judgement.renewal_time(certificate).timestamp()
        file = self._pair.certificate
        tell_expiry(self._tracker, certificate, "ipsec", file, datetime.now(UTC))
        ends = certificate.not_valid_after_utc
        self._tracker.ok(Component.CERTIFICATES, f"valid until {ends:%Y-%m-%d}")

    async def _renew(self, policy: Policy) -> None:
        try:
            made = await renew(
                self._pair, policy.enrolment_url, policy.trust_anchors, datetime.now(UTC)
            )
        except (ThroughwayError, OSError) as error:
            self._failure = str(error)
            self._put_off()
            self._log.warning("certificate not renewed", reason=str(error))
            self._tracker.set(find(NOT_RENEWED), str(error))
            return
        self._failure = ""
        self._backoff = FIRST_BACKOFF
        self._tracker.clear(find(NOT_RENEWED))
        self._log.info("certificate renewed", until=f"{made.not_valid_after_utc:%Y-%m-%d %H:%M}")
        await self.look()

    def _put_off(self) -> None:
        pause = self._backoff * random.uniform(0.5, 1.0)
        self._not_before = asyncio.get_running_loop().time() + pause
        self._backoff = min(LAST_BACKOFF, self._backoff * 2)
