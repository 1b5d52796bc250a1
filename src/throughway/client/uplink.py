"""The client's IP-HTTPS link as one thing: TUN device, TLS, reconnecting stream.

Outside it is there; inside it is gone with its device, so that neither its address nor the
routes that came with the gateway's advertisement stay behind.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from throughway.client.proxy import ProxySource
from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.status import LinkStatus
from throughway.net.dial import Resolve
from throughway.net.iphttps_client import IPHTTPSClient
from throughway.net.process import write_private
from throughway.net.tls import client_context
from throughway.net.tun import TUN, configure_client, open_tun
from throughway.proto.iphttps.client import State

SECRET_BYTES = 16

OnState = Callable[[State, TransportError | None], None]


class Uplink:
    """The link of a policy; :meth:`start` and :meth:`stop` may follow each other at will."""

    def __init__(
        self, config: ClientConfig, policy: Policy, resolve: Resolve, on_state: OnState
    ) -> None:
        self._config = config
        self._policy = policy
        self._proxies = ProxySource(config, policy, resolve)
        self._dial = self._proxies.dialer()
        self._on_state = on_state
        self._tun: TUN | None = None
        self._link: IPHTTPSClient | None = None

    @property
    def started(self) -> bool:
        """Whether there is a link, up or not."""
        return self._link is not None

    @property
    def broken(self) -> bool:
        """Whether somebody has deleted the device under the link."""
        return self._tun is not None and self._tun.gone

    @property
    def up(self) -> bool:
        """Whether packets pass."""
        return self._link is not None and self._link.state is State.LINK_UP

    @property
    def address(self) -> str:
        """The global address on the link, "" while there is none or the link is down."""
        status = self.status()
        return status.addresses[0] if self.up and status.addresses else ""

    def start(self) -> None:
        """Make the device and bring the link up; TransportError when there can be no device."""
        if self._link is not None:
            return
        anchors = self._policy.trust_anchors
        if self._config.iphttps_ca is not None:
            anchors = (self._config.iphttps_ca.read_text(),)
        tls = client_context(
            anchors=anchors,
            system=self._config.iphttps_ca is None,
            certificate=self._config.certificate,
            key=self._config.key,
        )
        # The address is the same after every restart, and the session key lets the gateway
        # end at once what is left of the session before.
        secret = self._kept_secret("address.secret", self._config.state_directory)
        session = self._kept_secret("session.key", self._config.runtime_directory)
        tun = open_tun(self._config.interface)
        try:
            configure_client(tun, secret=secret)
        except BaseException:
            tun.close()  # or its name would be taken at the next attempt
            raise
        self._tun = tun
        self._link = IPHTTPSClient(
            self._policy.iphttps_url,
            self._tun,
            dial=self._dial,
            tls=tls,
            session=session.hex(),
            on_state=self._take_state,
        )
        self._link.start()

    async def stop(self) -> None:
        """Take the link down and remove the device."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        tun, self._tun = self._tun, None
        if tun is not None:
            tun.close()

    async def update_policy(self, policy: Policy) -> None:
        """Take a newer policy; a link that it changes is made anew."""
        old, self._policy = self._policy, policy
        self._proxies.update_policy(policy)
        changed = (old.iphttps_url, old.trust_anchors) != (policy.iphttps_url, policy.trust_anchors)
        if changed and self.started:
            await self.stop()
            self.start()

    def network_changed(self) -> None:
        """Tell the link that addresses or routes changed."""
        if self._link is not None:
            self._link.network_changed()

    def status(self) -> LinkStatus:
        """Return the link for the snapshot."""
        if self._link is not None:
            return replace(self._link.status(), way=self._dial.way)
        return LinkStatus(
            state=State.DISABLED, url=self._policy.iphttps_url, interface=self._config.interface
        )

    def _take_state(self, state: State, error: TransportError | None) -> None:
        if state is State.LINK_UP:
            self._dial.succeeded()
        elif error is not None and error.stage in (Stage.TLS, Stage.HTTP):
            self._dial.failed()
        self._on_state(state, error)

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
