"""The two IPsec tunnels of a client: brought up, watched, brought up again.

charon is asked to initiate and never does so by itself: user-space ESP knows no acquire, and
each attempt at the intranet tunnel needs a token that was not used before. So there is one
place that decides, :class:`throughway.client.tunnel.Tunnel`, once for each of the tunnels.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from throughway.client.computer_key import ComputerKey, check_usage, distrust, modules_of
from throughway.client.proof import NO_SUCH_KEY, Proof, UserKey
from throughway.client.tunnel import Failure, Tunnel
from throughway.health import log
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, IPsecError, ThroughwayError
from throughway.model.policy import Policy, TunnelPolicy
from throughway.model.revocation import Revocation
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net import esp
from throughway.net.causes import UNSPECIFIED
from throughway.net.charon import (
    CLIENT_PLUGINS,
    ESP_PROPOSALS,
    IKE_PROPOSALS,
    PLUGINS,
    REVOCATION,
    Charon,
    CharonSettings,
    split_pem,
)
from throughway.net.computer_token import ComputerTicket, make_computer_token
from throughway.net.crl_feed import CRLFeed
from throughway.net.files import read_file, read_secret
from throughway.net.revocation_lists import RevocationLists
from throughway.net.sas import IKESA, Event, LineLogged
from throughway.net.tunnel_routes import TunnelRoutes, end_routeless
from throughway.net.vici import Section
from throughway.pki.shown import ShownCertificates

INFRASTRUCTURE, INTRANET = "infrastructure", "intranet"
HEALTH_CERTIFICATE = "health.pem"
"""Of the runtime directory, which no disk has: a health certificate in force, and its key."""

INITIATE_TIMEOUT_MS = 10_000
"""Longer than charon's retransmissions, so that its own words for the failure are heard."""
UNUSABLE = {
    "certificate": "ipsec-no-machine-cert",
    "key": "ipsec-cert-no-private-key",
    "password_file": "ipsec-computer-account-refused",
}
"""Keys of the configuration, and what it is when their files cannot be used."""
_DPD_DELAY = "3s"
"""Silence after which the gateway is asked whether it lives; it is given up 6.6 s later."""

_CARD_SETTLE = 0.25
"""Seconds until charon's words about a card have come, which another thread of it sends."""

NO_VERDICT = ("ipsec-negotiation-timeout", "ipsec-endpoint-unreachable")
"""Failures that say nothing of the computer's ticket."""


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
        lists: RevocationLists | None = None,
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
        self._proof: Proof | None = None
        self._card_unseen = asyncio.Event()
        token = config.token_key
        self._computer_key = ComputerKey(token) if token is not None else None
        self._sas: tuple[IKESA, ...] = ()
        self._routes = TunnelRoutes()
        self._since: dict[int, float] = {}
        """When each came up, as it was first seen: charon tells its age in whole seconds."""
        self._charon: Charon | None = None
        self._lists = lists
        self._feed = None
        if lists is not None:
            self._feed = CRLFeed(
                lists,
                lambda: self._charon if self.running else None,
                self._spawn,
                on_given=self._judge_anew,
            )
        self._ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.esp: esp.ESPSupport | None = None
        self._tunnels = {
            name: Tunnel(name, self._attempt, on_failure, on_change)
            for name in (INFRASTRUCTURE, INTRANET)
        }

    @property
    def _revocation(self) -> Revocation:
        """How hard the gateway is checked."""
        return revocation_of(self._config, self._policy)

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
            modules=modules_of(self._config),
            proxy=await self._feed.start() if self._feed is not None else "",
        )
        if self._lists is not None:
            self._lists.start()
        self._charon = Charon(
            settings, on_ready=self._load, on_event=self._event, on_death=self._died
        )
        await self._charon.start()

    async def version(self) -> str:
        """Ask charon for its version; IPsecError when it is not there."""
        if self._charon is None or not self._charon.running:
            raise IPsecError("charon is not there yet", problem="ipsec-daemon-down")
        answer = await self._charon.request("version")
        return str(answer["version"], "utf-8", "replace")

    async def restart(self) -> str:
        """Have charon started anew, also one that hangs; say what was done."""
        if self._charon is not None and self._charon.kill():
            return "charon was ended and is started again"
        return "charon is being started already"

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
        if self._feed is not None:
            await self._feed.stop()
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

    async def renew_credentials(self) -> None:
        """Read certificate and key anew; tunnels stay, the next one is opened with them."""
        if self._charon is not None and self._charon.running:
            await self._load(self._charon)

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

    async def up_intranet(self, principal: str, proof: Proof) -> None:
        """Bring the intranet tunnel up for a user, and keep it up; as the other one.

        ``proof`` is used for each attempt, once the infrastructure tunnel is up (for which this
        waits as long as it takes): it makes a GSS-API token for the gateway's service, or is a
        key; ThroughwayError when it cannot.
        """
        same = principal == self._principal
        if self._proof is not proof:
            await self._forget_key()
        self._principal, self._proof = principal, proof
        tunnel = self._tunnels[INTRANET]
        if not (same and tunnel.up.is_set()):
            await tunnel.bring_up()

    def hurry(self) -> None:
        """Make the next attempts now: whatever was wrong may have been mended."""
        if self._lists is not None:
            self._lists.refresh()
        if self._feed is not None and self._feed.emptied and self._charon is not None:
            self._spawn(self._load(self._charon))
        for tunnel in self._tunnels.values():
            tunnel.hurry()

    async def down(self, name: str) -> None:
        """Take a tunnel down, telling the gateway; no more attempts."""
        await self._tunnels[name].release()
        if name == INTRANET:
            await self._forget_key()
            self._principal, self._proof = "", None
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
            try:
                sas = await self._charon.list_sas()
            except IPsecError:
                return  # it ends, which is told otherwise, or hangs: nothing is known anew
            if await end_routeless(self._charon, self._routes, sas):
                log.logger("client").info("routes into tunnels were taken away: made anew")
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
        if isinstance(self._proof, UserKey):
            self._proof.forgotten()
        for anchor in self._policy.trust_anchors:
            await charon.load_certificate(anchor.encode(), authority=True)
        for certificate in certificates[1:]:
            await charon.load_certificate(certificate)
        await self._load_computer_key(charon)
        file = self._config.password_file
        if not self._config.kdc_proxy and file is not None:
            password = _content(file, "password_file", read_secret).strip(b"\r\n")
            await charon.load_secret(INFRASTRUCTURE, "eap", password, [self._config.account])
        if self._feed is not None:
            self._feed.configure(
                (*(a.encode() for a in self._policy.trust_anchors), *certificates[1:]),
                self._policy.revocation.lists,
                self._revocation,
            )
            await self._feed.supply()
        self._ready.set()
        self._on_daemon("")

    async def _load_computer_key(self, charon: Charon) -> None:
        if self._computer_key is None:
            await charon.load_key(_content(self._config.key, "key", read_secret))
        else:
            await self._computer_key.load(charon)

    async def _attempt(self, name: str) -> None:
        try:
            await self._bring_up(name)
        except ThroughwayError as error:
            raise self._distrusted(_narrowed(name, error)) from error

    def _distrusted(self, error: ThroughwayError) -> ThroughwayError:
        """Name our certificate where the gateway only says no, and cannot but.

        All authorities that it trusts are known here, and none of them has issued it.
        """
        if not isinstance(error, IPsecError) or error.problem != UNSPECIFIED:
            return error
        if not error.authorities_known:
            return error
        why = distrust(self._config.certificate, self._policy.trust_anchors)
        return IPsecError(f"{error}: {why}", problem="ipsec-cert-wrong-chain") if why else error

    async def _bring_up(self, name: str) -> None:
        """Make one attempt at a tunnel."""
        await self._ready.wait()
        charon = self._charon
        assert charon is not None
        check_usage(self._config.certificate)
        if name == INTRANET:
            await self._tunnels[INFRASTRUCTURE].up.wait()
            await self._load_proof(charon)
            if health := health_credential(self._config):
                await charon.load_key(split_pem(health, "PRIVATE KEY")[0])
        ticket = computer_ticket(self._config, self._policy) if name == INFRASTRUCTURE else None
        if ticket is not None:
            token = await make_computer_token(ticket)
            await charon.load_secret(INFRASTRUCTURE, "eap", token, [ticket.principal])
        await charon.terminate(ike=name, wait=False)
        await charon.load_connection(name, self._connection(name))
        try:
            await charon.initiate(name, ike=name, timeout_ms=INITIATE_TIMEOUT_MS)
        except IPsecError as error:
            if ticket is not None and error.problem not in NO_VERDICT:
                ticket.forget()
            if name == INTRANET and _narrowed(name, error) is error:
                _forget_health(self._config, error)
            raise (self._feed.explained(error) if self._feed else error) from error
        finally:
            if (name == INTRANET or ticket is not None) and charon.running:
                with contextlib.suppress(IPsecError):
                    await charon.unload_secret(name)
        await self.refresh()
        if not any(sa.up for sa in self._sas if sa.name == name):
            # Its event came while nobody believed in the tunnel yet, and none comes after it.
            raise IPsecError(f"the {name} tunnel came up and was ended at once")

    async def _load_proof(self, charon: Charon) -> None:
        proof = self._proof
        assert proof is not None
        if not isinstance(proof, UserKey):
            await charon.load_secret(INTRANET, "eap", await proof(), [self._principal])
            return
        self._card_unseen.clear()
        try:
            await proof.load(charon)
        except IPsecError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CARD_SETTLE):
                    await self._card_unseen.wait()
            if self._card_unseen.is_set() and proof.unseen():
                charon.renew()  # some modules see only the cards that were there before them
            raise

    async def _forget_key(self) -> None:
        if isinstance(self._proof, UserKey) and self._charon is not None and self.running:
            with contextlib.suppress(IPsecError):
                await self._proof.unload(self._charon)

    def _connection(self, name: str) -> Section:
        key = self._proof if name == INTRANET and isinstance(self._proof, UserKey) else None
        return connection_of(
            self._config,
            self._policy,
            name,
            address=self._address,
            account=self._account(name),
            key=key,
        )

    def _account(self, name: str) -> str:
        """Return who authenticates in round 2: the computer account, or the user."""
        return self._config.account if name == INFRASTRUCTURE else self._principal

    def _died(self, reason: str) -> None:
        self._ready.clear()
        self._sas, self._since = (), {}
        if isinstance(self._proof, UserKey):
            self._proof.forgotten()
        for tunnel in self._tunnels.values():
            tunnel.retry()
        self._on_daemon(reason)
        self._on_change()

    def _event(self, event: Event) -> None:
        if isinstance(event, LineLogged):
            if self._feed is not None:
                self._feed.heard(event.text)
            if event.text.startswith(NO_SUCH_KEY):
                self._card_unseen.set()
            return
        self._spawn(self._refresh_and_tell())

    async def _judge_anew(self, crl: bytes) -> None:
        """Ask for the tunnels anew when a list has the gateway that they lead to."""
        if not self.running or self._charon is None:
            return
        shown = ShownCertificates()
        with contextlib.suppress(IPsecError):
            shown.note(await self._charon.list_certificates())
        listed = await asyncio.to_thread(shown.listed, crl)
        if self._policy.gateway_identity.lower() in listed:
            for tunnel in self._tunnels.values():
                tunnel.retry()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
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


def revocation_of(config: ClientConfig, policy: Policy) -> Revocation:
    """Return how hard the gateway's certificate is checked."""
    own = config.ipsec_revocation
    return Revocation(own) if own else policy.revocation.ipsec


def computer_ticket(config: ClientConfig, policy: Policy) -> ComputerTicket | None:
    """Return what the computer proves itself with, None where it does by its password."""
    if not config.kdc_proxy:
        return None
    if not policy.kerberos_realm:
        why = "the deployment's policy names no Kerberos realm: its gateway has no [users]"
        raise ConfigError(str(config.file), "kdc_proxy", why)
    anchors = policy.trust_anchors
    if config.iphttps_ca is not None:
        anchors = (_content(config.iphttps_ca, "iphttps_ca").decode(errors="replace"),)
    return ComputerTicket(
        principal=f"{config.account}@{policy.kerberos_realm}",
        service=policy.kerberos_service,
        realm=policy.kerberos_realm,
        kdc_proxy=config.kdc_proxy,
        directory=str(config.runtime_directory),
        anchors=anchors,
        keytab=str(config.keytab or ""),
        password_file=str(config.password_file or ""),
    )


def connection_of(
    config: ClientConfig,
    policy: Policy,
    name: str,
    *,
    address: str,
    account: str,
    key: UserKey | None = None,
) -> Section:
    """Return charon's connection for one tunnel."""
    tunnel: TunnelPolicy = getattr(policy, name)
    method, identity = "eap-gtc", config.identity
    if name == INFRASTRUCTURE and config.kdc_proxy:
        identity, account = config.account, f"{config.account}@{policy.kerberos_realm}"
    elif name == INFRASTRUCTURE:
        # charon names IDi as MSCHAPv2's user when it is not asked for an EAP identity.
        method, identity = "eap-mschapv2", account
    second: Section = {"auth": method, "id": identity, "eap_id": account}
    if key is not None:
        second |= {"auth": "eap-tls", "certs": [key.certificate]}
    certificate = split_pem(_content(config.certificate, "certificate"))[0]
    if name == INTRANET and (health := health_credential(config)):
        certificate = split_pem(health)[0]
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
        "local-2": second,
        "remote-1": {"auth": "pubkey", "id": policy.gateway_identity, "cacerts": anchors}
        | REVOCATION.get(revocation_of(config, policy), {}),
        "children": {name: child},
    }


def health_credential(config: ClientConfig) -> bytes:
    """Return the health certificate and its key, b"" where the gateway has given none."""
    try:
        return read_secret(config.runtime_directory / HEALTH_CERTIFICATE)
    except ValueError:
        return b""


def _forget_health(config: ClientConfig, error: IPsecError) -> None:
    """Forget a certificate that did not help: another one is asked for then."""
    if error.problem == UNSPECIFIED:
        (config.runtime_directory / HEALTH_CERTIFICATE).unlink(missing_ok=True)


def _content(file: Path, key: str, read: Callable[[Path], bytes] = read_file) -> bytes:
    try:
        return read(file)
    except ValueError as error:
        # It could when the daemon started, with all of root's rights.
        raise _unusable(file, key, str(error).removeprefix(f"{file} ")) from error


def _unusable(file: Path, key: str, why: str) -> IPsecError:
    return IPsecError(f"{file}: {key}: {why}", problem=UNUSABLE.get(key, UNSPECIFIED))
