"""What the checks are given of the gateway: its configuration, and how its parts say they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from throughway.model.config import GatewayConfig
from throughway.model.status import (
    SixToFourServerStatus,
    TeredoServerStatus,
    TranslationStatus,
    WorkerStatus,
)
from throughway.net.revocation_lists import RevocationLists


class IKE(Protocol):
    """The IKE daemon and its keeper; IPsecError when it is not there."""

    async def version(self) -> str:
        """Ask the daemon for its version."""

    async def loaded_connections(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the connections that the daemon has, and those that it should have."""


def _none() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Each is asked anew at every look."""

    config: Callable[[], GatewayConfig]
    devices: Callable[[], tuple[str, ...]]
    """The links of the workers, in order."""
    ike: IKE
    workers: Callable[[], tuple[WorkerStatus, ...]] = tuple
    sixtofour: Callable[[], SixToFourServerStatus | None] = _none
    teredo: Callable[[], TeredoServerStatus | None] = _none
    translation: Callable[[], tuple[TranslationStatus, ...]] = tuple
    lists: Callable[[], RevocationLists | None] = _none
    """About the certificates of computers."""
    descriptors: Callable[[], str] = str
    """Why this process can open no more files, "" when it can."""
    endpoints: Callable[[], tuple[str, ...]] = tuple
    """Gives the machine those of the tunnels that it does not have; returns them."""
