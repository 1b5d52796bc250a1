"""Connections that come up and then stand still: full-size packets may vanish on the way.

Small packets make a connection; where only they pass, nothing that is large comes after them, and
nobody says so (RFC 2923, section 2.1). One such connection may be bad luck, or a gateway that
hangs; after two in a row small segments are tried, which pass where it is the size. Where those
stand still, too, it was not the size.
"""

from throughway.model.errors import Stage, TransportError
from throughway.proto.iphttps.client import WAIT_TIMEOUT_CODE

LIMIT = 2
"""Connections that stood still in a row."""
SHORT = 20.0
"""Seconds: a link that has lasted longer has carried packets of full size."""
PROBLEM = "path-mtu-black-hole"


class Stalls:
    """Counts them, from one change of the network to the next."""

    def __init__(self) -> None:
        self.small = False
        """Whether small segments are to be tried, or are known to help."""
        self._count = 0
        self._up_at: float | None = None

    def came_up(self, now: float) -> None:
        """Take note that the link is up."""
        self._up_at = now

    def judged(self, error: TransportError, now: float) -> TransportError:
        """Take note that the link failed; return why, as far as can be told."""
        up_at, self._up_at = self._up_at, None
        if error.problem == PROBLEM:
            return error
        connected = error.stage in {Stage.TLS, Stage.HTTP, Stage.LINK}
        if not connected or error.windows_code != WAIT_TIMEOUT_CODE:
            self._count = 0
            return error
        if self.small:
            self.small, self._count = False, 0
            return error
        lasted = up_at is not None and now - up_at > SHORT
        self._count = 1 if lasted else self._count + 1
        self.small = self._count >= LIMIT
        return error

    def found(self) -> TransportError:
        """Say what it is, now that small segments pass."""
        words = "connections came up and stood still; with small segments they do not"
        return TransportError(Stage.LINK, words, problem=PROBLEM)
