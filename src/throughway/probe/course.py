"""One probe from beginning to end: what does not wait for something else runs at once."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509

from throughway.model.probing import (
    ConnectionSeen,
    HTTPSeen,
    NameSeen,
    PointSeen,
    ProbeSeen,
    SixToFourSeen,
    Target,
)
from throughway.probe.analysis.certificates import Shown, issuer_of, see_chain, with_issuers
from throughway.probe.analysis.hellos import Answer, Hunt, Kind, version_name
from throughway.probe.analysis.revocation import MAXIMUM_POINTS, Question, further, questions
from throughway.probe.analysis.teredo import successor
from throughway.probe.analysis.verdict import is_address
from throughway.probe.connecting import try_to_connect
from throughway.probe.fetching import ask_point, fetch_issuers
from throughway.probe.hellos import hunt_suites, say_hello
from throughway.probe.https import Visit, lenient_context, look_at_page, visit
from throughway.probe.names import look_up
from throughway.probe.proxies import configured_proxies
from throughway.probe.sixtofour import try_sixtofour
from throughway.probe.steps import Listener, Steps
from throughway.probe.teredo import TeredoVisit, ask_teredo
from throughway.wire.tls_handshake import NULL_SUITES
from throughway.wire.tls_offer import OFFERED_VERSIONS, TLS10, TLS12, Offer, suites_for

TOTAL_TIME = 30.0
"""Seconds for everything; most of it is over in three."""
MAXIMUM_ADDRESSES = 4
"""Addresses that are looked at closely; all are connected to."""
HUNT_HEAD_START = 3.0
"""Seconds in which suites are asked for before a connection is kept: some servers take one."""
_NULL = tuple(number for number in NULL_SUITES if number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to probe."""

    timeout: float = TOTAL_TIME
    revocation: bool = True
    anchors: tuple[x509.Certificate, ...] = ()
    connect: str = ""
    """The address to go to instead of those of the name."""
    transitions: bool = True
    """Whether Teredo and 6to4 are tried, too."""
    tls: ssl.SSLContext | None = None
    """With a client certificate to show; None: without."""


class Course:
    """One probe of one server."""

    def __init__(self, target: Target, options: Options, listener: Listener | None = None) -> None:
        self._target = target
        self._options = options
        self._server_name = "" if is_address(target.host) else target.host
        self._names: tuple[NameSeen, ...] = ()
        self._connections: dict[str, ConnectionSeen] = {}
        self._hunts = [Hunt(version, suites_for(version)) for version in OFFERED_VERSIONS]
        self._null = [Hunt(version, _NULL) for version in (TLS12, TLS10)]
        self._hunted: dict[int, float] = {}
        self._shown: dict[str, Shown] = {}
        self._visits: dict[str, Visit] = {}
        self._points: list[PointSeen] = []
        self._fetched: dict[str, tuple[x509.Certificate, ...]] = {}
        self._teredo = TeredoVisit()
        self._sixtofour: list[SixToFourSeen] = []
        self._steps = Steps(listener)
        self._context = options.tls or lenient_context()

    async def run(self, environment: Mapping[str, str]) -> ProbeSeen:
        """Probe; what is not finished in time is left as far as it came."""
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._options.timeout):
                await self._everything()
        except TimeoutError:
            pass
        return self._seen(time.monotonic() - begin, environment)

    def _seen(self, seconds: float, environment: Mapping[str, str]) -> ProbeSeen:
        tried = bool(self._hunted) or any(hunt.spoken is not None for hunt in self._hunts)
        unasked = "" if tried else "not asked"
        return ProbeSeen(
            target=self._target,
            at=datetime.now(UTC),
            names=self._names,
            connections=tuple(self._connections.values()),
            versions=tuple(h.seen(self._hunted.get(id(h), 0.0), unasked) for h in self._hunts)
            if tried
            else (),
            null_suites=tuple(h.seen(self._hunted.get(id(h), 0.0)) for h in self._null)
            if tried
            else (),
            chains=tuple(shown.seen for shown in self._shown.values()),
            revocation=tuple(self._points),
            revocation_tried=self._options.revocation,
            http=tuple(each.seen for each in self._visits.values()),
            teredo=tuple(self._teredo.seen),
            sixtofour=tuple(self._sixtofour),
            went_to=self._options.connect,
            proxies=configured_proxies(environment),
            certificate_shown=self._options.tls is not None,
            steps=tuple(self._steps.done),
            seconds=seconds,
        )

    async def _everything(self) -> None:
        await self._steps.do("names", self._look_up())
        addresses = list(dict.fromkeys(a for name in self._names for a in name.addresses))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._the_server(addresses))
            old = [address for address in addresses if "." in address][:2]
            if old and self._options.transitions:
                tasks.create_task(self._steps.do("teredo", self._ask_teredo(old)))
                tasks.create_task(self._steps.do("6to4", self._try_sixtofour(old[0])))

    async def _look_up(self) -> str:
        self._names = await look_up(self._options.connect or self._target.host)
        if any(name.addresses for name in self._names):
            return ""
        return next((n.trouble.words for n in self._names if n.trouble), "no address")

    async def _the_server(self, addresses: list[str]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for address in addresses:
                tasks.create_task(self._steps.do(f"tcp {address}", self._connect(address)))
        self._connections = {a: self._connections[a] for a in addresses}
        reached = [a for a in addresses if self._connections[a].trouble is None]
        reached = reached[:MAXIMUM_ADDRESSES]
        if not reached:
            return
        if not self._target.tls:
            await asyncio.gather(*(self._steps.do(f"https {a}", self._visit(a)) for a in reached))
            return
        async with asyncio.TaskGroup() as tasks:
            hunting = tasks.create_task(self._hunt_all(reached[0]))
            for address in reached:
                tasks.create_task(self._look_at(address, hunting))

    async def _connect(self, address: str) -> str:
        seen = await try_to_connect(address, self._target.port)
        self._connections[address] = seen
        return seen.trouble.words if seen.trouble else ""

    async def _hunt_all(self, address: str) -> None:
        async with asyncio.TaskGroup() as tasks:
            for hunt in self._hunts:
                name = version_name(hunt.version)
                tasks.create_task(self._steps.do(name, self._hunt(address, hunt)))
            tasks.create_task(self._steps.do("NULL suites", self._hunt_null(address)))

    async def _hunt(self, address: str, hunt: Hunt) -> str:
        begin = time.monotonic()
        try:
            await hunt_suites(address, self._target.port, self._server_name, hunt)
        finally:
            self._hunted[id(hunt)] = time.monotonic() - begin
        return "" if hunt.spoken else hunt.words or "not spoken"

    async def _hunt_null(self, address: str) -> str:
        for hunt in self._null:
            await self._hunt(address, hunt)
        return "" if any(hunt.spoken for hunt in self._null) else "none is taken"

    async def _look_at(self, address: str, hunting: asyncio.Task[None]) -> None:
        """Look at the certificates and go the way of a client."""
        await self._steps.do(f"certificate {address}", self._ask_chain(address))
        revoking = asyncio.create_task(self._revocation(address))
        try:
            await asyncio.wait((hunting,), timeout=HUNT_HEAD_START)
            await self._steps.do(f"https {address}", self._visit(address))
            if address not in self._shown and (chain := self._visits[address].chain):
                # Only under the keys of TLS 1.3 is there a chain to be seen.
                self._show(address, Answer(kind=Kind.CHOSEN, chain=chain))
                await revoking
                await self._revocation(address)
            await revoking
        finally:
            revoking.cancel()
            await asyncio.wait((revoking,))

    async def _ask_chain(self, address: str) -> str:
        offer = Offer(
            version=TLS12, suites=(*suites_for(TLS12), *_NULL), server_name=self._server_name
        )
        answer = await say_hello(address, self._target.port, offer, to_the_end=True)
        if answer.kind is Kind.CHOSEN and not answer.chain:
            offer = replace(offer, version=answer.version)
            answer = await say_hello(address, self._target.port, offer, to_the_end=True)
        if not answer.chain:
            return answer.words or "no certificate in the clear"
        self._show(address, answer)
        return ""

    def _show(self, address: str, answer: Answer) -> None:
        self._shown[address] = see_chain(
            address,
            answer.chain,
            "" if is_address(self._target.host) else self._target.host,
            self._options.anchors,
            datetime.now(UTC),
            answer.request,
        )

    async def _revocation(self, address: str) -> None:
        shown = self._shown.get(address)
        if shown is None or not shown.certificates:
            return
        issuers: tuple[x509.Certificate, ...] = ()
        if not shown.seen.trusted:
            await self._steps.do(f"issuers {address}", self._complete(address, shown))
            issuers = self._fetched.get(address, ())
        first = next(iter(self._shown))
        same = self._shown[first].certificates[:1] == shown.certificates[:1]
        if self._options.revocation and (address == first or not same):
            await self._ask_points(self._pairs(shown, issuers))

    async def _complete(self, address: str, shown: Shown) -> str:
        self._fetched[address] = await fetch_issuers(shown.certificates[-1])
        now = datetime.now(UTC)
        mended = with_issuers(shown, self._fetched[address], self._options.anchors, now)
        self._shown[address] = mended
        return "" if mended.seen.mended_by else "no issuer that completes the chain"

    def _pairs(
        self, shown: Shown, fetched: tuple[x509.Certificate, ...]
    ) -> list[tuple[x509.Certificate, x509.Certificate | None]]:
        known = (*shown.certificates, *fetched, *self._options.anchors)
        every = dict.fromkeys((*shown.certificates, *fetched))
        return [(each, issuer_of(each, known)) for each in every]

    async def _ask_points(
        self, pairs: list[tuple[x509.Certificate, x509.Certificate | None]]
    ) -> None:
        known = questions(pairs)
        waiting = list(known)
        while waiting:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(self._ask_point(question)) for question in waiting]
            waiting = []
            for question, task in zip(known[-len(asked) :], asked, strict=True):
                room = MAXIMUM_POINTS - len(known) - len(waiting)
                waiting += further(question, task.result(), [*known, *waiting])[: max(room, 0)]
            known += waiting

    async def _ask_point(self, question: Question) -> bytes:
        body = b""

        async def ask() -> str:
            nonlocal body
            seen, body = await ask_point(question)
            self._points.append(seen)
            return seen.words

        await self._steps.do(f"{question.seen.kind} {question.seen.url}", ask())
        return body

    async def _visit(self, address: str) -> str:
        mine = self._visits[address] = Visit(HTTPSeen(address=address))
        await visit(self._target, mine, self._context, self._server_name)
        if mine.seen.trouble is not None:
            return mine.seen.trouble.words
        if mine.seen.status is not None and not mine.seen.accepted:
            await look_at_page(self._target, mine, self._context, self._server_name)
        if not mine.seen.accepted:
            return f"the answer is {mine.seen.status} {mine.seen.reason}"
        return "" if mine.seen.advertisement else "no Router Advertisement"

    async def _ask_teredo(self, addresses: list[str]) -> str:
        every = dict.fromkeys(a for each in addresses for a in (each, successor(each)) if a)
        await ask_teredo(tuple(every), self._teredo)
        return "" if any(seen.answered for seen in self._teredo.seen) else "no answer"

    async def _try_sixtofour(self, address: str) -> str:
        seen = await try_sixtofour(address)
        self._sixtofour.append(seen)
        return seen.words
