"""What every transport of the client is: the shape that the selection works with.

A transport makes its device, gives it its address, and proves itself by an exchange with the
gateway's endpoint which it keeps repeating. It puts no route to the endpoints: several transports
may be up at once, and the selection sends the tunnels through one of them. So its own probes are
answered inside its machine, or leave by a socket that is bound to the device, and its outer
packets carry :data:`throughway.net.firewall.MARK` like those of the dialer.

A transport is made with (config, policy, …, on_change); ``on_change()`` is to be called whenever
anything that the shape shows has changed. It is called in the event loop, and may call back.
"""

from typing import Protocol

from throughway.model.errors import TransportError
from throughway.model.status import TransportKind, TransportState, TransportStatus


class Transport(Protocol):
    """One way to the gateway's endpoints; :meth:`start` and :meth:`stop` may alternate at will."""

    @property
    def kind(self) -> TransportKind:
        """Which one it is."""

    @property
    def interface(self) -> str:
        """The device by which packets to the endpoints leave, "" while there is none."""

    @property
    def started(self) -> bool:
        """Whether it is between start and stop."""

    @property
    def broken(self) -> bool:
        """Whether somebody has deleted the device under it."""

    @property
    def up(self) -> bool:
        """Whether it is proven: the gateway's endpoint answered over it and still does."""

    @property
    def address(self) -> str:
        """The client's global IPv6 address on it, "" while it is not up."""

    @property
    def failure(self) -> TransportError | None:
        """Why it is not up, with the catalogue's code; None while it is up or still unsure."""

    def start(self) -> None:
        """Make the device and begin; TransportError where that is refused at once."""

    async def stop(self) -> None:
        """Leave no device, address, route or rule behind; does nothing when not started."""

    def network_changed(self) -> None:
        """Look again at once: addresses or routes changed, or the computer was asleep."""

    def status(self) -> TransportStatus:
        """Return it for the snapshot."""


def state_of(transport: Transport) -> TransportState:
    """Return the one word for what a transport shows."""
    if not transport.started:
        return TransportState.IDLE
    if transport.up:
        return TransportState.UP
    return TransportState.TRYING if transport.failure is None else TransportState.FAILED
