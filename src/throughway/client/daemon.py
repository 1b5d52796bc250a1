"""The client daemon: its life, its policy, its user, and what it answers."""

import asyncio
import base64
import binascii
import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from throughway import __version__
from throughway.catalogue import find
from throughway.client import settings
from throughway.client.access import Access
from throughway.client.audit import client_audit
from throughway.client.cards import REMOVED, SmartCards
from throughway.client.certificates import CertificateKeeper
from throughway.client.codes import ENDED, Challenge, CodeWatch, exchange_code
from throughway.client.health import HealthKeeper
from throughway.client.permission import Permission
from throughway.client.policy import PolicyKeeper
from throughway.client.user import User, UserStore
from throughway.control import lifecycle, mending
from throughway.control.codec import JSON, CommandRefused, to_json
from throughway.control.server import ControlServer, Request, require_owner, unknown_command
from throughway.health import log
from throughway.health.chain import chain_of
from throughway.health.problem_log import ProblemLog
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, ThroughwayError, TransportError, TrustError
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.model.status import (
    ClientSnapshot,
    Connection,
    LinkStatus,
    Location,
    NamesStatus,
)
from throughway.net import kerberos, privileges
from throughway.net.descriptors import EXHAUSTED, Spare
from throughway.net.log_outputs import log_outputs
from throughway.net.smartcard import CARD_FAILED
from throughway.proto.iphttps.client import State

if TYPE_CHECKING:
    from throughway.health.figures import Kept
    from throughway.net.metrics_server import MetricsServer

COMPONENTS = (
    Component.POLICY,
    Component.LOCATION,
    Component.INTERNET,
    Component.IPHTTPS,
    Component.IPSEC,
    Component.CERTIFICATES,
    Component.FIREWALL,
    Component.NAMES,
    Component.DOMAIN,
)
"""The rows of the client's status."""
LOGON_PROBLEMS = (REMOVED, CARD_FAILED, ENDED)
"""Gone with the logon that they were about."""


class ClientDaemon:
    """One client, from :meth:`start` to :meth:`stop`."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._metrics: MetricsServer | None = None
        self._log = log.logger("client")
        self._tracker = Tracker(time.time, COMPONENTS)
        self._tracker.subscribe(ProblemLog(self._log).changed)
        self._control = ControlServer(config.control_socket, self._command)
        self._alone = False
        """Whether no other client runs here: else what is in the kernel is that one's."""
        self._spare = Spare()
        self._users = UserStore(config.runtime_directory)
        self._user: User | None = None
        self._needs_restart: tuple[str, ...] = ()
        self._refused: tuple[ConfigError, ...] = ()
        """Of the file as it was when it was looked at last: what differs, or what is wrong."""
        self._one_at_a_time = asyncio.Lock()
        """Users come and go one after the other."""
        self._permission = Permission(config.logon_users)
        self._cards = SmartCards(config.smart_card, self._card_removed)
        self._codes = CodeWatch(self._code_ended)
        self._policy: Policy | None = None
        self._leaving: asyncio.Task[None] | None = None
        """Logs a user off whose card was pulled, or whose certificate has ended."""
        self._trouble = ""
        self._keeper = PolicyKeeper(config, self._new_policy, self._policy_trouble)
        self._access: Access | None = None
        self._audit = client_audit(config, self._tracker)
        self._certificates = CertificateKeeper(config, self._tracker, self._certificate_renewed)
        self._health = HealthKeeper(config, self._tracker, self._found_healthy)

    # The daemon's life

    async def start(self) -> None:
        """Start with the policy that is there, or wait for one that can be trusted."""
        await self._control.start()
        self._alone = True
        privileges.drop(privileges.CLIENT)
        for directory in (self._config.state_directory, self._config.runtime_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._start_metrics()
        self._audit.start()
        self._user = self._users.load()
        self._audit.set_user(self._user.principal if self._user is not None else "")
        self._certificates.start()
        self._health.start()
        await self._keeper.start()
        self._log.info("client runs", policy=self._keeper.version or None)

    async def _start_metrics(self) -> None:
        if self._config.metrics is not None:
            # Only who asks for them pays with memory.
            from throughway.client.metrics import metrics_server

            metrics = metrics_server(self._config.metrics, self._snapshot, self._kept)
            await metrics.start()
            self._metrics = metrics

    def _kept(self) -> "Kept":
        from throughway.health.figures import Kept

        return Kept(self._tracker.deadlines, self._audit.outcomes)

    async def reload(self) -> None:
        """Take a newer bundle from the disk, look at everything again, and try at once."""
        await self._keeper.look()
        await self._certificates.look()
        self._health.look()
        if self._access is not None:
            self._access.refresh()
        self._keeper.fetch_now()
        await asyncio.to_thread(self._compare_file)

    def _compare_file(self) -> None:
        """See which settings of the file wait for a restart: all of them are read at the start."""
        try:
            edited = settings.load(self._config.file)
        except ConfigError as error:
            self._needs_restart, self._refused = (), error.errors or (error,)
            for single in self._refused:
                self._log.warning("edited configuration cannot be used", reason=str(single))
            return
        self._needs_restart, self._refused = settings.changed(self._config, edited), ()
        if self._needs_restart:
            names = ", ".join(self._needs_restart)
            self._log.info("edited configuration", needs_restart=names)

    async def stop(self) -> None:
        """Take everything down and leave the computer as it was found."""
        if not self._alone:
            return
        access, self._access = self._access, None
        # From the last to the first; what one part fails at must not keep the others from it.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._control.close)
            stack.push_async_callback(self._audit.close)
            if self._metrics is not None:
                stack.push_async_callback(self._metrics.close)
            if access is not None:
                stack.push_async_callback(access.stop)
            stack.push_async_callback(self._keeper.close)
            stack.push_async_callback(self._cards.close)
            stack.push_async_callback(self._codes.close)
            stack.push_async_callback(self._certificates.close)
            stack.push_async_callback(self._health.close)
        self._log.info("client has ended")

    def failed(self, what: str, error: BaseException | None) -> None:
        """Make a failure visible that nothing else has caught."""
        if isinstance(error, ThroughwayError):
            self._log.warning(what, reason=str(error))
            self._tracker.report(error)
            return
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            self._log.warning(what, reason=error.strerror)
            self._spare.release()  # for whoever asks how things are; a check will tell
            return
        self._log.error("bug in throughway", where=what, error=repr(error))
        self._tracker.set(find("bug-in-throughway"), f"{what}: {error!r}")

    # The policy

    async def _new_policy(self, policy: Policy) -> None:
        """The first policy starts everything, a newer one changes it."""
        self._certificates.set_policy(policy)
        self._health.set_policy(policy)
        if policy != self._policy:  # else it is being tried again
            self._log.info("policy", deployment=policy.deployment, version=policy.version)
        self._policy = policy
        self._tracker.ok(Component.POLICY, f"version {policy.version}")
        if self._access is not None:
            await self._access.update_policy(policy)
            return
        access = self._access = Access(
            self._config,
            policy,
            self._tracker,
            ccache=self._users.ccache,
            audit=self._audit,
            certificates=self._certificates,
            descriptors=self._spare.look,
            on_infrastructure=self._infrastructure_up,
            on_bug=self.failed,
        )
        try:
            await access.start(self._user)
        except (ThroughwayError, OSError):
            self._access = None
            await access.stop()
            raise

    def _infrastructure_up(self) -> None:
        self._keeper.fetch_if_due()
        self._health.connected()

    def _found_healthy(self) -> None:
        """The intranet tunnel may have been refused until now."""
        if self._access is not None:
            self._access.refresh()

    async def _certificate_renewed(self) -> None:
        if self._access is not None:
            await self._access.renew_certificate()

    def _policy_trouble(self, error: ThroughwayError | None) -> None:
        former, self._trouble = self._trouble, str(error or "")
        if error is None:
            if former:
                self._log.info("policy is well again")
            self._tracker.succeeded("policy")
            self._tracker.ok(Component.POLICY, f"version {self._keeper.version}")
        else:
            if self._trouble != former:  # it is looked at every two seconds
                self._log.warning("policy", reason=self._trouble)
            self._tracker.report(error, attempt="policy")

    # What is asked

    async def _command(self, request: Request) -> JSON:
        match request.command.name:
            case "status":
                return to_json(await self._snapshot())
            case "login":
                await self._log_on(request)
                return None
            case "smart-card":
                return await self._offer_card(request)
            case "login-smart-card":
                await self._log_on_with_card(request)
                return None
            case "login-code":
                return await self._log_on_with_code(request)
            case "logout":
                require_owner(request, self._owners())
                await self._log_off()
                return None
            case "refresh":
                require_owner(request, self._owners())
                await self.reload()
                return self._of_the_file()
            case mending.COMMAND:
                return await mending.mend(request, self._mends())
        raise unknown_command(request)

    def _mends(self) -> dict[str, mending.Mend]:
        """Return the parts that can be made anew while the others go on."""
        mends: dict[str, mending.Mend] = {"certificates": self._certificates.renew_now}
        if self._access is not None:
            mends["ike"] = self._access.restart_ike
        return mends

    def _of_the_file(self) -> JSON:
        refused: list[JSON] = [
            {"file": each.file, "key": each.key, "why": each.why} for each in self._refused
        ]
        return {"needs_restart": list(self._needs_restart), "refused": refused}

    def _owners(self) -> tuple[int, ...]:
        return () if self._user is None else (self._user.uid,)

    def _owner(self) -> int | None:
        return None if self._user is None else self._user.uid

    async def _log_on(self, request: Request) -> None:
        principal = request.command.text("principal")
        ccache = _ccache_of(request)
        async with self._one_at_a_time:
            await self._permission.require_logon(request, self._owner())
            with self._users.offered(ccache) as offered:
                await self._check_holder(offered, principal)
            user = User(principal=principal, uid=request.peer.uid)
            self._users.save(user, ccache)
            await self._set_user(user)

    def _realm(self) -> str:
        return self._policy.kerberos_realm if self._policy is not None else ""

    async def _offer_card(self, request: Request) -> JSON:
        """Tell which card a user would log on with, as it shows without a PIN."""
        await self._permission.require_card(request, self._owner())
        try:
            choice = await self._cards.choose(self._realm(), request.command.text("principal", ""))
        except TrustError as error:
            raise CommandRefused(error.problem, str(error)) from error
        card = choice.card
        return {
            "principal": choice.principal,
            "card": card.label,
            "subject": choice.certificate.subject,
            "tries": card.tries,
            "last_try": card.last_try,
            "asks_itself": card.asks_itself,
        }

    async def _log_on_with_card(self, request: Request) -> None:
        principal, pin = request.command.text("principal"), request.command.text("pin", "")
        async with self._one_at_a_time:
            await self._permission.require_card(request, self._owner())
            try:
                choice = await self._cards.choose(self._realm(), principal)
                key = await self._cards.unlock(choice, pin)
            except TrustError as error:
                self._audit.user(AuditEvent.USER_LOGON_FAILED, principal, str(error))
                raise CommandRefused(error.problem, str(error)) from error
            self._users.forget()
            await self._set_user(User(principal=choice.principal, uid=request.peer.uid, key=key))

    async def _log_on_with_code(self, request: Request) -> JSON:
        """Exchange a code for a certificate; return what the gateway asks next, None at the end."""
        principal, code = request.command.text("principal"), request.command.text("code")
        async with self._one_at_a_time:
            await self._permission.require_logon(request, self._owner())
            policy = self._policy
            if policy is None:
                raise CommandRefused("failed", "there is no policy yet")
            with self._users.offered(_ccache_of(request)) as offered:
                await self._check_holder(offered, principal)
                try:
                    state = request.command.text("state", "")
                    got = await exchange_code(policy, offered, code, state)
                except (TrustError, TransportError) as error:
                    self._audit.user(AuditEvent.USER_LOGON_FAILED, principal, str(error))
                    raise CommandRefused(error.problem, str(error)) from error
            if isinstance(got, Challenge):
                return {"challenge": got.message, "state": got.state}
            self._users.forget()
            await self._set_user(User(principal=principal, uid=request.peer.uid, key=got))
            self._codes.watch(principal, got)
            return None

    async def _check_holder(self, ccache: Path, principal: str) -> None:
        holder = await asyncio.to_thread(kerberos.ticket_principal, ccache)
        if holder != principal:
            why = f"the ticket is {holder}'s, not {principal}'s"
            self._audit.user(AuditEvent.USER_LOGON_FAILED, principal, why)
            raise TrustError(why)

    async def _set_user(self, user: User) -> None:
        self._user = user
        if user.key is None or not user.key.handle:
            self._cards.rest()
        self._codes.rest()
        for code in LOGON_PROBLEMS:
            self._tracker.clear(find(code))
        how = "ticket"
        if user.key is not None:
            how = "smart card" if user.key.handle else "one-time code"
        self._log.info("user logged on", user=user.principal, uid=user.uid, by=how)
        self._audit.user(AuditEvent.USER_LOGON, user.principal)
        if self._access is not None:
            await self._access.set_user(user)

    def _card_removed(self, principal: str, card: str) -> None:
        """The card was the user's permission to be there."""
        self._leaving = asyncio.create_task(self._log_off_because(principal, REMOVED, card))

    def _code_ended(self, principal: str, what: str) -> None:
        self._leaving = asyncio.create_task(self._log_off_because(principal, ENDED, what))

    async def _log_off_because(self, principal: str, problem: str, what: str) -> None:
        if self._user is not None and self._user.principal == principal:
            await self._log_off()
            words = "smart card pulled" if problem == REMOVED else "certificate for a code ended"
            self._log.warning(words, user=principal, detail=what)
            self._tracker.set(find(problem), f"{what}; {principal} is logged off")

    async def _log_off(self) -> None:
        async with self._one_at_a_time:
            user, self._user = self._user, None
            self._users.forget()
            self._cards.rest()
            self._codes.rest()
            if self._access is not None:
                await self._access.set_user(None)
            for code in LOGON_PROBLEMS:
                self._tracker.clear(find(code))
        if user is not None:
            self._log.info("user logged off", user=user.principal)
            self._audit.user(AuditEvent.USER_LOGOFF, user.principal)

    async def _snapshot(self) -> ClientSnapshot:
        snapshot = await self._links()
        return replace(snapshot, chain=chain_of(snapshot))

    async def _links(self) -> ClientSnapshot:
        if self._access is not None:
            return replace(await self._access.snapshot(), health=self._health.status())
        user = self._user.principal if self._user is not None else ""
        return ClientSnapshot(
            version=__version__,
            taken_at=time.time(),
            connection=Connection.ERROR,
            location=Location.UNKNOWN,
            location_detail="there is no policy to find it out by",
            transport="",
            link=LinkStatus(state=State.DISABLED, url="", interface=self._config.interface),
            esp="",
            tunnels=(),
            names=NamesStatus(effective=False, stub=self._config.stub_address),
            user=user,
            policy_deployment="",
            policy_version=0,
            policy_expires_at=0.0,
            components=self._tracker.components(),
            problems=self._tracker.current(),
        )


def _ccache_of(request: Request) -> bytes:
    try:
        return base64.b64decode(request.command.text("ccache"), validate=True)
    except binascii.Error:
        raise CommandRefused("bad-request", "the credential cache is not base64") from None


def run(config_path: Path) -> int:
    """Run the client until SIGTERM; return the exit code."""
    log.configure()
    logger = log.logger("client")

    def report(what: str, _error: BaseException | None) -> None:
        logger.error("client cannot run", reason=what)

    def make() -> ClientDaemon:
        config = settings.load(config_path)
        log.configure(config.log.level, log_outputs(config.log, "client"))
        return ClientDaemon(config)

    return lifecycle.run(make, report)
