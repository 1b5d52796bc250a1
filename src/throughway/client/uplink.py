"""IP-HTTPS as a transport of the client: TUN device, TLS, reconnecting stream.

Stopped, it is gone with its device, so that neither its address nor the routes that came with the
gateway's advertisement stay behind.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from throughway.client.beyond import SILENT, Beyond
from throughway.client.computer_key import shown_by_tls
from throughway.client.inspection import Inspection
from throughway.client.portal import PROBLEM as CAPTIVE
from throughway.client.portal import Portal
from throughway.client.proxy import ProxySource
from throughway.client.revocation import ClientRevocation
from throughway.client.transport import state_of
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.status import LinkStatus, TransportKind, TransportStatus
from throughway.net.dial import Resolve
from throughway.net.iphttps_client import IPHTTPSClient
from throughway.net.process import write_private
from throughway.net.shown import full_size_passes
from throughway.net.surroundings import silent_router
from throughway.net.tls import client_context, load_pair
from throughway.net.tun import (
    TUN,
    advertisements,
    configure_client,
    global_addresses,
    has_lost,
    open_tun,
)
from throughway.proto.iphttps.client import State
from throughway.proto.iphttps.stalls import Stalls

SECRET_BYTES = 16
ADDRESS_INTERVAL = 0.02
"""Seconds between looks for the address of a link that has just come up."""
ADDRESS_TIMEOUT = 5.0
"""Seconds after which a link without an address is a problem of its own."""
FULL_SIZE_INTERVAL, FULL_SIZE_PAUSE = 3.0, 60.0
"""Seconds between tries whether full-size packets pass again, at first and at last."""

OnState = Callable[[State, TransportError | None], None]


class Uplink:
    """The link of a policy; ``on_state`` tells of the link, ``on_change`` of the transport."""

    kind = TransportKind.IPHTTPS

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        resolve: Resolve,
        on_state: OnState,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._policy = policy
        self._beyond = Beyond(lambda: self._host, resolve, self._told_again, _silent_router)
        self._proxies = ProxySource(config, policy, self._beyond.resolve)
        self._dial = self._proxies.dialer(on_silent=self._told)
        self._doubt: asyncio.Task[None] | None = None
        self._silence: TransportError | None = None
        """What is wrong with the proxy of a link that has fallen silent."""
        self._advertised = 0  # by what the kernel has counted, when an address was there last
        self.revocation = ClientRevocation(
            config, policy, self._proxies, self._refused, on_listed=self._try_again
        )
        self._inspection = Inspection(
            self._dial, self._told_again, fetch=self.revocation.fetch, context=self._context
        )
        self._portal = Portal(
            policy, resolve, on_found=self._portal_found, on_opened=self._try_again
        )
        self._on_state = on_state
        self._on_change = on_change
        self._stalls = Stalls()
        self.failure: TransportError | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._tun: TUN | None = None
        self._assigned = ""
        """The address that the device has had, until it is made anew."""
        self._link: IPHTTPSClient | None = None
        self._certificate_changed: Callable[[], None] = lambda: None

    @property
    def started(self) -> bool:
        """Whether there is a link, up or not."""
        return self._link is not None

    @property
    def broken(self) -> bool:
        """Whether somebody has deleted the device under the link, or taken its address away.

        The kernel does that when the device is switched off; nothing brings the address back.
        """
        if self._tun is None:
            return False
        name, assigned = self.interface, self._assigned
        lost = bool(assigned) and has_lost(name, assigned) and not global_addresses(name)
        return self._tun.gone or lost

    @property
    def interface(self) -> str:
        """The TUN device, "" while there is none."""
        return self._tun.name if self._tun is not None else ""

    @property
    def up(self) -> bool:
        """Whether packets pass, from an address that the gateway knows."""
        return bool(self.address)

    @property
    def address(self) -> str:
        """The global address on the link, "" while there is none or the link is down."""
        if self._link is None or self._link.state is not State.LINK_UP:
            return ""
        return next(iter(global_addresses(self.interface)), "")

    def start(self) -> None:
        """Make the device and bring the link up; TransportError when there can be none."""
        if self._link is not None:
            return
        self.failure = None
        try:
            self._start()
        except ConfigError as error:
            # The policy was checked; what is left is the authority of client.toml.
            unusable = "iphttps-no-usable-cert"
            raise TransportError(
                Stage.TLS, str(error), windows_code=0x103, problem=unusable
            ) from error

    def renew_certificate(self) -> None:
        """Show the certificate that is in place now with the next connection."""
        self._certificate_changed()

    def _start(self) -> None:
        tls = self._context()
        own = shown_by_tls(self._config)
        if own["certificate"] is not None and own["key"] is not None:
            # Most gateways ask for none, and what is wrong with it is told where it is needed.
            with contextlib.suppress(ConfigError):
                load_pair(tls, own["certificate"], own["key"])
        # The address is the same after every restart, and the session key lets the gateway
        # end at once what is left of the session before.
        secret = self._kept_secret("address.secret", self._config.state_directory)
        session = self._kept_secret("session.key", self._config.runtime_directory)
        tun = open_tun(self._config.interface)
        self._advertised = 0
        try:
            configure_client(tun, secret=secret)
        except BaseException:
            tun.close()  # or its name would be taken at the next attempt
            raise
        self._tun = tun
        self._certificate_changed = lambda: load_pair(
            tls, self._config.certificate, self._config.key
        )
        self._link = IPHTTPSClient(
            self._policy.iphttps_url,
            self._tun,
            dial=self._dial,
            tls=tls,
            session=session.hex(),
            judge=self.revocation.judge_server,
            on_state=self._link_changed,
            on_doubt=self._doubted,
        )
        self._link.start()
        self._portal.start()

    def _context(self, more: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Return how the gateway is judged; what is more than the anchors completes chains only."""
        own = self._config.iphttps_ca
        anchors = self._policy.trust_anchors if own is None else (own.read_text(),)
        return client_context(anchors=(*anchors, *more), system=own is None)

    async def stop(self) -> None:
        """Take the link down and remove the device."""
        link, self._link = self._link, None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
        await self._portal.stop()
        await self._inspection.stop()
        await self._beyond.stop()
        await self._end_doubt()
        if link is not None:
            await link.close()
        self.failure = None
        tun, self._tun = self._tun, None
        self._assigned = ""
        if tun is not None:
            tun.close()

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy; a link that it changes is made anew."""
        old, self._policy = self._policy, policy
        self._proxies.update_policy(policy)
        self.revocation.update_policy(policy)
        self._portal.update_policy(policy)
        changed = (old.iphttps_url, old.trust_anchors) != (policy.iphttps_url, policy.trust_anchors)
        if changed and self.started:
            await self.stop()
            self.start()

    def network_changed(self) -> None:
        """Tell the link that addresses or routes changed."""
        if self._link is not None:
            self.failure = None
            self._stalls = Stalls()
            self._proxies.small = False
            self._proxies.network_changed()
            self.revocation.network_changed()
            self._portal.network_changed()
            self._link.network_changed()

    def status(self) -> TransportStatus:
        """Return the transport for the snapshot."""
        link = self.link()
        return TransportStatus(
            kind=self.kind,
            state=state_of(self),
            interface=self.interface,
            addresses=link.addresses,
            details=(("link", link.state),),
            last_error=str(self.failure or ""),
            problem=self.failure.problem if self.failure is not None else "",
            since=link.since,
            bytes_in=link.bytes_in,
            bytes_out=link.bytes_out,
        )

    def _link_changed(self, state: State, error: TransportError | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if error is not None:
            if error.stage in (Stage.TLS, Stage.HTTP):
                self._dial.failed()
            self._portal.way_failed()
            error = self._inspection.named(self._named(error), self._policy.iphttps_url)
            error = self._beyond.judged(error, direct=self._dial.direct)
            if error.stage is Stage.LINK and error.problem == SILENT:
                error = self._silence or error
            error = self._stalls.judged(error, asyncio.get_running_loop().time())
            self._proxies.small = self._stalls.small
            error = self.failure = self._captive(error) if self._portal.captive else error
        if state is State.LINK_UP:
            self._dial.succeeded()
            self._portal.way_found()
            self._beyond.answered()
            self._silence = None
            self._stalls.came_up(asyncio.get_running_loop().time())
            self.failure = None
            self._waiting = asyncio.get_running_loop().create_task(self._wait_address())
        self._on_state(state, error)
        self._on_change()

    @property
    def _host(self) -> str:
        return urlsplit(self._policy.iphttps_url).hostname or ""

    def _told_again(self, error: TransportError) -> None:
        """Tell an error again, of which more is known now: whose certificate, or why silent."""
        told = self.failure
        if self._link is None or told is None or told.problem == CAPTIVE:
            return
        if told.stage is error.stage:
            self.failure = error
            self._on_state(self._link.state, error)

    def _told(self, error: TransportError) -> None:
        """Tell why the link is late, which goes on trying."""
        link = self._link
        if link is not None and link.state is not State.LINK_UP and not self._portal.captive:
            self.failure = error
            self._on_state(link.state, error)
            self._on_change()

    def _doubted(self) -> None:
        """Find out what is silent, before the link is given up for it."""
        self._beyond.ask()
        if self._doubt is None or self._doubt.done():
            self._silence = None
            self._doubt = asyncio.get_running_loop().create_task(self._ask_proxy())

    async def _ask_proxy(self) -> None:
        self._silence = await self._dial.silence()

    async def _end_doubt(self) -> None:
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            doubt.cancel()
            await asyncio.wait((doubt,))

    def _refused(self, error: TransportError) -> None:
        """End the link to a server that has turned out to be revoked."""
        if self._link is not None:
            self._link.refuse(error)

    def _named(self, error: TransportError) -> TransportError:
        """Say which certificate it was that the gateway did not take."""
        if not error.problem.startswith("iphttps-client-cert"):
            return error
        own = f"{self._config.certificate} of {self._config.identity}"
        return TransportError(
            error.stage,
            f"{error}; this computer's certificate is {own}",
            windows_code=error.windows_code,
            problem=error.problem,
        )

    async def _wait_address(self) -> None:
        """Tell when the kernel has formed the address; the TUN device has no DAD to wait for."""
        loop = asyncio.get_running_loop()
        deadline, interval = loop.time() + ADDRESS_TIMEOUT, ADDRESS_INTERVAL
        while not self.address:
            if loop.time() > deadline:
                self.failure = _unaddressed(self.interface, self._advertised)
                self._on_state(State.LINK_UP, self.failure)
                self._on_change()
                interval = ADDRESS_TIMEOUT
            await asyncio.sleep(interval)
        self._assigned = self.address
        self._advertised = advertisements(self.interface)
        if self.failure is not None:
            self.failure = None
            self._on_state(State.LINK_UP, None)
        self._on_change()
        if self._stalls.small:
            # It is not over because a link is there: that comes up every time.
            self._on_state(State.LINK_UP, self._stalls.found())
            await self._wait_full_size()
            self._on_state(State.LINK_UP, None)

    async def _wait_full_size(self) -> None:
        """Return when packets of full size pass again; the next connection will have them."""
        dial, pause = self._proxies.dialer(full_size=True), FULL_SIZE_INTERVAL
        port = urlsplit(self._policy.iphttps_url).port or 443
        while not await full_size_passes(dial, self._host, port):
            await asyncio.sleep(pause)
            pause = min(FULL_SIZE_PAUSE, pause * 1.2)
        self._stalls = Stalls()
        self._proxies.small = False

    def link(self) -> LinkStatus:
        """Return the link for the snapshot."""
        if self._link is not None:
            way = self._portal.words if self._portal.captive else self._dial.way
            return replace(self._link.status(), way=way)
        return LinkStatus(
            state=State.DISABLED, url=self._policy.iphttps_url, interface=self._config.interface
        )

    def _captive(self, error: TransportError | None) -> TransportError:
        """Say what is in the way, rather than what a portal does to the connections behind it."""
        words = f"{self._portal.words}; {error}" if error else self._portal.words
        return TransportError(Stage.HTTP, words, problem=CAPTIVE)

    def _portal_found(self, _url: str) -> None:
        if self._link is not None and self._link.state is not State.LINK_UP:
            self.failure = self._captive(None)
            self._on_state(self._link.state, self.failure)
            self._on_change()

    def _try_again(self) -> None:
        """Go on at once, because what stood in the way is gone; the link's timer may be far."""
        if self._link is not None:
            self.failure = None
            self._link.network_changed()

    def _kept_secret(self, name: str, directory: Path) -> bytes:
        """Return a secret of this computer, made once."""
        file = directory / name
        try:
            secret = bytes.fromhex(file.read_text())
        except (OSError, ValueError):
            secret = b""
        if len(secret) != SECRET_BYTES:
            secret = os.urandom(SECRET_BYTES)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(file, secret.hex())
        return secret


def _unaddressed(interface: str, known: int) -> TransportError:
    """Say what a link lacks that has no address: the gateway's advertisement, or what follows."""
    words = f"{interface} has only its own address"
    if advertisements(interface) == known:
        words = f"{words}: the gateway has advertised nothing"
        return TransportError(Stage.LINK, words, problem="iphttps-no-router-advertisement")
    return TransportError(Stage.LINK, words, problem="iphttps-no-global-address")


def _silent_router(unreachable: bool) -> str:
    return silent_router(unreachable=unreachable)
