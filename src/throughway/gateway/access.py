"""Who may use the gateway, by Active Directory: asked at every logon, and again and again after.

A computer has connections in charon only while the directory lets it have them; a user is
judged between the proof of his ticket and charon's learning of it, and his prefixes are granted
in that moment (:mod:`throughway.net.access_wall`). Every :attr:`DirectoryConfig.interval` all
accounts in use are looked up in one question, and whoever has lost his right is cut. Without
``[directory]`` all that is configured may come, and go anywhere.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from throughway.catalogue import find
from throughway.gateway.refusals import MISMATCH
from throughway.health.tracker import Tracker
from throughway.model.config import Computer, ESPMode, GatewayConfig, IPsecServerConfig
from throughway.model.errors import ThroughwayError, TransportError, TrustError
from throughway.model.findings import Component, Problem
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net import access_wall
from throughway.net.access_wall import AccessWall, Granted, Grants
from throughway.net.directory import Directory
from throughway.net.esp import ESPSupport
from throughway.net.firewall import FirewallError
from throughway.net.radius import Login
from throughway.pki import fields
from throughway.proto.access import (
    NO_GROUP,
    REALM,
    Account,
    Answer,
    Withheld,
    group_words,
    judge_computer,
    judge_user,
    missing_groups,
)

INFRASTRUCTURE, INTRANET = "infrastructure", "intranet"
STALE = "directory-answers-stale"
UNREACHABLE = "directory-unreachable"
GROUP_UNKNOWN = "access-group-unknown"
NOBODY, STRANGER = "access-nobody-admitted", "access-computer-unknown"
CUT_SHOWN = 600.0
"""Seconds for which a tunnel that was cut is told."""
GUARD_INTERVAL = 5.0
"""Seconds between two looks whether the wall stands: `nft flush ruleset` takes it away."""
GRANT_WAIT = 30.0
"""Seconds from the grant until charon must have the tunnel up; it takes one round trip."""

OnCut = Callable[[str, str, str], None]


class Asker(Protocol):
    """What :class:`Directory` does, for those who only need that."""

    async def ask(
        self, accounts: Iterable[str], groups: Iterable[str], *, computers_of: Iterable[str] = ()
    ) -> Answer: ...

    async def close(self) -> None: ...


class Tunnels(Protocol):
    """What of :class:`throughway.gateway.ipsec.GatewayIPsec` is needed here."""

    esp: ESPSupport | None

    def tunnels(self) -> tuple[TunnelStatus, ...]: ...

    def computer(self, tunnel: str, remote_identity: str) -> Computer | None: ...

    async def refresh(self) -> None: ...

    async def cut(self, name: str, account: str) -> None: ...

    async def reload(
        self, computers: tuple[Computer, ...], *, config: IPsecServerConfig | None = None
    ) -> tuple[str, ...]: ...


class AccessControl:
    """The directory's word, applied. ``on_cut(reason, problem, peer)`` is for the audit."""

    def __init__(
        self,
        config: GatewayConfig,
        tracker: Tracker,
        on_cut: OnCut,
        *,
        asker: Asker | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._tracker = tracker
        self._on_cut = on_cut
        self._clock = wall_clock
        self._asker = asker
        if asker is None and config.directory is not None:
            self._asker = Directory(config.directory)
        self._ipsec: Tunnels | None = None
        self._grants = Grants()
        self._granted_at: dict[str, float] = {}
        self._answer = Answer()
        self._known: set[str] = set()
        """Folded names that the directory was asked for, whether it has them or not."""
        self._answered = 0.0
        """When it last answered; 0.0: never."""
        self._cuts: dict[str, tuple[Problem, asyncio.TimerHandle]] = {}
        """What is told of accounts that were cut, and for how long."""
        self._enrolled: dict[str, Computer] = {}
        """Computers that the directory has named, by account; the lost ones stay, to say why."""
        self._loaded: tuple[Computer, ...] = ()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._lookups: asyncio.Task[None] | None = None
        self._loop: asyncio.Task[None] | None = None
        self._stopped = False
        self._one = asyncio.Lock()

    # What the daemon binds

    @property
    def computers(self) -> tuple[Computer, ...]:
        """Return who may have connections now."""
        if self._config.directory is None:
            return self._config.computers
        return tuple(c for c in self._all_computers() if self._judge_computer(c.account) is None)

    def by_ticket(self) -> tuple[str, ...]:
        """Return the accounts that may get tickets through the KDC proxy."""
        return tuple(c.account for c in self.computers if c.nt_hash is None)

    async def start(self, ipsec: Tunnels) -> None:
        """Raise the wall, ask for the first time, and go on asking."""
        self._ipsec = ipsec
        if self._config.directory is None:
            if self._config.users is None:
                self._tracker.disable(Component.DOMAIN, "no [users] and no [directory]")
            self._tell_nobody(self.computers)
            # What a killed daemon has left, that had one, would let nobody through.
            with contextlib.suppress(FirewallError):
                if await asyncio.to_thread(access_wall.standing):
                    await self._grants.remove()
            return
        self._loop = asyncio.create_task(self._watch(), name="access")
        self._loop.add_done_callback(_tell_bug)

    async def stop(self) -> None:
        """Ask no more; the wall goes."""
        self._stopped = True
        tasks = [task for task in (self._loop, self._lookups) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for future in {f for futures in self._waiting.values() for f in futures if not f.done()}:
            future.set_result(None)
        if self._asker is not None:
            await self._asker.close()
        if self._config.directory is not None:
            with contextlib.suppress(FirewallError):
                await self._grants.remove()

    async def reload(self, config: GatewayConfig, ipsec: Tunnels) -> tuple[str, ...]:
        """Take other rules and computers; the directory itself stays until a restart."""
        async with self._one:
            self._config = replace(config, directory=self._config.directory)
            computers = self.computers
            self._tell_nobody(computers)
            changed = await ipsec.reload(computers, config=config.ipsec)
            self._loaded = computers
        if self._loop is not None:
            await self._look()
        return changed

    def withheld(self, identity: str) -> Withheld | None:
        """Say why a computer has no connection here, by what its certificate proves."""
        named = identity.casefold()
        found = next((c for c in self._all_computers() if c.identity.casefold() == named), None)
        if self._config.directory is None:
            return None if found else self._stranger(identity, "is in no [[computers]] entry")
        if found:
            return self._judge_computer(found.account)
        where = "is neither in a [[computers]] entry nor in a group of [[access]]"
        return self._stale() or self._stranger(identity, where)

    @staticmethod
    def _stranger(identity: str, where: str) -> Withheld | None:
        # Whose certificate shows no name is refused for that.
        return Withheld(STRANGER, f"{identity} {where}") if identity else None

    async def admit(self, login: Login) -> None:
        """Let an account in that has proven itself, or raise TrustError with the reason."""
        if self._config.directory is None or self._ipsec is None:
            return
        name, _, realm = login.principal.rpartition("@")
        computer = self._ipsec.computer(login.connection, "")
        if computer is None:
            raise TrustError(f"{login.connection} is no computer's any more", problem=NO_GROUP)
        if realm.casefold() != self._config.directory.realm.casefold():
            reason = f"{login.principal} is of another realm than {self._config.directory.realm}"
            raise TrustError(reason, problem=REALM)
        await self._look_up({name, computer.account})
        if login.connection.startswith(INFRASTRUCTURE):
            if name.casefold() != computer.account.casefold():
                reason = f"the certificate of {computer.account} came with {name}"
                raise TrustError(reason, problem=MISMATCH)
            verdict: Withheld | tuple[str, ...] | None = self._judge_computer(computer.account)
        else:
            verdict = self._judge_user(name, computer.account)
        if isinstance(verdict, Withheld):
            raise TrustError(verdict.reason, problem=verdict.problem)
        self._came_back(name.casefold())
        if verdict is not None:
            self._granted_at[login.address] = self._clock()
            await self._grants.grant(login.address, self._prefixes(verdict))

    def relayed(self, error: ThroughwayError | None) -> None:
        """Tell whether the RADIUS servers can be asked."""
        if error is None:
            self._tracker.succeeded("radius")
        else:
            self._tracker.report(error, attempt="radius")

    def shown(self, tunnels: tuple[TunnelStatus, ...]) -> tuple[TunnelStatus, ...]:
        """Return tunnels with the prefixes that the wall leaves of them."""
        granted = self._grants.granted
        return tuple(
            replace(t, prefixes=granted[t.remote_address])
            if t.name == INTRANET and t.remote_address in granted
            else t
            for t in tunnels
        )

    # The directory

    async def _watch(self) -> None:
        assert self._config.directory is not None
        while True:
            try:
                await self._look()
            except ThroughwayError as error:  # of charon, while it is being started again
                self._tracker.report(error, attempt="access")
            else:
                self._tracker.succeeded("access")
            await self._pause(self._config.directory.interval)

    async def _pause(self, seconds: float) -> None:
        """Let time pass; without its wall everybody would reach everything meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, GUARD_INTERVAL))
            await self._guard()

    async def _look(self) -> None:
        """Look all accounts in use up, and act on what has changed."""
        assert self._ipsec is not None
        await self._guard()
        await self._ipsec.refresh()
        names = {c.account for c in self._all_computers()}
        names |= {name for _, _, name in self._users()}
        await self._ask(names, everything=True)
        await self._enforce()

    async def _look_up(self, names: set[str]) -> None:
        """Have fresh answers about accounts: one question for all who wait at that moment.

        TrustError when there is neither a fresh answer nor one that still holds.
        """
        if self._stopped:
            raise TrustError("the gateway stops", problem=UNREACHABLE)
        future = asyncio.get_running_loop().create_future()
        for name in names:
            self._waiting.setdefault(name, []).append(future)
        if self._lookups is None or self._lookups.done():
            self._lookups = asyncio.create_task(self._answer_waiting())
        await future
        if not {name.casefold() for name in names} <= self._known:
            raise TrustError("no domain controller answers", problem=UNREACHABLE)

    async def _answer_waiting(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                await self._ask(set(waiting), everything=False)
            finally:  # also when the gateway stops: nobody is left waiting
                for future in {f for futures in waiting.values() for f in futures}:
                    if not future.done():
                        future.set_result(None)

    async def _ask(self, names: set[str], *, everything: bool) -> None:
        """Ask; what cannot be answered leaves the last answer as it is, for a while."""
        assert self._asker is not None
        assert self._config.directory is not None
        rules = self._config.access
        computers = tuple(word for rule in rules for word in rule.computers)
        wanted = computers if everything and self._config.directory.enrol else ()
        try:
            answer = await self._asker.ask(names, group_words(rules), computers_of=wanted)
        except ThroughwayError as error:
            self._unanswered(error)
            return
        asked = {name.casefold() for name in names}
        # Who has come in while a question was under way was not part of it, and stays known.
        old = {n: a for n, a in self._answer.accounts.items() if n not in asked}
        accounts = old | dict(answer.accounts)
        self._known |= asked | set(accounts)
        self._answer = Answer(accounts=accounts, groups=answer.groups, server=answer.server)
        self._answered = self._clock()
        if everything:
            self._enrol(answer.accounts.values())
        self._tell_answered(len(accounts))

    def _enrol(self, accounts: Iterable[Account]) -> None:
        """Take computers that the directory names; a name that two of them claim is nobody's."""
        assert self._config.directory is not None
        if not self._config.directory.enrol:
            return
        taken = {c.identity for c in self._config.computers}
        configured = {c.account.casefold() for c in self._config.computers}
        found: dict[str, list[Computer]] = {}
        for account in accounts:
            if account.computer and account.name.casefold() not in configured:
                host = account.name.rstrip("$").lower()
                identity = account.host_name.lower() or f"{host}.{self._config.directory.domain}"
                if _good(account.name, identity) and identity not in taken:
                    computer = Computer(account=account.name, identity=identity)
                    found.setdefault(identity, []).append(computer)
        for identity, claimants in found.items():
            if len(claimants) > 1:
                host = identity.partition(".")[0]
                claimants = [c for c in claimants if c.account.lower() == f"{host}$"]
            if len(claimants) == 1:
                self._enrolled[claimants[0].account] = claimants[0]

    def _all_computers(self) -> tuple[Computer, ...]:
        return (*self._config.computers, *self._enrolled.values())

    # Judgement

    def _stale(self) -> Withheld | None:
        assert self._config.directory is not None
        if not self._answered:
            return Withheld(UNREACHABLE, "the directory has not answered yet")
        if self._clock() - self._answered > self._config.directory.keep:
            return Withheld(STALE, "the directory was out of reach for too long")
        return None

    def _judge_computer(self, account: str) -> Withheld | None:
        stale = self._stale()
        if stale is not None:
            return stale
        return judge_computer(self._answer, account, self._config.access, self._clock())

    def _judge_user(self, name: str, computer: str) -> tuple[str, ...] | Withheld:
        stale = self._stale()
        if stale is not None:
            return stale
        return judge_user(self._answer, name, computer, self._config.access, self._clock())

    def _prefixes(self, words: tuple[str, ...]) -> tuple[str, ...]:
        every = self._config.ipsec.intranet_prefixes
        return tuple(dict.fromkeys(p for word in words for p in ((word,) if word else every)))

    # Enforcement

    async def _enforce(self) -> None:
        """Cut who has lost his right, and bring connections and grants in step."""
        assert self._ipsec is not None
        await self._enforce_computers()
        kept = {}
        for tunnel, computer, name in self._users():
            if name.casefold() not in self._known:
                verdict: tuple[str, ...] | Withheld = ("",)
                prefixes = self._grants.granted.get(tunnel.remote_address, ())
            else:
                verdict = self._judge_user(name, computer.account)
                prefixes = () if isinstance(verdict, Withheld) else self._prefixes(verdict)
            if isinstance(verdict, Withheld):
                self._tell_cut(verdict, name, tunnel)
                await self._ipsec.cut(INTRANET, computer.account)
            else:
                kept[tunnel.remote_address] = prefixes
        now = self._clock()
        self._granted_at = {a: t for a, t in self._granted_at.items() if now - t < GRANT_WAIT}
        with contextlib.suppress(FirewallError):  # seen, and told, when it is raised again
            await self._grants.change(lambda granted: self._coming(granted) | kept)

    def _coming(self, granted: Granted) -> dict[str, tuple[str, ...]]:
        """Return what was granted to those whose tunnels are still to come up."""
        return {a: p for a, p in granted.items() if a in self._granted_at}

    async def _enforce_computers(self) -> None:
        assert self._ipsec is not None
        async with self._one:
            wanted = self.computers
            self._tell_nobody(wanted)
            for admitted in wanted:
                self._came_back(admitted.account.casefold())
            if wanted == self._loaded:
                return
            lost = {c.account for c in self._loaded} - {c.account for c in wanted}
            for tunnel in self._ipsec.tunnels():
                computer = self._ipsec.computer("", tunnel.remote_identity)
                if computer is not None and computer.account in lost:
                    why = self._judge_computer(computer.account)
                    if why is not None and tunnel.name == INFRASTRUCTURE:
                        self._tell_cut(why, computer.account, tunnel)
            await self._ipsec.reload(wanted)
            self._loaded = wanted

    def _users(self) -> Iterable[tuple[TunnelStatus, Computer, str]]:
        """Yield the users' tunnels, each with its computer and the user's name."""
        assert self._ipsec is not None
        for tunnel in self._ipsec.tunnels():
            if tunnel.name == INTRANET and tunnel.state is TunnelState.UP:
                computer = self._ipsec.computer("", tunnel.remote_identity)
                if computer is not None:
                    yield tunnel, computer, tunnel.account.rpartition("@")[0]

    async def _guard(self) -> None:
        """Raise the wall where it does not stand as it must."""
        esp = self._ipsec.esp if self._ipsec is not None else None
        wall = self._wall(kernel_esp=esp is not None and esp.mode is ESPMode.KERNEL)
        try:
            if wall != self._grants.wall or not await asyncio.to_thread(access_wall.standing):
                await self._grants.raise_again(wall)
        except FirewallError as error:
            self._tracker.report(error, attempt="access wall")
        else:
            self._tracker.succeeded("access wall")

    def _wall(self, *, kernel_esp: bool) -> AccessWall:
        prefixes = self._config.ipsec.infrastructure_prefixes
        return AccessWall(open_prefixes=prefixes, kernel_esp=kernel_esp)

    # What is told

    def _tell_answered(self, accounts: int) -> None:
        self._tracker.succeeded("directory")
        self._tracker.ok(Component.DOMAIN, f"{self._answer.server} answers; accounts: {accounts}")
        missing = missing_groups(self._answer, self._config.access)
        if missing:
            self._tracker.set(find(GROUP_UNKNOWN), ", ".join(missing))
        else:
            self._tracker.clear(find(GROUP_UNKNOWN))

    def _tell_nobody(self, computers: tuple[Computer, ...]) -> None:
        unanswered = self._config.directory is not None and self._stale() is not None
        if computers or unanswered:  # why nobody may, while it does not answer, is told
            self._tracker.clear(find(NOBODY))
            return
        named = "[[computers]]" if self._config.directory is None else "[[computers]] or [[access]]"
        self._tracker.set(find(NOBODY), f"{named} lets none in")

    def _unanswered(self, error: ThroughwayError) -> None:
        assert self._config.directory is not None
        stale = self._answered and self._clock() - self._answered > self._config.directory.keep
        if stale and isinstance(error, TransportError):
            self._tracker.set(find(STALE), str(error), attempt="directory")
        else:
            self._tracker.report(error, attempt="directory")

    def _tell_cut(self, why: Withheld, account: str, tunnel: TunnelStatus) -> None:
        problem = find(why.problem)
        peer = f"{tunnel.remote_identity} ({tunnel.remote_address})"
        self._on_cut(f"the {tunnel.name} tunnel was ended: {why.reason}", why.problem, peer)
        if why.problem not in (STALE, UNREACHABLE):
            key, loop = account.casefold(), asyncio.get_running_loop()
            self._came_back(key)
            self._tracker.set(problem, f"{why.reason}; {peer}", key=key)
            self._cuts[key] = problem, loop.call_later(CUT_SHOWN, self._came_back, key)

    def _came_back(self, account: str) -> None:
        """Tell no more that an account was cut: it may come in again, or it was shown for long."""
        if (cut := self._cuts.pop(account, None)) is not None:
            problem, timer = cut
            timer.cancel()
            self._tracker.clear(problem, key=account)


def _tell_bug(task: asyncio.Task[None]) -> None:
    """Let an error that nobody expected be seen: nobody would be cut any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "the look at the directory failed", "exception": error}
        task.get_loop().call_exception_handler(context)


def _good(account: str, identity: str) -> bool:
    """Say whether names of the directory may become names of connections."""
    try:
        fields.check_account(account)
        fields.check_dns_name(identity)
    except ValueError:
        return False
    return True
