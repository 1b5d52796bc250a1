"""The client's Teredo: IPv6 through NATs to the gateway's endpoints, by its server and relay.

The device gets the address that the machine forms and no routes. Only the gateway's endpoints may
talk to the client by it: it makes the computer reachable for nobody else.
"""

import time
from collections.abc import Callable
from ipaddress import IPv4Address

from throughway.client.transport import state_of
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.status import TransportKind, TransportStatus
from throughway.net import netlink
from throughway.net.firewall import MARK
from throughway.net.teredo_client import TeredoClient
from throughway.net.tun import TUN, configure_tunnel, has_lost, open_tun
from throughway.proto.teredo.client import (
    AddressAssigned,
    AddressRemoved,
    EndpointLost,
    EndpointProven,
    Event,
    State,
    StateChanged,
)
from throughway.wire.ipv6 import format_address, parse_address

INTERFACE = "teredo0"


class Teredo:
    """Teredo to the endpoints of a policy; a :class:`throughway.client.transport.Transport`."""

    kind = TransportKind.TEREDO

    def __init__(
        self, policy: Policy, on_change: Callable[[], None], *, interface: str = INTERFACE
    ) -> None:
        endpoints = (policy.infrastructure.endpoint, policy.intranet.endpoint)
        self._server = policy.transports.teredo_server
        self._endpoints = tuple(map(parse_address, endpoints))
        self._on_change = on_change
        self._name = interface
        self._tun: TUN | None = None
        self._client: TeredoClient | None = None
        self._assigned = ""
        """What the device has."""
        self._failure: TransportError | None = None
        self._since = 0.0
        self._told: object = None

    @property
    def interface(self) -> str:
        """The device, "" while there is none."""
        return self._name if self._tun is not None else ""

    @property
    def started(self) -> bool:
        """Whether it is between start and stop."""
        return self._client is not None

    @property
    def broken(self) -> bool:
        """Whether somebody has deleted the device, or taken its address away."""
        if self._tun is None:
            return False
        assigned = self._assigned
        return self._tun.gone or (bool(assigned) and has_lost(self._name, assigned))

    @property
    def up(self) -> bool:
        """Whether the gateway's endpoint answers over it."""
        return self._client is not None and self._client.machine.proven and bool(self._assigned)

    @property
    def address(self) -> str:
        """The Teredo address, "" while it is not proven."""
        return self._assigned if self.up else ""

    @property
    def failure(self) -> TransportError | None:
        """Why it is not up; it goes on trying."""
        return None if self.up else self._failure

    def start(self) -> None:
        """Make the device and begin to qualify; TransportError where that is refused."""
        if self._client is not None:
            return
        if not self._server:
            raise _failed("the policy names no Teredo server", "teredo-disabled")
        self._failure = None
        try:
            self._tun = tun = open_tun(self._name)
            configure_tunnel(tun, ())
            self._client = TeredoClient(
                IPv4Address(self._server).packed,
                tun,
                on_event=self._take,
                watched=self._endpoints[0],
                allowed=frozenset(self._endpoints),
                mark=MARK,
            )
            self._client.start()
        except (TransportError, OSError) as error:
            self._close()
            raise _failed(str(error), "teredo-adapter-missing") from error
        self._tell()

    async def stop(self) -> None:
        """Remove everything."""
        if self._client is not None or self._tun is not None:
            self._close()
            self._tell()

    def network_changed(self) -> None:
        """Look again at once; what holds as it is stays up."""
        if self._client is not None:
            self._failure = None
            self._client.network_changed()
            self._tell()

    def status(self) -> TransportStatus:
        """Return it for the snapshot."""
        failure, client = self.failure, self._client
        return TransportStatus(
            kind=self.kind,
            state=state_of(self),
            interface=self.interface,
            addresses=(self._assigned,) if self._assigned else (),
            details=tuple(self._details(client)) if client is not None else (),
            last_error=str(failure or ""),
            problem=failure.problem if failure is not None else "",
            since=self._since,
            bytes_in=client.bytes_in if client is not None else 0,
            bytes_out=client.bytes_out if client is not None else 0,
        )

    def _details(self, client: TeredoClient) -> list[tuple[str, str]]:
        machine = client.machine
        words = [("state", str(machine.state)), ("server", self._server), ("NAT", machine.nat)]
        if machine.mapping is not None:
            words.append(("mapping", str(machine.mapping)))
        drops = ", ".join(f"{why} {n}" for why, n in sorted(machine.drops.items()) if n)
        return [*words, ("dropped", drops)] if drops else words

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
        tun, self._tun = self._tun, None
        if tun is not None:
            tun.close()
        self._assigned, self._failure = "", None

    def _take(self, event: Event) -> None:
        match event:
            case AddressAssigned(address):
                self._assign(format_address(address))
            case AddressRemoved():
                self._assign("")
            case EndpointLost(error):
                self._failure = error
            case EndpointProven():
                self._failure = None
            case StateChanged(state, error):
                if error is not None:
                    self._failure = error
                elif state is State.QUALIFIED:
                    self._failure = None
        self._tell()

    def _assign(self, address: str) -> None:
        old, self._assigned = self._assigned, ""
        try:
            if old:
                netlink.delete_address(self._name, f"{old}/128")
            if address:
                netlink.add_address(self._name, f"{address}/128", check_duplicates=False)
        except OSError as error:
            text = f"{self._name} does not take its address: {error.strerror}"
            self._failure = _failed(text, "teredo-adapter-missing")
        else:
            self._assigned = address

    def _tell(self) -> None:
        """Tell what has changed."""
        seen = (self.started, self.interface, self.up, self.address, str(self.failure))
        if seen != self._told:
            self._since = time.time()
            self._told = seen
            self._on_change()


def _failed(why: str, problem: str) -> TransportError:
    return TransportError(Stage.LINK, why, problem=problem)
