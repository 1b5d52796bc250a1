"""The health registration authority: judges what computers state, and says who comes in.

A statement comes by TLS from whoever has the key of a computer certificate
(:mod:`~.reasons_process`). A computer that is found healthy is believed for some hours; in mode
full the intranet tunnel is refused to all others (13905), with the checks that fail. The
infrastructure tunnel stays open to them: what mends a computer is behind it. With an authority
of its own it gives the healthy a certificate (:mod:`~.health_certificates`), and charon, too, wants
to see that.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from cryptography import x509

from throughway.gateway.gate import Gate
from throughway.gateway.health_certificates import HealthCertificates, demanded
from throughway.health import log
from throughway.model.config import Computer, GatewayConfig
from throughway.model.errors import ThroughwayError, TrustError
from throughway.model.statement import (
    ComputerHealth,
    Failing,
    HealthMode,
    HealthPolicy,
    Judged,
    StatementOfHealth,
)
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.radius import Login
from throughway.pki import judgement
from throughway.pki.authority import is_health
from throughway.pki.computer_certificate import check_usage
from throughway.proto.access import Withheld
from throughway.proto.statement import enforced, judge

INTRANET = "intranet"
MISSING = "ipsec-health-certificate-missing"
FAILED = "health-check-failed"
MAX_COMPUTERS = 65536
"""That are remembered."""
SECONDS_PER_HOUR = 3600.0
INTERVAL = 15.0
"""Seconds between two looks at who is not believed any more."""

OnUnhealthy = Callable[[str, str, str], None]


class Tunnels(Protocol):
    """What of :class:`throughway.gateway.ipsec.GatewayIPsec` is needed here."""

    def computer(self, tunnel: str, remote_identity: str) -> Computer | None: ...

    async def cut(self, name: str, account: str) -> None: ...

    async def check_computer_certificate(self, certificate: x509.Certificate) -> None: ...

    def tunnels(self) -> tuple[TunnelStatus, ...]: ...


class HealthAuthority:
    """Knows who is healthy. ``on_unhealthy(reason, problem, peer)`` is for status and audit:
    a computer is kept out now."""

    def __init__(
        self,
        config: GatewayConfig,
        on_unhealthy: OnUnhealthy = lambda reason, problem, peer: None,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._policy = config.health, config.health.policy
        self._certificates = HealthCertificates()
        self._since = wall_clock()
        """Since when computers have known what is wanted of them."""
        self._was_enforced = enforced(self._policy, self._since)
        self._on_unhealthy = on_unhealthy
        self._clock = wall_clock
        self._log = log.logger("health")
        self._computers: OrderedDict[str, ComputerHealth] = OrderedDict()
        self._ipsec: Tunnels | None = None
        self._spawn: Callable[[Coroutine[Any, Any, None]], None] | None = None

    @property
    def policy(self) -> HealthPolicy:
        """What is wanted of computers."""
        return self._policy

    @property
    def enforced(self) -> bool:
        """Whether health decides now about the intranet tunnel."""
        return enforced(self._policy, self._clock())

    def bind(self, ipsec: Tunnels, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Learn whose tunnels to cut; ``spawn`` runs the cut."""
        self._ipsec, self._spawn = ipsec, spawn

    def reload(self, config: GatewayConfig) -> None:
        """Take another policy; who was healthy by the old one states its health anew."""
        self._config = config.health
        if config.health.policy != self._policy:
            self._policy, self._since = config.health.policy, self._clock()
            self._computers.clear()

    def state(self, certificate: bytes, statement: StatementOfHealth) -> Judged:
        """Judge the statement of whoever has the key of a certificate (DER) of ours."""
        try:
            own = x509.load_der_x509_certificate(certificate)
            good = judgement.in_force(own, datetime.fromtimestamp(self._clock(), UTC))
            names = judgement.names(own)
            check_usage(own)
        except TrustError as error:
            return Judged(healthy=False, enforced=self.enforced, refused=str(error))
        except ValueError:
            return Judged(healthy=False, enforced=self.enforced, refused="no certificate is shown")
        if is_health(own):
            why = "a health certificate is shown in the place of the computer certificate"
            return Judged(healthy=False, enforced=self.enforced, refused=why)
        if not good:
            why = "the computer certificate is not in force"
            return Judged(healthy=False, enforced=self.enforced, refused=why)
        judged = self.register(names, statement)
        if not judged.healthy or not demanded(self._config, self._clock()):
            return judged
        return self._certified(own, names, statement, judged)

    def _certified(
        self,
        own: x509.Certificate,
        names: Sequence[str],
        statement: StatementOfHealth,
        judged: Judged,
    ) -> Judged:
        computer, directory = self._known(names), self._config.authority
        assert computer is not None
        assert directory is not None
        try:
            made = self._certificates.issue(
                directory, computer.identity, own, statement.key, self._clock(), judged.until
            )
        except (ThroughwayError, ValueError, OSError) as error:
            self._log.error("no health certificate", computer=computer.identity, reason=str(error))
            # To strangers no files are named: the reason is for who can mend it.
            return Judged(healthy=False, enforced=True, refused="no health certificate was issued")
        return replace(judged, certificate=made)

    def register(self, names: Sequence[str], statement: StatementOfHealth) -> Judged:
        """Judge the statement of a computer that has proven one of these names."""
        policy, now = self._policy, self._clock()
        if policy.mode is HealthMode.OFF:
            return Judged(healthy=True, enforced=False)
        computer = self._known(names)
        if computer is None:
            named = names[0] if names else "no name"
            why = f"no computer of this gateway is called {named}"
            return Judged(healthy=False, enforced=self.enforced, refused=why)
        failing = judge(policy, statement)
        until = 0.0 if failing else now + policy.hours * SECONDS_PER_HOUR
        self._note(computer, failing, now, until)
        return Judged(healthy=not failing, enforced=self.enforced, until=until, failing=failing)

    def guarding(self, gate: Gate) -> Gate:
        """Return the gate with health asked for before."""
        return _HealthGate(self, gate)

    def check(self, login: Login) -> None:
        """Raise TrustError about a user on a computer that must be healthy and is not."""
        if not login.connection.startswith(f"{INTRANET}-") or not self.enforced:
            return
        computer = self._ipsec.computer(login.connection, "") if self._ipsec is not None else None
        if computer is None:
            raise TrustError(f"{login.connection} is no computer's any more", problem=MISSING)
        if why := self._why_not(computer.identity):
            raise TrustError(why, problem=MISSING)

    async def check_owner(self, login: Login) -> None:
        """Raise TrustError where the certificate was revoked on which the health one stands."""
        if not login.connection.startswith(f"{INTRANET}-") or self._ipsec is None:
            return
        computer = self._ipsec.computer(login.connection, "")
        if computer is None or not demanded(self._config, self._clock()):
            return
        own = self._certificates.owner(computer.identity)
        if own is None:
            why = f"{computer.identity} was given no health certificate"
            raise TrustError(why, problem=MISSING)
        await self._ipsec.check_computer_certificate(own)

    def withheld(self, identity: str) -> Withheld | None:
        """Say in what a computer is not healthy that came without a health certificate."""
        if self._known((identity,)) is None or not self.enforced:
            return None
        why = self._why_not(identity) or f"{identity} has not shown its health certificate"
        return Withheld(MISSING, why)

    def also_of(self, thumbprint: str) -> str:
        """Return the thumbprint of the health certificate beside a computer's, "" for none."""
        return self._certificates.also_of(thumbprint)

    async def watch(self, reload: Callable[[], Awaitable[None]]) -> None:
        """End the tunnels of those who have not stated their health in time.

        ``reload`` is awaited on the day from which on what was deferred is demanded.
        """
        while True:
            await asyncio.sleep(INTERVAL)
            if self.enforced != self._was_enforced:
                self._was_enforced = self.enforced
                await reload()
            self.look()

    def look(self) -> None:
        """Cut the tunnels of who is not healthy, or not believed any more."""
        if not self.enforced or self._ipsec is None or self._spawn is None:
            return
        for tunnel in self._ipsec.tunnels():
            if tunnel.name != INTRANET or tunnel.state is not TunnelState.UP:
                continue
            computer = self._known((tunnel.remote_identity,))
            if computer is not None and (why := self._outlived(computer.identity)):
                self._on_unhealthy(
                    f"the {INTRANET} tunnel was ended: {why}", MISSING, _peer(tunnel)
                )
                self._spawn(self._ipsec.cut(INTRANET, computer.account))

    def _outlived(self, identity: str) -> str:
        """Say why an open tunnel ends, "" where it stays."""
        told = self._since + self._policy.hours * SECONDS_PER_HOUR
        if identity.lower() not in self._computers and self._clock() < told:
            return ""  # by another policy it was healthy, and would be believed until then
        return self._why_not(identity)

    def status(self) -> tuple[ComputerHealth, ...]:
        """Return what is known of computers, the latest last."""
        return tuple(self._computers.values())

    def _why_not(self, identity: str) -> str:
        known = self._computers.get(identity.lower())
        if known is None:
            return f"{identity} has not stated its health"
        if known.failing:
            return f"{identity} is not healthy: {_told(known.failing)}"
        if known.until <= self._clock():
            return f"{identity} has not stated its health for {self._policy.hours} hours"
        return ""

    def _known(self, names: Sequence[str]) -> Computer | None:
        if self._ipsec is None:
            return None
        found = (self._ipsec.computer("", each) for name in names for each in (name, name.lower()))
        return next(filter(None, found), None)

    def _note(
        self, computer: Computer, failing: tuple[Failing, ...], now: float, until: float
    ) -> None:
        key = computer.identity.lower()
        before = self._computers.pop(key, None)
        self._computers[key] = ComputerHealth(
            computer=computer.identity, healthy=not failing, at=now, until=until, failing=failing
        )
        while len(self._computers) > MAX_COMPUTERS:
            self._computers.popitem(last=False)
        if failing and (before is None or before.failing != failing):
            self._tell(computer, failing)
        elif not failing and (before is None or not before.healthy):
            self._log.info("computer is healthy", computer=computer.identity)
        if failing and self.enforced and self._ipsec is not None and self._spawn is not None:
            self._spawn(self._ipsec.cut(INTRANET, computer.account))

    def _tell(self, computer: Computer, failing: tuple[Failing, ...]) -> None:
        if self.enforced:
            self._on_unhealthy(_told(failing), FAILED, computer.identity)
        else:
            words = _told(failing)
            self._log.warning("computer not healthy", computer=computer.identity, reason=words)


class _HealthGate:
    """Asks for health, then another gate for the rest."""

    def __init__(self, health: HealthAuthority, inner: Gate) -> None:
        self._health = health
        self._inner = inner

    async def admit(self, login: Login) -> None:
        self._health.check(login)
        await self._health.check_owner(login)
        await self._inner.admit(login)

    def withheld(self, identity: str) -> Withheld | None:
        return self._inner.withheld(identity) or self._health.withheld(identity)

    def relayed(self, error: ThroughwayError | None) -> None:
        self._inner.relayed(error)


def _peer(tunnel: TunnelStatus) -> str:
    return f"{tunnel.remote_identity} ({tunnel.remote_address})"


def _told(failing: tuple[Failing, ...]) -> str:
    return "; ".join(map(str, failing))
