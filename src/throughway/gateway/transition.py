"""What 6to4 and Teredo tell, for the gateway's log and its Operations Status."""

from throughway.catalogue import find
from throughway.health import log
from throughway.health.tracker import Tracker
from throughway.model.errors import TransportError
from throughway.model.findings import Component
from throughway.model.status import SixToFourServerStatus, TeredoServerStatus


class Transition:
    """Hears how both are."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._log = log.logger("gateway")

    def sixtofour_serves(self, status: SixToFourServerStatus) -> None:
        """Say so."""
        addresses = " and ".join(status.addresses)
        self._log.info("6to4 serves", addresses=addresses, carrier=status.carrier)
        self._tracker.clear(find("sixtofour-interface-down"))
        self._tracker.ok(Component.SIXTOFOUR, f"at {addresses}")

    def sixtofour_down(self, error: TransportError) -> None:
        """Make it visible; it is being tried again."""
        self._log.error("6to4 is down", reason=str(error))
        self._tracker.report(error)

    def teredo_serves(self, status: TeredoServerStatus) -> None:
        """Say so."""
        addresses = " and ".join(status.addresses)
        self._log.info("Teredo serves", addresses=addresses, pid=status.pid)
        for code in ("teredo-server-stopped", "teredo-second-address-missing"):
            self._tracker.clear(find(code))
        self._tracker.ok(Component.TEREDO, f"at {addresses}")

    def teredo_down(self, error: TransportError) -> None:
        """Make it visible; it is being tried again."""
        self._log.error("Teredo is down", reason=str(error))
        self._tracker.report(error)
