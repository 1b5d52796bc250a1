"""Whether anything beyond this network answers: asked of its DNS when the gateway is silent.

A gateway that says nothing may be down, or its port closed; a DNS that finds nobody to ask says
nothing of the gateway. Where both are silent, it is the way to the Internet that is missing.
"""

import asyncio
import os
from collections.abc import Callable

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Resolve
from throughway.net.resolver import TRY_AGAIN

SILENT, DOWN = "iphttps-port-blocked", "internet-down"
LABEL_BYTES = 8


class Beyond:
    """Judges errors of the link; ``on_known(error)`` tells one again of which more is known now."""

    def __init__(self, resolve: Resolve, on_known: Callable[[TransportError], None]) -> None:
        self._resolve = resolve
        self._on_known = on_known
        self._down = False
        self._asking: asyncio.Task[None] | None = None
        self._last: TransportError | None = None
        """The last error, while it is one of silence."""

    def ask(self, host: str) -> None:
        """Ask the DNS for what no cache can have: a name that nobody has, below the gateway's."""
        if self._asking is None or self._asking.done():
            name = f"{os.urandom(LABEL_BYTES).hex()}.{host}"
            self._asking = asyncio.get_running_loop().create_task(self._ask(name))

    def judged(self, error: TransportError, host: str) -> TransportError:
        """Return the error, or that there is no way to the Internet."""
        self._last = None
        if error.problem == SILENT:
            if error.stage is Stage.LINK and self._asking is not None and not self._asking.done():
                self._down = True  # asked when the link fell silent, seconds ago
            self._last = error
            self.ask(host)
        elif error.stage is not Stage.RESOLVE or error.windows_code != TRY_AGAIN:
            self._down = False  # somebody has answered
        return self._worded(error)

    def answered(self) -> None:
        """The gateway has."""
        self._down, self._last = False, None

    async def stop(self) -> None:
        """Ask no more."""
        self.answered()
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait((asking,))

    async def _ask(self, name: str) -> None:
        try:
            await self._resolve(name)
            down = False
        except TransportError as error:
            down = error.windows_code == TRY_AGAIN
        changed, self._down = down is not self._down, down
        if changed and self._last is not None:
            self._on_known(self._worded(self._last))

    def _worded(self, error: TransportError) -> TransportError:
        if not self._down:
            return error
        words = f"neither the gateway nor the DNS of this network answers: {error}"
        return TransportError(error.stage, words, windows_code=error.windows_code, problem=DOWN)
