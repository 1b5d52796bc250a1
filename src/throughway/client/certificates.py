"""The computer certificate: watched, and renewed through the tunnel in time.

Its files are looked at again and again: whoever takes one away or puts a wrong one in its place
hears of it before the tunnels need it, and what is put right is used without anybody's help.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from throughway.catalogue import find
from throughway.catalogue.ipsec_certificate import (
    CERT_NAME_MISMATCH,
    CERT_NO_PRIVATE_KEY,
    CERT_NOT_YET_VALID,
    NO_MACHINE_CERT,
)
from throughway.health import log
from throughway.health.expiry import expiry_problem, next_step, tell_expiry
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.model.findings import Component, Problem
from throughway.model.policy import Policy
from throughway.net.files import read_file, read_secret
from throughway.net.renewal import Pair, renew
from throughway.pki import judgement, pem
from throughway.pki.judgement import Validity

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the files."""
TORN = 1.0
"""Seconds that somebody has who puts two files in place, one after the other."""
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
        self._identity = config.identity
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
        self._dates = ("", "")
        """Of which certificate what was told of its dates: nobody else's word is taken back."""
        self._wrong: Problem | None = None
        """What is wrong with the files."""
        self._missed = False
        """Whether there was nothing that could be used when others read the files."""
        self._torn = False
        """Whether the key was not that of the certificate a moment ago."""

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
        """Look at the files: what is wrong with them, and whether others are to be used."""
        file, torn = self._pair.certificate, self._torn
        self._torn = False
        try:
            certificate, *others = pem.parse_certificates(read_file(file), str(file))
        except (ThroughwayError, ValueError) as error:
            # Until there is one there is nothing to renew.
            self._wanted_at = 0.0
            self._tell_wrong(NO_MACHINE_CERT, _words(file, "certificate", error))
            return
        self._tell_dates(certificate)
        if self._on_token:
            self._used, self._wanted_at = certificate, 0.0
        elif why := self._key_fault(certificate, *others):
            self._torn = not torn
            if torn:
                self._tell_wrong(CERT_NO_PRIVATE_KEY, _words(self._pair.key, "key", why))
            return
        self._tell_fault(certificate)
        former, self._used = self._used, certificate
        missed, self._missed = self._missed, False
        if missed or former not in (None, certificate):
            await self._take(certificate)

    def _key_fault(self, certificate: x509.Certificate, *others: x509.Certificate) -> str:
        """Say why the key is not the first certificate's, "" when it is."""
        file = self._pair.key
        try:
            key = pem.parse_key(read_secret(file), str(file))
        except (ThroughwayError, ValueError) as error:
            return str(error)
        if pem.same_key(certificate, key):
            return ""
        if why := pem.misplaced((certificate, *others), key):
            return f"{self._pair.certificate}: it {why}"
        return f"does not belong to {self._pair.certificate}"

    def _tell_fault(self, certificate: x509.Certificate) -> None:
        file, names = self._pair.certificate, judgement.names(certificate)
        if judgement.validity(certificate, datetime.now(UTC)) is Validity.NOT_YET_VALID:
            begins = certificate.not_valid_before_utc
            words = f"{file}: valid from {begins:%Y-%m-%d %H:%M} UTC"
            self._tell_wrong(CERT_NOT_YET_VALID, words)
        elif names and not judgement.covers(certificate, self._identity):
            words = f"{file} is for {', '.join(names)}, not for {self._identity}"
            self._tell_wrong(CERT_NAME_MISMATCH, words)
        else:
            self._tell_wrong(None)

    def _tell_wrong(self, problem: Problem | None, words: str = "") -> None:
        """Tell what is wrong; take back what was, as far as it was said here."""
        former, self._wrong = self._wrong, problem
        if former is not None and former is not problem:
            self._tracker.clear(former)
        if problem is None:
            return
        if problem is not former:
            self._log.warning("the computer certificate cannot be used", reason=words)
        self._missed = self._missed or problem in (NO_MACHINE_CERT, CERT_NO_PRIVATE_KEY)
        self._tracker.set(problem, words)

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
        if self._torn:
            return TORN
        step = timedelta(0)
        if self._used is not None:
            step = next_step(self._used, datetime.now(UTC))
        return min(LOOK_INTERVAL, step.total_seconds() + 1) if step else LOOK_INTERVAL

    def _tell_dates(self, certificate: x509.Certificate) -> None:
        self._wanted_at = judgement.renewal_time(certificate).timestamp()
        now, ends = datetime.now(UTC), certificate.not_valid_after_utc
        dates = judgement.serial_of(certificate), expiry_problem(certificate, "ipsec", now)
        if dates != self._dates:
            self._dates = dates
            tell_expiry(self._tracker, certificate, "ipsec", self._pair.certificate, now)
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


def _words(file: Path, key: str, why: object) -> str:
    """Say what is wrong with a file in the words of who else reads it."""
    return f"{file}: {key}: {str(why).removeprefix(f'{file} ').removeprefix(f'{file}: ')}"
