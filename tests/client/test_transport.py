"""The shape that transports have in common."""

from dataclasses import dataclass

import pytest

from throughway.client.transport import Transport, state_of
from throughway.model.errors import Stage, TransportError
from throughway.model.status import TransportKind, TransportState, TransportStatus

ERROR = TransportError(Stage.CONNECT, "no answer")


@dataclass
class Shown:
    """A transport that shows what it is told to."""

    kind: TransportKind = TransportKind.TEREDO
    interface: str = ""
    started: bool = False
    broken: bool = False
    up: bool = False
    address: str = ""
    failure: TransportError | None = None

    def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.started = False

    def network_changed(self) -> None: ...

    def status(self) -> TransportStatus:
        return TransportStatus(kind=self.kind, state=state_of(self))


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        (Shown(), TransportState.IDLE),
        (Shown(failure=ERROR), TransportState.IDLE),
        (Shown(started=True), TransportState.TRYING),
        (Shown(started=True, failure=ERROR), TransportState.FAILED),
        (Shown(started=True, up=True), TransportState.UP),
    ],
)
def test_state_of(shown: Transport, state: TransportState) -> None:
    assert state_of(shown) is state
    assert shown.status().state is state
