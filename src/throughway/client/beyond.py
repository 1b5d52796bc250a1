"""What is behind an error of the link: asked of this network's DNS, with names that nobody has.

A gateway that says nothing may be down, or its port closed; a DNS that finds nobody to ask says
nothing of the gateway. Where both are silent, it is the way to the Internet that is missing; where
the gateway could not even be asked for want of an address, it is the DNS. A DNS that has addresses
for names of chance has made up the gateway's as well, when it is the same one.
"""

import asyncio
import os
from collections.abc import Callable, Sequence

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Resolve
from throughway.net.resolver import TRY_AGAIN
from throughway.wire.private import is_private

SILENT, DOWN = "iphttps-port-blocked", "internet-down"
DNS_SILENT, DNS_INVENTS = "network-dns-silent", "network-dns-invents"
INSIDE = "iphttps-name-leads-inside"
WORDS = {
    DOWN: "neither the gateway nor the DNS of this network answers",
    DNS_SILENT: "no DNS server of this network answers",
}
UNREACHABLE = 0x2751
"""WSAEHOSTUNREACH."""
LABEL_BYTES = 8
_REACHED = (Stage.CONNECT, Stage.TLS, Stage.HTTP)
"""Where an address was tried."""


class Beyond:
    """Judges errors of the link to ``host()``.

    ``on_known(error)`` tells one again of which more is known now. Connections to the gateway
    have to ask for names by :meth:`resolve`, so that it is known where they led.
    ``silent_router(unreachable)`` is the router that was looked for and does not answer, "" where
    it does; the kernel may have said that it cannot reach a host.
    """

    def __init__(
        self,
        host: Callable[[], str],
        resolve: Resolve,
        on_known: Callable[[TransportError], None],
        silent_router: Callable[[bool], str] = lambda unreachable: "",
    ) -> None:
        self._host = host
        self._resolve = resolve
        self._on_known = on_known
        self._silent_router = silent_router
        self._router = ""
        """The router behind which all is out of reach, "" while it is there."""
        self._known = ""
        """The problem that is behind the errors, "" while none is known."""
        self._invented: frozenset[str] = frozenset()
        """The addresses that this DNS has for every name."""
        self._led: frozenset[str] = frozenset()
        """Where the gateway's name led when it was asked for last."""
        self._proven: frozenset[str] = frozenset()
        """Where it led when the gateway answered there."""
        self._asking: asyncio.Task[None] | None = None
        self._last: TransportError | None = None
        """The last error, while more may become known of it."""

    async def resolve(self, name: str) -> Sequence[str]:
        """Return the addresses of a name, best first."""
        ours = name == self._host()
        if ours:
            self._led = frozenset()
        addresses = await self._resolve(name)
        if ours:
            self._led = frozenset(addresses)
        return addresses

    def ask(self) -> None:
        """Ask the DNS for what no cache can have: names that nobody has.

        One is below the gateway's, the other far from it: whoever serves one zone may be down, or
        answer every name of it.
        """
        if self._asking is None or self._asking.done():
            chance = os.urandom(LABEL_BYTES).hex()
            names = f"{chance}.{self._host()}", f"throughway-{chance}.com"
            self._asking = asyncio.get_running_loop().create_task(self._ask(names))

    def judged(self, error: TransportError, *, direct: bool = True) -> TransportError:
        """Return the error, or what is behind it; ``direct``: no proxy was in between."""
        if not direct and error.stage in (Stage.TLS, Stage.HTTP):
            self._led = frozenset()  # the proxy has asked for the name, and not we
        self._last = error
        silent = error.problem == SILENT or _unanswered(error)
        self._router = self._look_for_router(error) if silent and direct else ""
        if _unanswered(error):
            self._known = self._known if self._known == DOWN else DNS_SILENT
            self.ask()
        elif error.problem == SILENT and error.stage is not Stage.PROXY:
            if error.stage is Stage.LINK and self._asking is not None and not self._asking.done():
                self._known = DOWN  # asked when the link fell silent, seconds ago
            self.ask()
        else:
            # Somebody has answered, though maybe another one than the gateway.
            self._known = ""
            if self._led - self._proven and error.stage in _REACHED:
                self.ask()
            else:
                self._last = None
        return self._worded(error)

    def answered(self) -> None:
        """The gateway has."""
        self._known, self._router, self._last, self._proven = "", "", None, self._led

    async def stop(self) -> None:
        """Ask no more."""
        self._known, self._last = "", None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait((asking,))

    async def _ask(self, names: tuple[str, ...]) -> None:
        answers = await asyncio.gather(*map(self._answer, names))
        before = self._known, self._invented
        self._known = "" if any(answer is not None for answer in answers) else self._silence()
        told = [answer or frozenset() for answer in answers]
        self._invented = frozenset.intersection(*told)
        if before != (self._known, self._invented) and self._last is not None:
            self._on_known(self._worded(self._last))

    async def _answer(self, name: str) -> frozenset[str] | None:
        """Return the addresses that a name of chance has; None: nobody answers."""
        try:
            return frozenset(await self._resolve(name))
        except TransportError as error:
            return None if _unanswered(error) else frozenset()

    def _look_for_router(self, error: TransportError) -> str:
        # Through a link that has died the kernel has tried to send for seconds: it, too, has
        # given up looking at least once.
        sure = error.windows_code == UNREACHABLE or error.stage is Stage.LINK
        return self._silent_router(sure)

    def _silence(self) -> str:
        """Say what it means that the DNS does not answer: is it more that is silent?"""
        nameless = self._last is not None and self._last.stage is Stage.RESOLVE
        return DNS_SILENT if nameless and self._known != DOWN else DOWN

    def _worded(self, error: TransportError) -> TransportError:
        if self._router:
            words = f"the router of this network, {self._router}, does not answer: {error}"
            return _as(error, DOWN, words)
        where = ", ".join(sorted(self._led))
        tried = self._led - self._proven if error.stage in _REACHED else frozenset()
        if tried and self._led <= self._invented:
            words = f"{where} is what the DNS of this network says to every name: {error}"
            return _as(error, DNS_INVENTS, words)
        if tried and error.problem in (SILENT, DOWN) and all(map(is_private, self._led)):
            words = f"{self._host()} is {where} here, and that is no public address: {error}"
            return _as(error, INSIDE, words)
        if not self._known:
            return error
        return _as(error, self._known, f"{WORDS[self._known]}: {error}")


def _unanswered(error: TransportError) -> bool:
    return error.stage is Stage.RESOLVE and error.windows_code == TRY_AGAIN


def _as(error: TransportError, problem: str, words: str) -> TransportError:
    return TransportError(error.stage, words, windows_code=error.windows_code, problem=problem)
