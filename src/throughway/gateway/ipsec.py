"""The two IPsec endpoints of a gateway: infrastructure for computers, intranet for users."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509

from throughway.gateway.connections import (
    INFRASTRUCTURE,
    INTRANET,
    Material,
    check_selectors,
    connection_of,
    fixed_settings,
    named_connections,
    read_material,
)
from throughway.gateway.gate import Gate, OpenGate
from throughway.gateway.health_certificates import check_owner
from throughway.gateway.refusals import Refusals, Refused
from throughway.gateway.usages import HOLD, UsageCheck
from throughway.gateway.user_proof import Expiry, certificates_of, methods_of
from throughway.health import log
from throughway.model.config import Computer, ESPMode, IPsecServerConfig, RADIUSConfig, UsersConfig
from throughway.model.errors import ConfigError, IPsecError, TrustError
from throughway.model.revocation import Revocation
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net import esp, privileges
from throughway.net.charon import (
    GATEWAY_PLUGINS,
    PLUGINS,
    Charon,
    CharonSettings,
    RADIUSServer,
)
from throughway.net.crl_feed import CRLFeed, is_about_lists
from throughway.net.kerberos import token_acceptor
from throughway.net.radius import Refusal, UserAuthoriser
from throughway.net.radius_relay import COMPUTER_REFUSED as REFUSED
from throughway.net.radius_relay import Relay
from throughway.net.revocation_lists import RevocationLists
from throughway.net.sas import IKESA, ChildChanged, Event, IKEChanged, LineLogged
from throughway.net.tunnel_routes import TunnelRoutes, end_routeless
from throughway.pki.computer_certificate import WRONG_USAGE
from throughway.pki.shown import ShownCertificates, list_urls
from throughway.proto.authoriser import Method

_THREADS = 32
"""Of charon: a wrong password holds one for two seconds, an unreachable CRL for three."""
_ALERT_SETTLE = 0.5
"""Seconds that a client has for its answer to an alert of TLS; most give none."""
_SETTLE = 0.25
"""Seconds from the end of an IKE_SA until the last line about it has come: charon sends its
log by another thread than its events."""

_REFRESH_PAUSE = 0.1
"""Seconds in which events about tunnels gather: a thousand clients may come back in one moment."""


class GatewayIPsec:
    """charon and the authoriser of users, as one thing that is started, asked and stopped.

    ``on_failure(reason, problem, peer)`` tells of every client that was refused, for the audit,
    ``on_cut`` in the same way of every tunnel that is ended because its certificate was revoked;
    ``on_change()`` that :meth:`tunnels` has changed; ``on_daemon(reason)`` that charon died, and
    with "" that it is there again. ``on_event`` hears all that charon tells, ``on_refused`` more
    about each refusal. ``gate`` has the last word.
    """

    def __init__(
        self,
        config: IPsecServerConfig,
        computers: tuple[Computer, ...],
        users: UsersConfig | None,
        *,
        directory: Path,
        radius: RADIUSConfig | None = None,
        realm: str = "",
        lists: RevocationLists | None = None,
        on_failure: Callable[[str, str, str], None] = lambda reason, problem, peer: None,
        on_cut: Callable[[str, str, str], None] = lambda reason, problem, peer: None,
        on_change: Callable[[], None] = lambda: None,
        on_daemon: Callable[[str], None] = lambda reason: None,
        on_event: Callable[[Event], None] = lambda event: None,
        on_refused: Callable[[Refused], None] = lambda refused: None,
        gate: Gate | None = None,
    ) -> None:
        self._on_event = on_event
        self._on_refused = on_refused
        self._config = config
        self._directory = directory
        self._on_failure = on_failure
        self._on_cut = on_cut
        self._on_change = on_change
        self._on_daemon = on_daemon
        self._connections = named_connections(computers)
        gate = gate or OpenGate()
        self._refusals = Refusals(self.computer_of, gate.withheld)
        self._sas, self._routes = tuple[IKESA, ...](), TunnelRoutes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lists = lists
        self._shown = ShownCertificates()
        self._usages = UsageCheck(self.shown_certificates, self.forget_shown, self._unfit)
        self._feed = None
        if lists is not None:
            self._feed = CRLFeed(
                lists, lambda: self._charon, self._spawn, on_given=self._cut_revoked
            )
        self._stale = False
        """Whether something has happened since charon was asked for its tunnels."""
        self._refresher: asyncio.Task[None] | None = None
        self._charon: Charon | None = None
        self.esp: esp.ESPSupport | None = None
        self._users = users
        self._expiry = Expiry(self._end_expired)
        self._authoriser = None
        if users is not None or radius is not None:
            self._authoriser = UserAuthoriser(
                realm=users.realm if users is not None else realm,
                accept=_acceptor(users, directory),
                admit=self._usages.before(gate.admit),
                on_relayed=gate.relayed,
                account_of=self._account_of,
                relay=Relay(radius) if radius is not None else None,
                certificates=certificates_of(config, users, lists, self._expiry.opened)
                if users is not None
                else None,
                methods=methods_of(users) if users is not None else (Method.TICKET,),
                on_refused=self._user_refused,
            )

    @property
    def running(self) -> bool:
        """Whether charon is there."""
        return self._charon is not None and self._charon.running

    async def version(self) -> str:
        """Ask charon for its version; IPsecError when there is none."""
        if self._charon is None:
            raise IPsecError("charon was not started")
        answer = await self._charon.request("version")
        return str(answer.get("version", b""), "ascii", "replace")

    async def loaded_connections(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the connections that charon has, and those that it should have; IPsecError."""
        if self._charon is None:
            raise IPsecError("charon was not started")
        there = await self._charon.list_connections()
        return there, frozenset(
            f"{tunnel}-{name}"
            for name, computer in self._connections.items()
            for tunnel in (INFRASTRUCTURE, INTRANET)
            if self._serves(computer, tunnel)
        )

    @property
    def lists(self) -> RevocationLists | None:
        """The revocation lists that computers' certificates are judged by."""
        return self._lists

    async def start(self) -> None:
        """Start everything, or nothing: ConfigError or IPsecError when that cannot be."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        read_material(self._config, self._connections.values())
        self.esp = await asyncio.to_thread(esp.detect_esp, self._config.esp)
        if self.esp.mode is ESPMode.LIBIPSEC:
            check_selectors(self._config, esp.local_addresses())
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(esp.keep_outer_addresses, self._endpoints)
        radius = None
        if self._authoriser is not None:
            radius = await _listening(self._authoriser)
        settings = CharonSettings(
            directory=self._directory,
            esp=self.esp.mode,
            plugins=PLUGINS + GATEWAY_PLUGINS,
            threads=_THREADS,
            account=privileges.IKE_ACCOUNT,
            revocation=self._config.revocation is not Revocation.NONE,
            radius=radius,
            proxy=await self._feed.start() if self._feed is not None else "",
        )
        self._charon = Charon(
            settings, on_ready=self._load, on_event=self._event, on_death=self._died
        )
        if self._lists is not None:
            self._lists.start()
        await self._charon.start()

    async def restart(self) -> str:
        """Have charon started anew, also one that hangs; say what was done."""
        if self._charon is not None and self._charon.kill():
            return "charon was ended and is started again"
        return "charon is being started already"

    async def stop(self) -> None:
        """Say goodbye to the clients, end everything, leave nothing behind."""
        self._expiry.close()
        if self._charon is not None:
            await self._charon.stop()
        if self._authoriser is not None:
            await self._authoriser.stop()
        if self._lists is not None and self._feed is not None:
            await self._feed.stop()
            await self._lists.stop()
        await self._usages.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sas = ()
        await asyncio.to_thread(esp.release_outer_addresses, self._endpoints)

    async def reload(
        self,
        computers: tuple[Computer, ...],
        *,
        config: IPsecServerConfig | None = None,
    ) -> tuple[str, ...]:
        """Read every file anew, and take another list of computers.

        Tunnels stay, but for those of computers which are not in the list any more. Returns what
        of ``config`` needs a restart.
        """
        config = config or self._config
        fixed = fixed_settings(self._config, config)
        kept = {key: getattr(self._config, key) for key in fixed}
        changed = tuple(f"ipsec.{k}" for k in fixed if getattr(config, k) != kept[k])
        config = replace(config, **kept)
        connections = named_connections(computers)
        material = read_material(config, connections.values())
        gone = self._connections.keys() - connections.keys()
        gone |= {
            n
            for n in self._connections.keys() & connections.keys()
            if self._connections[n] != connections[n]
        }
        self._config, self._connections = config, connections
        if self._charon is None:
            return changed
        if self._lists is not None:
            self._lists.refresh()
        await self.shown_certificates()  # charon forgets them, too
        await self._charon.clear_credentials()
        await self._load_material(self._charon, material)
        for name in gone:
            for tunnel in (INFRASTRUCTURE, INTRANET):
                # First: who is cut comes again at once.
                if name not in connections:
                    await self._charon.unload_connection(f"{tunnel}-{name}")
                await self._charon.terminate(ike=f"{tunnel}-{name}", wait=False)
        return changed

    async def refresh(self) -> None:
        """Ask charon for tunnels and traffic; :meth:`tunnels` tells what it said."""
        if self._charon is None or not self._charon.running:
            self._sas = ()
            return
        try:
            self._sas = await self._charon.list_sas()
            if await end_routeless(self._charon, self._routes, self._sas):
                log.logger("gateway").info("routes into tunnels were taken away: made anew")
        except IPsecError:
            self._sas = ()

    async def look_at_routes(self) -> None:
        """Let clients make their tunnels anew when somebody took the routes into them away."""
        with contextlib.suppress(OSError):
            if self.running and await asyncio.to_thread(self._routes.missed):
                await self.refresh()

    def tunnels(self) -> tuple[TunnelStatus, ...]:
        """Return the tunnels as of the last event or :meth:`refresh`."""
        if not self.running:
            return ()
        now = time.time()
        return tuple(self._status(sa, now) for sa in self._sas if "-" in sa.name)

    @property
    def outer_addresses(self) -> tuple[str, ...]:
        """The addresses that must have routing rules of their own now."""
        return self._endpoints if self.running else ()

    @property
    def _endpoints(self) -> tuple[str, str]:
        return self._config.infrastructure_endpoint, self._config.intranet_endpoint

    async def _load(self, charon: Charon) -> None:
        await self._load_material(charon, read_material(self._config, self._connections.values()))
        self._on_daemon("")

    async def _load_material(self, charon: Charon, material: Material) -> None:
        for authority in (*material.authorities, *material.health):
            await charon.load_certificate(authority, authority=True)
        for certificate in material.chain:
            await charon.load_certificate(certificate)
        if self._feed is not None:
            own = list_urls((material.certificate, *material.chain))
            urls = (*own, *self._config.crl_urls)
            authorities = (*material.authorities, *material.chain)
            self._feed.configure(authorities, urls, self._config.revocation)
            self._shown.tell_again()
            await self._feed.supply()
        await charon.load_key(material.key)
        for name, computer in self._connections.items():
            nt_hash = material.nt_hashes.get(computer.account)
            if nt_hash is not None:
                await charon.load_secret(f"nt-{name}", "ntlm", nt_hash, [computer.account])
            for tunnel in (INFRASTRUCTURE, INTRANET):
                if self._serves(computer, tunnel):
                    connection = connection_of(self._config, material, computer, tunnel)
                    await charon.load_connection(f"{tunnel}-{name}", connection)

    def _serves(self, computer: Computer, tunnel: str) -> bool:
        """Say whether there is somebody who can judge round 2 of that connection."""
        if tunnel == INTRANET:
            return self._users is not None
        return computer.nt_hash is not None or self._authoriser is not None

    def _account_of(self, connection: str) -> str:
        """Return the account that alone may prove itself on a connection, "" for any user."""
        if not connection.startswith(f"{INFRASTRUCTURE}-"):
            return ""
        computer = self.computer_of(connection)
        # One that was taken out in this moment is nobody's: not any user's.
        return computer.account if computer is not None else connection

    async def cut(self, name: str, account: str) -> None:
        """End a tunnel of a computer now; one that comes again is judged again."""
        for key, computer in self._connections.items():
            if computer.account == account and self._charon is not None and self._charon.running:
                await self._charon.terminate(ike=f"{name}-{key}", wait=False)

    def computer(self, tunnel: str, remote_identity: str) -> Computer | None:
        """Return the computer of a connection's name or of a tunnel's remote identity."""
        found = self.computer_of(tunnel)
        return found or next(
            (c for c in self._connections.values() if c.identity == remote_identity), None
        )

    def _died(self, reason: str) -> None:
        self._sas = ()
        self._refusals.clear()
        self._on_daemon(reason)
        self._on_change()

    def _event(self, event: Event) -> None:
        self._on_event(event)
        match event:
            case LineLogged():
                if self._feed is not None:
                    self._feed.heard(event.text)
                self._usages.line(event, self.computer_of(event.name))
                if self._refusals.line(event):
                    self._ended(event.unique_id)
            case IKEChanged(up=True, sa=sa):
                self._refusals.came_up(sa.unique_id)
                self._spawn_refresh()
            case IKEChanged(up=False, sa=sa):
                self._usages.ended(sa.unique_id)
                self._spawn_refresh()
                asyncio.get_running_loop().call_later(_SETTLE, self._ended, sa.unique_id)
            case ChildChanged():
                self._spawn_refresh()

    def _user_refused(self, refusal: Refusal) -> None:
        self._refusals.user(refusal)
        if refusal.alerted:
            loop = asyncio.get_running_loop()
            loop.call_later(_ALERT_SETTLE, self._end_half_open, refusal.unique_id)

    def _end_half_open(self, unique_id: int) -> None:
        """End what a client has left that went after an alert.

        charon lets nobody more in from an address with five of those, whose time is 30 s.
        """
        charon = self._charon
        if charon is None or not charon.running:
            return

        async def end() -> None:
            with contextlib.suppress(IPsecError):
                await charon.terminate(unique_id=unique_id, wait=False)
            self._ended(unique_id)

        self._spawn(end())

    async def _end_expired(self, connection: str) -> None:
        """End a tunnel whose user's certificate is over; a ticket may have opened it since."""
        charon = self._charon
        if charon is not None and charon.running:
            with contextlib.suppress(IPsecError):
                await charon.terminate(ike=connection, wait=False)

    def _ended(self, unique_id: int) -> None:
        if refused := self._refusals.ended(unique_id):
            about = self._feed if is_about_lists(refused.problem) else None
            words = about.words() if about is not None else ""
            reason = f"{refused.reason} ({words})" if words else refused.reason
            self._tell(replace(refused, reason=reason))

    def _tell(self, refused: Refused) -> None:
        self._on_failure(refused.reason, refused.problem, refused.peer)
        self._on_refused(refused)

    async def _unfit(self, unique_id: int, reason: str) -> None:
        """End an IKE_SA, up or not, whose certificate charon should not have taken."""
        charon, was_up = self._charon, self._refusals.was_up(unique_id)
        refused = self._refusals.unfit(unique_id, WRONG_USAGE, reason)
        held = refused.seen.connection if refused is not None and was_up else ""
        if held and charon is not None:
            with contextlib.suppress(IPsecError):
                await charon.unload_connection(held)
        with contextlib.suppress(IPsecError):
            if charon is not None:
                await charon.terminate(unique_id=unique_id, wait=False)
        if refused is not None:
            self._tell(refused)
        if held:
            self._spawn(self._hold())

    async def _hold(self) -> None:
        """Let nobody come again at once who was in before we could look at the certificate."""
        while True:
            await asyncio.sleep(HOLD)
            # A file may be absent just now: the computer itself must not stay out for that.
            with contextlib.suppress(IPsecError, ConfigError):
                await self.reload(tuple(self._connections.values()))
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def computer_of(self, connection: str) -> Computer | None:
        """Return the computer that a connection of charon's is for."""
        return self._connections.get(connection.partition("-")[2])

    async def shown_certificates(self) -> tuple[bytes, ...]:
        """Return the certificates (DER) that peers have shown, as far as charon remembers them."""
        if self._charon is None or not self._charon.running:
            return ()
        found = await self._charon.list_certificates()
        self._shown.note(found)
        return found

    async def check_computer_certificate(self, certificate: x509.Certificate) -> None:
        """Raise TrustError where it was revoked since it was shown, as the policy has it."""
        await check_owner(certificate, self._config, self._lists)

    async def _cut_revoked(self, crl: bytes) -> None:
        """End the tunnels of computers that came in before this list was known."""
        try:
            await self.shown_certificates()
            listed = await asyncio.to_thread(self._shown.listed, crl)
            if not listed:
                return
            await self.refresh()
            tunnels = self.tunnels()
            for name, computer in self._connections.items():
                if computer.identity.lower() in listed and self._charon is not None:
                    self._tell_revoked(computer, tunnels)
                    for tunnel in (INFRASTRUCTURE, INTRANET):
                        await self._charon.terminate(ike=f"{tunnel}-{name}", wait=False)
        except IPsecError:
            self._shown.tell_again()  # whom charon has not ended the next list ends

    def _tell_revoked(self, computer: Computer, tunnels: Iterable[TunnelStatus]) -> None:
        for tunnel in tunnels:
            if tunnel.remote_identity == computer.identity and tunnel.state is TunnelState.UP:
                why = f"a certificate of {computer.identity} was revoked"
                reason = f"the {tunnel.name} tunnel was ended: {why}"
                peer = f"{computer.identity} ({tunnel.remote_address})"
                self._on_cut(reason, "ipsec-cert-revoked", peer)

    async def forget_shown(self) -> None:
        """Let charon forget them, so that it is sure again which one comes next."""
        if self._charon is not None and self._charon.running:
            await self._charon.flush_certificates()

    def _identity(self, sa: IKESA) -> str:
        """Return what round 1 has proven; charon tells the last round's only."""
        computer = self.computer_of(sa.name)
        return computer.identity if computer else sa.remote_identity

    def _account(self, sa: IKESA) -> str:
        """Return what round 2 has proven; nothing before it has."""
        computer = self.computer_of(sa.name)
        if not sa.up:
            return ""
        if sa.name.startswith(INTRANET) or computer is None:
            return sa.remote_eap_identity
        return computer.account

    def _status(self, sa: IKESA, now: float) -> TunnelStatus:
        state = TunnelState.UP if sa.up else TunnelState.CONNECTING
        if sa.state in ("DELETING", "DESTROYING"):
            state = TunnelState.DOWN
        return TunnelStatus(
            name=sa.name.partition("-")[0],
            state=state,
            local_address=sa.local_address,
            remote_address=sa.remote_address,
            local_identity=sa.local_identity,
            remote_identity=self._identity(sa),
            account=self._account(sa),
            prefixes=tuple(ts for child in sa.children for ts in child.local_ts),
            since=now - sa.established if sa.up else 0.0,
            bytes_in=sum(child.bytes_in for child in sa.children),
            bytes_out=sum(child.bytes_out for child in sa.children),
        )

    def _spawn_refresh(self) -> None:
        """Refresh soon: once for many events, since each time all tunnels are gone through."""
        self._stale = True
        if self._refresher is None or self._refresher.done():
            self._refresher = asyncio.create_task(self._refresh_and_tell())
            self._tasks.add(self._refresher)
            self._refresher.add_done_callback(self._tasks.discard)

    async def _refresh_and_tell(self) -> None:
        while self._stale:
            self._stale = False
            await self.refresh()
            self._on_change()
            await asyncio.sleep(_REFRESH_PAUSE)


def _acceptor(users: UsersConfig | None, directory: Path) -> Callable[[bytes], str]:
    """Return what judges tickets; where there is no keytab nobody's is good."""
    if users is None:
        return _accept_nobody
    # Not in the directory itself, where charon may make files: libkrb5 writes through links.
    return token_acceptor(
        users.keytab, users.service, users.realm, replay_cache=directory.parent / "replay.rcache"
    )


def _accept_nobody(_token: bytes) -> str:
    raise TrustError("no [users] are configured: tickets prove nothing", problem=REFUSED)


async def _listening(authoriser: UserAuthoriser) -> RADIUSServer:
    """Let charon ask about users; IPsecError where the loopback has no room for that."""
    try:
        address, port = await authoriser.start()
    except OSError as error:
        words = f"the authoriser cannot listen: {error.strerror or error}"
        raise IPsecError(words, problem="authoriser-down") from error
    return RADIUSServer(address=address, port=port, secret=authoriser.secret)
