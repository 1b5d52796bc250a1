"""Who may come in, of all that can prove themselves: what the IPsec endpoints ask."""

from typing import Protocol

from throughway.model.errors import ThroughwayError
from throughway.net.radius import Login
from throughway.proto.access import Withheld


class Gate(Protocol):
    """Who may come in, of all that can prove themselves."""

    async def admit(self, login: Login) -> None:
        """Return, or raise TrustError with the reason, before charon learns of the proof."""

    def withheld(self, identity: str) -> Withheld | None:
        """Say why a computer has no connection here, by what its certificate proves."""

    def relayed(self, error: ThroughwayError | None) -> None:
        """Hear that no RADIUS server could be asked, or with None that one has answered."""


class OpenGate:
    """The gate of a gateway that asks nobody."""

    async def admit(self, login: Login) -> None:
        """Everybody."""

    def withheld(self, identity: str) -> Withheld | None:
        """From nobody."""

    def relayed(self, error: ThroughwayError | None) -> None:
        """No matter."""
