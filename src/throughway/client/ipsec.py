"""The two IPsec tunnels of a client: brought up, watched, brought up again.

charon is asked to initiate and never does so by itself: user-space ESP knows no acquire, and
each attempt at the intranet tunnel needs a token that was not used before. So there is one
place that decides, :meth:`_Tunnel._keep`, once for each of the tunnels.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from throughway.model.config import ClientConfig
from throughway.model.errors import IPsecError, ThroughwayError
from throughway.model.policy import Policy, TunnelPolicy
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net import esp
from throughway.net.causes import UNSPECIFIED
from throughway.net.charon import (
    CLIENT_PLUGINS,
    ESP_PROPOSALS,
    IKE_PROPOSALS,
    PLUGINS,
    Charon,
    CharonSettings,
    split_pem,
)
from throughway.net.sas import IKESA, Event, LineLogged
from throughway.net.vici import Section

INFRASTRUCTURE, INTRANET = "infrastructure", "intranet"

INITIATE_TIMEOUT_MS = 10_000
"""Longer than charon's retransmissions, so that its own words for the failure are heard."""
UNUSABLE = {
    "certificate": "ipsec-no-machine-cert",
    "key": "ipsec-cert-no-private-key",
    "password_file": "ipsec-computer-account-refused",
}
"""Keys of the configuration, and what it is when their files cannot be used."""
FIRST_BACKOFF, LAST_BACKOFF = 0.25, 15.0
"""Seconds between attempts; a new address or link begins anew."""
_DPD_DELAY = "3s"
"""Silence after which the gateway is asked whether it lives; it is given up 6.6 s later."""

Token = Callable[[], Awaitable[bytes]]
Failure = Callable[[str, str, str], None]


class _Tunnel:
    """One tunnel that is wanted or not, and the task that sees to it."""

    def __init__(
        self,
        name: str,
        bring_up: Callable[[str], Awaitable[None]],
        on_failure: Failure,
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self.up = asyncio.Event()
        self.last_error = ""
        self.trying = False
        self._bring_up = bring_up
        self._on_failure = on_failure
        self._on_change = on_change
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the tunnel is to be up."""
        return self._task is not None

    async def bring_up(self) -> None:
        """Want the tunnel, try at once, and return when it is up; retries go on if it fails."""
        self._settle(IPsecError(f"another attempt at the {self.name} tunnel was asked for"))
        self._first = first = asyncio.get_running_loop().create_future()
        self._restart()
        await asyncio.shield(first)

    async def under_way(self) -> bool:
        """Say whether it is up; if an attempt is being made, wait for its end."""
        if self._first is not None and not self._first.done():
            await asyncio.shield(self._first)
        return self.up.is_set()

    async def release(self) -> None:
        """Want the tunnel no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self._settle(IPsecError(f"the {self.name} tunnel is not wanted any more"))
        self.up.clear()
        self.trying, self.last_error = False, ""

    def retry(self) -> None:
        """If it is wanted, begin anew at once: what it went over has changed."""
        if self.wanted:
            self._restart()

    def hurry(self) -> None:
        """If the next attempt is being waited for, make it now."""
        if self.wanted and not self.trying and not self.up.is_set():
            self._restart()

    def lost(self) -> None:
        """It is not up any more."""
        self.up.clear()
        self._lost.set()

    def _restart(self) -> None:
        self.up.clear()
        before = self._task
        if before is not None:
            before.cancel()
        self._task = asyncio.create_task(self._keep(before), name=f"{self.name} tunnel")
        self._task.add_done_callback(self._ended)

    async def _keep(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        backoff = FIRST_BACKOFF
        while True:
            self._lost.clear()
            self.trying = True
            self._on_change()
            try:
                await self._bring_up(self.name)
            except ThroughwayError as error:
                self._failed(_narrowed(self.name, error))
                await asyncio.sleep(backoff)
                backoff = min(LAST_BACKOFF, backoff * 2)
                continue
            backoff = FIRST_BACKOFF
            self.trying, self.last_error = False, ""
            self.up.set()
            self._settle(None)
            self._on_change()
            await self._lost.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let a bug be seen, by whoever waits and by the loop's handler."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._settle(error)
            message = f"the keeper of the {self.name} tunnel failed"
            task.get_loop().call_exception_handler({"message": message, "exception": error})

    def _failed(self, error: ThroughwayError) -> None:
        self.trying, self.last_error = False, str(error)
        self._on_failure(self.name, str(error), getattr(error, "problem", ""))
        self._settle(error)
        self._on_change()

    def _settle(self, error: BaseException | None) -> None:
        first, self._first = self._first, None
        if first is None or first.done():
            return
        if error is None:
            first.set_result(None)
        else:
            first.set_exception(error)
            first.exception()  # its asker may be gone already


class ClientIPsec:
    """charon with both tunnels.

    ``on_change()`` tells that :meth:`tunnels` has changed, ``on_failure(name, reason, problem)``
    that an attempt failed, ``on_daemon(reason)`` that charon died, and with "" that it is there.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        *,
        on_change: Callable[[], None] = lambda: None,
        on_failure: Failure = lambda name, reason, problem: None,
        on_daemon: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._config = config
        self._policy = policy
        self._on_change = on_change
        self._on_daemon = on_daemon
        self._address = ""
        self._principal = ""
        self._token: Token | None = None
        self._sas: tuple[IKESA, ...] = ()
        self._since: dict[int, float] = {}
        """When each came up, as it was first seen: charon tells its age in whole seconds."""
        self._charon: Charon | None = None
        self._ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.esp: esp.ESPSupport | None = None
        self._tunnels = {
            name: _Tunnel(name, self._bring_up, on_failure, on_change)
            for name in (INFRASTRUCTURE, INTRANET)
        }

    @property
    def running(self) -> bool:
        """Whether charon is there."""
        return self._charon is not None and self._charon.running

    @property
    def charon_pid(self) -> int | None:
        """charon's process."""
        return self._charon.pid if self._charon is not None else None

    async def start(self) -> None:
        """Start charon; no tunnel yet. IPsecError when that cannot be."""
        self.esp = await asyncio.to_thread(esp.detect_esp, self._config.esp)
        settings = CharonSettings(
            directory=self._config.runtime_directory / "ipsec",
            esp=self.esp.mode,
            plugins=PLUGINS + CLIENT_PLUGINS,
        )
        self._charon = Charon(
            settings, on_ready=self._load, on_event=self._event, on_death=self._died
        )
        await self._charon.start()

    async def stop(self) -> None:
        """Take both tunnels down, telling the gateway, and end charon."""
        for tunnel in self._tunnels.values():
            await tunnel.release()
        if self._charon is not None:
            # Also those coming up: charon would wait for them before it ends.
            for name in self._tunnels if self._charon.running else ():
                with contextlib.suppress(IPsecError):
                    await self._charon.terminate(ike=name, wait=False)
            await self._charon.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sas = ()
        self._ready.clear()

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy; tunnels that it changes are brought up anew."""
        old, self._policy = self._policy, policy
        if self._charon is None or not self._charon.running:
            return
        await self._load(self._charon)
        same_peer = (old.gateway_identity, old.trust_anchors) == (
            *(policy.gateway_identity, policy.trust_anchors),
        )
        for name, tunnel in self._tunnels.items():
            if tunnel.wanted and not (same_peer and getattr(old, name) == getattr(policy, name)):
                tunnel.retry()

    async def up_infrastructure(self, local_address: str, *, renew: bool = False) -> None:
        """Bring the infrastructure tunnel up from ``local_address``, and keep it up.

        Returns when it is up; raises IPsecError when the first attempt fails, while others
        follow by themselves. One that is up from that address stays unless ``renew`` says that
        the gateway may have forgotten it (the link was away).
        """
        tunnel = self._tunnels[INFRASTRUCTURE]
        if local_address == self._address and not renew and await tunnel.under_way():
            return
        self._address = local_address
        intranet = self._tunnels[INTRANET]
        if intranet.wanted:
            intranet.retry()
        await tunnel.bring_up()

    async def up_intranet(self, principal: str, token: Token) -> None:
        """Bring the intranet tunnel up for a user, and keep it up; as the other one.

        ``token`` is awaited for each attempt, once the infrastructure tunnel is up (for which
        this waits as long as it takes): it makes a GSS-API token for the gateway's service, and
        raises ThroughwayError when it cannot.
        """
        same = principal == self._principal
        self._principal, self._token = principal, token
        tunnel = self._tunnels[INTRANET]
        if not (same and tunnel.up.is_set()):
            await tunnel.bring_up()

    def hurry(self) -> None:
        """Make the next attempts now: whatever was wrong may have been mended."""
        for tunnel in self._tunnels.values():
            tunnel.hurry()

    async def down(self, name: str) -> None:
        """Take a tunnel down, telling the gateway; no more attempts."""
        await self._tunnels[name].release()
        if name == INTRANET:
            self._principal, self._token = "", None
        if self._charon is not None and self._charon.running:
            # Told once; a gateway that cannot be reached would hold up everything for seconds.
            await self._charon.terminate(ike=name, wait=False)
            await self._charon.unload_connection(name)
        await self.refresh()
        self._on_change()

    async def refresh(self) -> None:
        """Ask charon for tunnels and traffic; :meth:`tunnels` tells what it said."""
        sas: tuple[IKESA, ...] = ()
        if self._charon is not None and self._charon.running:
            with contextlib.suppress(IPsecError):
                sas = await self._charon.list_sas()
        self._sas, now = sas, time.time()
        self._since = {s.unique_id: self._since.get(s.unique_id, now - s.established) for s in sas}
        for name, tunnel in self._tunnels.items():
            if tunnel.up.is_set() and not any(sa.up for sa in sas if sa.name == name):
                tunnel.lost()

    def tunnels(self) -> tuple[TunnelStatus, ...]:
        """Return both tunnels as of the last event or :meth:`refresh`."""
        return tuple(self._status(name) for name in (INFRASTRUCTURE, INTRANET))

    async def _load(self, charon: Charon) -> None:
        """Give charon all that does not differ from one attempt to the next."""
        certificates = split_pem(_content(self._config.certificate, "certificate"))
        if not certificates:
            raise _unusable(self._config.certificate, "certificate", "holds no certificate")
        await charon.clear_credentials()
        for anchor in self._policy.trust_anchors:
            await charon.load_certificate(anchor.encode(), authority=True)
        for certificate in certificates[1:]:
            await charon.load_certificate(certificate)
        await charon.load_key(_content(self._config.key, "key"))
        password = _content(self._config.password_file, "password_file").strip(b"\r\n")
        await charon.load_secret(INFRASTRUCTURE, "eap", password, [self._config.account])
        self._ready.set()
        self._on_daemon("")

    async def _bring_up(self, name: str) -> None:
        """Make one attempt at a tunnel."""
        await self._ready.wait()
        charon = self._charon
        assert charon is not None
        if name == INTRANET:
            await self._tunnels[INFRASTRUCTURE].up.wait()
            await self._load_token(charon)
        await charon.terminate(ike=name, wait=False)
        await charon.load_connection(name, self._connection(name))
        try:
            await charon.initiate(name, ike=name, timeout_ms=INITIATE_TIMEOUT_MS)
        finally:
            if name == INTRANET and charon.running:
                with contextlib.suppress(IPsecError):
                    await charon.unload_secret(INTRANET)
        await self.refresh()
        if not any(sa.up for sa in self._sas if sa.name == name):
            # Its event came while nobody believed in the tunnel yet, and none comes after it.
            raise IPsecError(f"the {name} tunnel came up and was ended at once")

    async def _load_token(self, charon: Charon) -> None:
        assert self._token is not None
        await charon.load_secret(INTRANET, "eap", await self._token(), [self._principal])

    def _connection(self, name: str) -> Section:
        return connection_of(
            self._config, self._policy, name, address=self._address, account=self._account(name)
        )

    def _account(self, name: str) -> str:
        """Return who authenticates in round 2: the computer account, or the user."""
        return self._config.account if name == INFRASTRUCTURE else self._principal

    def _died(self, reason: str) -> None:
        self._ready.clear()
        self._sas, self._since = (), {}
        for tunnel in self._tunnels.values():
            tunnel.retry()
        self._on_daemon(reason)
        self._on_change()

    def _event(self, event: Event) -> None:
        if isinstance(event, LineLogged):
            return
        task = asyncio.create_task(self._refresh_and_tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh_and_tell(self) -> None:
        await self.refresh()
        self._on_change()

    def _status(self, name: str) -> TunnelStatus:
        tunnel = self._tunnels[name]
        policy: TunnelPolicy = getattr(self._policy, name)
        sas = self._sas if self.running else ()
        sa = next((sa for sa in sas if sa.name == name and sa.up), None)
        # One that is being replaced may lead to a gateway that has forgotten it.
        if sa is None or not tunnel.up.is_set():
            state = TunnelState.CONNECTING if tunnel.trying else TunnelState.DOWN
            return TunnelStatus(
                name=name,
                state=state,
                remote_address=policy.endpoint,
                prefixes=policy.prefixes,
                last_error=tunnel.last_error,
            )
        return TunnelStatus(
            name=name,
            state=TunnelState.UP,
            local_address=sa.local_address,
            remote_address=sa.remote_address,
            local_identity=self._config.identity,
            remote_identity=sa.remote_identity,
            account=self._account(name),
            prefixes=tuple(ts for child in sa.children for ts in child.remote_ts),
            since=self._since[sa.unique_id],
            bytes_in=sum(child.bytes_in for child in sa.children),
            bytes_out=sum(child.bytes_out for child in sa.children),
        )


def _narrowed(name: str, error: ThroughwayError) -> ThroughwayError:
    """Name the one that an EAP failure is about; the gateway tells its reason to nobody else."""
    if getattr(error, "problem", "") != UNSPECIFIED or "EAP_FAILURE" not in str(error):
        return error
    if name == INFRASTRUCTURE:
        return IPsecError(
            f"the gateway refused the computer account ({error})",
            problem="ipsec-computer-account-refused",
        )
    return IPsecError(f"the gateway refused the user ({error})", problem="ipsec-user-refused")


def connection_of(
    config: ClientConfig, policy: Policy, name: str, *, address: str, account: str
) -> Section:
    """Return charon's connection for one tunnel."""
    tunnel: TunnelPolicy = getattr(policy, name)
    method, identity = "eap-gtc", config.identity
    if name == INFRASTRUCTURE:
        # charon names IDi as MSCHAPv2's user when it is not asked for an EAP identity.
        method, identity = "eap-mschapv2", account
    certificate = split_pem(_content(config.certificate, "certificate"))[0]
    anchors = [anchor.encode() for anchor in policy.trust_anchors]
    child = {
        "local_ts": ["dynamic"],
        "remote_ts": list(tunnel.prefixes),
        "esp_proposals": list(ESP_PROPOSALS),
        "dpd_action": "clear",
    }
    return {
        "version": "2",
        "local_addrs": [address],
        "remote_addrs": [tunnel.endpoint],
        "proposals": list(IKE_PROPOSALS),
        "mobike": "no",
        "send_cert": "always",
        "keyingtries": "1",
        "dpd_delay": _DPD_DELAY,
        "local-1": {"auth": "pubkey", "id": config.identity, "certs": [certificate]},
        "local-2": {"auth": method, "id": identity, "eap_id": account},
        "remote-1": {"auth": "pubkey", "id": policy.gateway_identity, "cacerts": anchors},
        "children": {name: child},
    }


def _content(file: Path, key: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        # It could when the daemon started, with all of root's rights.
        raise _unusable(file, key, f"cannot be read: {error.strerror}") from error


def _unusable(file: Path, key: str, why: str) -> IPsecError:
    return IPsecError(f"{file}: {key}: {why}", problem=UNUSABLE[key])
