"""This computer's health: looked at, stated to the gateway, and stated anew when it changes.

The gateway's health registration authority is asked as :mod:`~.reasons` are: by TLS with the
computer certificate, at the infrastructure endpoint, since who is refused inside must still reach
it. Nothing is stated while that tunnel is down. With the answer a health certificate may come, of
a key that was made for it; both are kept, while they are good, where no disk has them.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from throughway.catalogue import find
from throughway.client.computer_key import shown_by_tls
from throughway.client.ipsec import HEALTH_CERTIFICATE
from throughway.control.codec import decode_line, encode_line, from_json, to_json
from throughway.health import log
from throughway.health.tracker import Change, Tracker
from throughway.model.config import ClientConfig
from throughway.model.errors import ThroughwayError, TrustError
from throughway.model.policy import Policy
from throughway.model.statement import (
    Failing,
    HealthMode,
    HealthPolicy,
    HealthStatus,
    Judged,
    StatementOfHealth,
)
from throughway.net import firewall
from throughway.net.audit import clean
from throughway.net.collectors import Machine, collect
from throughway.net.exchange import Asked
from throughway.net.fetch import fetch
from throughway.net.files import PRIVATE, write_atomically
from throughway.net.tls import client_context
from throughway.pki.pem import build_key_pem
from throughway.proto.statement import enforced, judge

PATH = "/health"
LOOK_INTERVAL = 20.0
"""Seconds between two looks: what changes acts within a minute."""
SLOW_INTERVAL = 900.0
"""Seconds between two looks at what costs seconds of a processor."""
REACHABLE = 45.0
"""Seconds for which the infrastructure tunnel counts as up after it was last seen so."""
FIRST_BACKOFF, LAST_BACKOFF = 2.0, 60.0
LIMIT = 64 * 1024
"""Bytes of an answer."""
TIMEOUT = 10.0
MISSING, FAILED, UNANSWERED = (
    *("ipsec-health-certificate-missing", "health-check-failed"),
    "health-registration-failed",
)

Ask = Callable[[Policy, StatementOfHealth], Awaitable[Judged]]


class HealthKeeper:
    """States this computer's health; ``on_healthy()`` hears that the gateway lets it in again."""

    def __init__(
        self,
        config: ClientConfig,
        tracker: Tracker,
        on_healthy: Callable[[], None],
        *,
        machine: Machine | None = None,
        ask: Ask | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._tracker = tracker
        self._on_healthy = on_healthy
        self._machine = machine or Machine()
        self._ask = ask or self._ask_gateway
        self._clock = clock
        self._log = log.logger("health")
        self._policy: Policy | None = None
        self._statement: StatementOfHealth | None = None
        self._slow_at = 0.0
        self._stated: object = None
        """What of the last statement a change of must be told."""
        self._judged: Judged | None = None
        self._file = config.runtime_directory / HEALTH_CERTIFICATE
        self._beside = b""
        """The computer certificate that was shown for the health certificate."""
        self._last_error = ""
        self._reachable_until = 0.0
        self._next_at, self._backoff = 0.0, FIRST_BACKOFF
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        tracker.subscribe(self._heard)

    def start(self) -> None:
        """Begin to look, as soon as there is a policy that asks for it."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def set_policy(self, policy: Policy) -> None:
        """Take a newer policy."""
        changed = self._policy is None or self._policy.health != policy.health
        self._policy = policy
        if changed:
            self._judged, self._stated = None, None
            self.look()
        if policy.health.mode is HealthMode.OFF:
            self._file.unlink(missing_ok=True)
            self._settle()

    def connected(self) -> None:
        """The infrastructure tunnel is up."""
        was, self._reachable_until = self._reachable_until, self._clock() + REACHABLE
        if was < self._clock():
            self._next_at, self._backoff = 0.0, FIRST_BACKOFF
            self._woken.set()

    def look(self) -> None:
        """Look at everything now, also at what is dear, and state it."""
        self._slow_at = self._next_at = 0.0
        self._woken.set()

    def status(self) -> HealthStatus | None:
        """Return what is known, None where nothing is asked."""
        health = self._health
        if health.mode is HealthMode.OFF:
            return None
        judged = self._judged
        return HealthStatus(
            mode=health.mode,
            checks=self._statement.results if self._statement is not None else (),
            healthy=judged.healthy if judged is not None else None,
            until=judged.until if judged is not None else 0.0,
            failing=judged.failing if judged is not None else (),
            last_error=self._last_error,
            deferred_until="" if enforced(health, self._clock()) else health.deferred_until,
            certified_until=judged.until if judged is not None and judged.certificate else 0.0,
        )

    @property
    def _health(self) -> HealthPolicy:
        return self._policy.health if self._policy is not None else HealthPolicy()

    async def _watch(self) -> None:
        while True:
            self._woken.clear()
            if self._health.mode is not HealthMode.OFF:
                await self.step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._woken.wait()

    def _pause(self) -> float:
        """Return the seconds to the next step: sooner where an answer is still owed."""
        if self._last_error and self._reachable:
            return min(LOOK_INTERVAL, max(FIRST_BACKOFF, self._next_at - self._clock()))
        return LOOK_INTERVAL

    @property
    def _reachable(self) -> bool:
        return self._clock() < self._reachable_until

    async def step(self) -> None:
        """Look once, and state what is to be stated."""
        policy, now = self._policy, self._clock()
        assert policy is not None
        self._look_at_certificate(now)
        slow = now >= self._slow_at
        found = await asyncio.to_thread(collect, policy.health, self._machine, slow=slow)
        if slow:
            self._slow_at = now + SLOW_INTERVAL
        self._statement = statement = _merged(policy.health, self._statement, found)
        if self._reachable and self._due(policy.health, statement, now):
            await self._state(policy, statement)

    def _due(self, health: HealthPolicy, statement: StatementOfHealth, now: float) -> bool:
        if _essence(health, statement) != self._stated:
            return now >= self._next_at or not self._last_error
        judged = self._judged
        if judged is None or self._tracker.holds(find(MISSING)):
            return now >= self._next_at
        return judged.healthy and now >= judged.until - health.hours * 3600 / 2

    async def _state(self, policy: Policy, statement: StatementOfHealth) -> None:
        now = self._clock()
        self._next_at = now + self._backoff
        self._backoff = min(LAST_BACKOFF, self._backoff * 2)
        key, own = ec.generate_private_key(ec.SECP256R1()), self._own_certificate()
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        try:
            judged = await self._ask(policy, replace(statement, key=point.hex()))
            if judged.refused:
                raise TrustError(clean(judged.refused))
        except (ThroughwayError, OSError) as error:
            self._last_error = str(error)
            self._log.warning("health not stated", reason=str(error))
            self._tracker.set(find(UNANSWERED), str(error))
            return
        before, self._judged = self._judged, judged
        self._keep_certificate(judged.certificate, key, own)
        self._stated = _essence(policy.health, statement)
        self._last_error = ""
        if before is None or before.healthy != judged.healthy:
            words = "; ".join(_cleaned(judged.failing)) or None
            self._log.info("health judged", healthy=judged.healthy, failing=words)
        self._settle()
        held = self._tracker.holds(find(MISSING))
        first = bool(judged.certificate) and (before is None or not before.certificate)
        if judged.healthy and (held or first or (before is not None and not before.healthy)):
            self._on_healthy()

    def _own_certificate(self) -> bytes:
        try:
            return self._config.certificate.read_bytes()
        except OSError:
            return b""

    def _keep_certificate(
        self, certificate: str, key: ec.EllipticCurvePrivateKey, own: bytes
    ) -> None:
        self._beside = own
        if certificate:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._file, certificate.encode() + build_key_pem(key), PRIVATE)
        else:
            self._file.unlink(missing_ok=True)

    def _look_at_certificate(self, now: float) -> None:
        """Forget one that is over, and ask for another where it did not help, or where it stands
        on a computer certificate that was renewed."""
        judged = self._judged
        if judged is None or not judged.certificate or now >= judged.until:
            self._file.unlink(missing_ok=True)
        elif not self._file.exists() or self._own_certificate() != self._beside:
            self._judged, self._stated = None, None

    def _settle(self) -> None:
        """Tell what the gateway has said."""
        self._tracker.clear(find(UNANSWERED))
        judged = self._judged
        if judged is not None and judged.failing:
            self._tracker.set(find(FAILED), "; ".join(_cleaned(judged.failing)))
        else:
            self._tracker.clear(find(FAILED))

    def _heard(self, change: Change) -> None:
        """The gateway wants health that it has forgotten, or never heard of."""
        if change.code == MISSING and change.held:
            self._next_at, self._backoff = 0.0, FIRST_BACKOFF
            self._woken.set()

    async def _ask_gateway(self, policy: Policy, statement: StatementOfHealth) -> Judged:
        host = urlsplit(policy.iphttps_url).hostname or ""
        context = await asyncio.to_thread(self._context, policy)

        async def resolve(_name: str) -> Sequence[str]:
            return (policy.infrastructure.endpoint,)

        headers = {"content-type": "application/json"}
        body = encode_line(to_json(statement))
        data = await fetch(
            f"https://{host}:{policy.reasons_port}{PATH}",
            Asked(method="POST", headers=headers, body=body),
            tls=context,
            resolve=resolve,
            mark=firewall.MARK,
            limit=LIMIT,
            seconds=TIMEOUT,
        )
        return from_json(Judged, decode_line(data))

    def _context(self, policy: Policy) -> ssl.SSLContext:
        own = self._config.iphttps_ca
        return client_context(
            anchors=policy.trust_anchors if own is None else (own.read_text(),),
            system=own is None,
            **shown_by_tls(self._config),
        )


def _merged(
    health: HealthPolicy, before: StatementOfHealth | None, found: StatementOfHealth
) -> StatementOfHealth:
    """Return what was found, with what was not looked at this time as it was before."""
    known = {result.name: result for result in (before.results if before is not None else ())}
    known |= {result.name: result for result in found.results}
    wanted = dict.fromkeys((*health.required, *(check.name for check in health.checks)))
    return StatementOfHealth(
        agent=found.agent, results=tuple(known[name] for name in wanted if name in known)
    )


def _essence(health: HealthPolicy, statement: StatementOfHealth) -> object:
    """Return what is stated anew when it changes: not that something is a day older."""
    states = tuple((result.name, result.state) for result in statement.results)
    return states, tuple(failing.name for failing in judge(health, statement))


def _cleaned(failing: Sequence[Failing]) -> list[str]:
    return [clean(str(each)) for each in failing]
