"""The two tunnels of a client: asked for where there is a way, and told of when they change."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from throughway.catalogue import find
from throughway.client.audit import ClientAudit
from throughway.client.certificates import CertificateKeeper
from throughway.client.ipsec import INFRASTRUCTURE, INTRANET, ClientIPsec
from throughway.client.reasons import MARK, Reasons
from throughway.client.user import User
from throughway.health import log
from throughway.health.tracker import Tracker, problem_of
from throughway.model.config import ClientConfig
from throughway.model.errors import IPsecError, ThroughwayError
from throughway.model.findings import Component, Severity
from throughway.model.policy import Policy
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net import kerberos
from throughway.net.revocation_lists import RevocationLists

RETRY = 2.0
"""Seconds after which charon is started again when it could not be."""


class Tunnels:
    """Both tunnels, from :meth:`start` to :meth:`stop`.

    ``keep`` keeps a task; ``carrier()`` is the transport that carries, for the audit;
    ``on_change()`` is called when something changed, ``on_lost()`` when the infrastructure tunnel
    is down that was up.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        tracker: Tracker,
        *,
        ccache: Path,
        lists: RevocationLists,
        audit: ClientAudit,
        certificates: CertificateKeeper,
        keep: Callable[[Coroutine[Any, Any, None]], None],
        carrier: Callable[[], str],
        on_change: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._log = log.logger("client")
        self._policy = policy
        self._tracker = tracker
        self._ccache = ccache
        self._audit, self._certificates = audit, certificates
        self._keep, self._carrier = keep, carrier
        self._on_change, self._on_lost = on_change, on_lost
        self.ipsec = ClientIPsec(
            config,
            policy,
            lists=lists,
            on_change=on_change,
            on_failure=self.failed,
            on_daemon=self._daemon_changed,
        )
        self._reasons = Reasons(config, policy, self._explained)
        self._raised: tuple[str, int] | None = None
        """Address and number of the way over which the infrastructure tunnel was asked for."""
        self._raised_for = ""
        """The user for whom the intranet tunnel was asked for."""
        self._told: dict[str, TunnelState] = {}
        """The states of the tunnels that the log has."""

    async def start(self) -> None:
        """Start charon, as often as it takes."""
        while True:
            try:
                await self.ipsec.start()
            except IPsecError as error:
                self._tracker.report(error, attempt="ipsec")
                await asyncio.sleep(RETRY)
            else:
                self._on_change()
                return

    async def stop(self) -> None:
        """Take both down, and charon with them."""
        try:
            await self._reasons.close()
        finally:
            await self.ipsec.stop()

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy."""
        self._policy = policy
        await self.ipsec.update_policy(policy)
        self._reasons.update_policy(policy)

    async def set_user(self, former: User | None, user: User | None) -> None:
        """Take another user, or the same one with a new ticket, or nobody."""
        self._raised_for = ""
        if former is not None and former != user:
            await self.ipsec.down(INTRANET)
        # What is still being asked is about the former one.
        self._reasons.forget(INTRANET)
        self._tracker.succeeded("tunnel-intranet")

    def of(self, name: str) -> TunnelStatus:
        """Return one of them."""
        return next(tunnel for tunnel in self.ipsec.tunnels() if tunnel.name == name)

    def up(self, name: str) -> bool:
        """Say whether one of them is up."""
        return self.of(name).state is TunnelState.UP

    def shown(self) -> tuple[TunnelStatus, ...]:
        """Return both, with what the gateway says of them."""
        return self._reasons.shown(self.ipsec.tunnels())

    async def release(self) -> None:
        """Take both down: they are not needed."""
        if self._raised is not None:
            for name in (INTRANET, INFRASTRUCTURE):
                await self.ipsec.down(name)
            self._raised, self._raised_for = None, ""

    def raise_infrastructure(self, way: tuple[str, int]) -> None:
        """Ask for the tunnel once for each address and link; it sees to itself from then on.

        A new link may lead to a gateway that was restarted and has forgotten the tunnels.
        """
        if way != self._raised:
            self._raised = way
            self._attempt(self.ipsec.up_infrastructure(way[0], renew=True))

    def raise_intranet(self, user: User) -> None:
        """Ask for the tunnel once for each user and ticket."""
        if user.principal != self._raised_for:
            self._raised_for = user.principal
            self._attempt(self.ipsec.up_intranet(user.principal, user.key or self._token))

    def _attempt(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Start an attempt; its failures come by ``on_failure``, and it repeats itself."""

        async def tried() -> None:
            with contextlib.suppress(ThroughwayError):
                await attempt

        self._keep(tried())

    async def _token(self) -> bytes:
        policy = self._policy
        return await kerberos.make_token_apart(
            self._ccache, policy.kerberos_service, realm=policy.kerberos_realm
        )

    def failed(self, name: str, reason: str, problem: str) -> None:
        """Tell why a tunnel is not up."""
        self._log.warning("tunnel failed", tunnel=name, reason=reason, problem=problem or None)
        if problem.startswith("ipsec-cert-"):
            self._keep(self._certificates.refused())
        error = IPsecError(reason, problem=problem or f"ipsec-{name}-tunnel-down")
        self._report(name, self._reasons.failed(name, error))

    def _report(self, name: str, error: IPsecError) -> None:
        self._audit.tunnel_failed(name, error, self._carrier())
        problem = problem_of(error)
        if str(error).startswith(MARK):
            # One account's trouble is a small thing for a gateway; here it keeps the tunnel down.
            problem = replace(problem, severity=Severity.CRITICAL, component=Component.IPSEC)
        self._tracker.set(problem, str(error), attempt=f"tunnel-{name}")

    def _explained(self, name: str, error: IPsecError) -> None:
        """The gateway has said why."""
        self._log.warning("tunnel refused", tunnel=name, reason=str(error), problem=error.problem)
        self._report(name, error)

    def _daemon_changed(self, reason: str) -> None:
        down = find("ipsec-daemon-down")
        if reason:
            self._log.error("charon ended", reason=reason)
            self._tracker.set(down, reason, attempt="ipsec")
        else:
            self._tracker.succeeded("ipsec")
            self._tracker.clear(down)
        self._on_change()

    def settle(self) -> None:
        """Tell what the tunnels are; take back what was said against those that are up."""
        for name in (INFRASTRUCTURE, INTRANET):
            tunnel = self.of(name)
            told = self._told.get(name, TunnelState.DOWN)
            if tunnel.state is not told:
                self._told[name] = tunnel.state
                if told is TunnelState.UP and name == INFRASTRUCTURE:
                    self._on_lost()
                account = tunnel.account or None
                self._log.info("tunnel", tunnel=name, state=str(tunnel.state), account=account)
                if tunnel.state is TunnelState.UP:
                    self._certificates.connected()
                    self._audit.tunnel_up(tunnel, self._carrier())
                elif told is TunnelState.UP:
                    self._audit.tunnel_down(tunnel)
            if tunnel.state is TunnelState.UP:
                self._tracker.succeeded(f"tunnel-{name}")
                self._reasons.forget(name)
