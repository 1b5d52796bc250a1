"""Drive a :class:`throughway.proto.portal.PortalWatch`: run its probes and its timer."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from urllib.parse import urlsplit

from throughway.model.errors import ThroughwayError, TransportError
from throughway.model.policy import Policy
from throughway.net.dial import Resolve
from throughway.net.fetch import fetch
from throughway.net.firewall import MARK
from throughway.net.portal import PROBE_TIME, AdvertisementListener, api_of_leases, ask
from throughway.proto.portal import (
    PortalFound,
    PortalOpened,
    PortalWatch,
    ProbeUnwanted,
    ProbeWanted,
    State,
    Verdict,
    judge,
    parse_api,
)

PROBLEM = "captive-portal"


class Portal:
    """Watches for a portal from :meth:`start` to :meth:`stop`.

    ``on_found(url)`` tells of a portal and where people sign in, ``on_opened()`` that it is no
    longer in the way.
    """

    def __init__(
        self,
        policy: Policy,
        resolve: Resolve,
        *,
        on_found: Callable[[str], None],
        on_opened: Callable[[], None],
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._on_found, self._on_opened = on_found, on_opened
        self._watch = PortalWatch()
        self._timer: asyncio.TimerHandle | None = None
        self._probe: asyncio.Task[None] | None = None
        self._listener: AdvertisementListener | None = None
        self._advertised = ""

    @property
    def captive(self) -> bool:
        """Whether a portal is in the way."""
        return self._watch.state is State.CAPTIVE

    @property
    def words(self) -> str:
        """Say that it is, and where people sign in."""
        where = f": sign in at {self._watch.url}" if self._watch.url else ""
        return f"a captive portal is in the way{where}"

    def update_policy(self, policy: Policy) -> None:
        """Probe as a newer policy says."""
        self._policy = policy

    def start(self) -> None:
        """Look, and go on looking whenever there is a reason."""
        if self._listener is None:
            with contextlib.suppress(OSError):  # without netlink there are still the other ways
                self._listener = AdvertisementListener(self._take_api)
        self.network_changed()

    async def stop(self) -> None:
        """Look no longer."""
        self._watch.stop()
        self._pump()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._probe is not None:
            await asyncio.gather(self._probe, return_exceptions=True)

    def network_changed(self) -> None:
        """This may be another network."""
        self._watch.network_changed(asyncio.get_running_loop().time())
        self._pump()

    def way_failed(self) -> None:
        """The gateway could not be reached."""
        self._watch.way_failed()
        self._pump()

    def way_found(self) -> None:
        """The gateway has proved itself."""
        self._watch.way_found()
        self._pump()

    def _take_api(self, url: str) -> None:
        if url != self._advertised:
            self._advertised = url
            self._watch.way_failed()
            self._pump()

    def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        while (event := self._watch.next_event()) is not None:
            match event:
                case ProbeWanted(number):
                    self._probe = loop.create_task(self._run(number))
                case ProbeUnwanted():
                    if self._probe is not None and self._probe is not asyncio.current_task():
                        self._probe.cancel()
                case PortalFound(url):
                    self._on_found(url)
                case PortalOpened():
                    self._on_opened()
        if self._timer is not None:
            self._timer.cancel()
        due = self._watch.timer_at()
        self._timer = None if due is None else loop.call_at(due, self._timer_due)

    def _timer_due(self) -> None:
        self._watch.handle_timer(asyncio.get_running_loop().time())
        self._pump()

    async def _run(self, number: int) -> None:
        try:
            verdict, url = await self._find_out()
        except ThroughwayError:
            verdict, url = Verdict.UNCLEAR, ""
        self._watch.receive_verdict(number, verdict, url, asyncio.get_running_loop().time())
        self._pump()

    async def _find_out(self) -> tuple[Verdict, str]:
        """Ask the portal's own API where it has one, else a page that everybody can reach."""
        if api := self._advertised or api_of_leases():
            with contextlib.suppress(ThroughwayError):  # then the page tells
                body = await fetch(api, resolve=self._resolve, mark=MARK, seconds=PROBE_TIME)
                told = parse_api(body)
                if told.captive:
                    return Verdict.CAPTIVE, told.user_portal_url
        own = self._policy.transports.portal_probe
        url = own or self._page_of_nobody()
        try:
            answer = await ask(url, resolve=self._resolve, mark=MARK)
        except TransportError as error:
            # The gateway itself, or its firewall, has refused: nobody answered in its place.
            refused = error.problem == "iphttps-connection-refused" and not own
            return (Verdict.FREE if refused else Verdict.UNCLEAR), ""
        return judge(answer, url, own=bool(own))

    def _page_of_nobody(self) -> str:
        """Return a URL at the gateway's name which nobody has: who answers with it is a portal."""
        host = urlsplit(self._policy.iphttps_url).hostname or ""
        return f"http://{host}/throughway-{os.urandom(8).hex()}"
