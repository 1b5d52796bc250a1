"""Fetch revocation lists and keep them fresh: asked once for all, renewed before they end.

Whatever comes is kept only when it proves itself to be of one of the authorities that it is
wanted of, and is not older than what is there: somebody on the way could otherwise take away what
a list has told already.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509

from throughway.model.errors import TransportError
from throughway.model.revocation import Fault
from throughway.net.exchange import Asked
from throughway.net.revocation_cache import CRL, MAXIMUM_LIST, OCSP, Kept, RevocationCache
from throughway.pki import crl, ocsp

FETCH_TIME = 5.0
"""Seconds for one address; Windows gives all together 15."""
MAXIMUM_REDIRECTS = 3
RETRY_AFTER = 60.0
"""Seconds for which a place that failed is not asked again."""
RENEW_SOON, RENEW_AGAIN = 5.0, 300.0
"""Seconds after which a renewal that failed is tried again: twice as long each time. What was away
for a moment is there a moment later, what is away for hours is not asked all the time."""
RENEW_AT = 0.75
"""Part of a list's life after which it is fetched again."""
SOONEST, LATEST = 60.0, 86400.0
"""Seconds between two fetches of one list, at least and at most."""
MAXIMUM_WANTED = 256
"""Addresses that are kept fresh; certificates of strangers must not make us a fetching machine."""
MAXIMUM_ISSUERS = 16
"""Of one address: a new key of an authority is another issuer."""
_TOGETHER = 8
"""Renewals at a time."""

_REQUEST = "application/ocsp-request"

Answer = bytes | str
"""What came, or in words why nothing did."""
Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Fetch an address; what is not empty is posted as an OCSP request. Raises TransportError."""


@dataclass(frozen=True, slots=True)
class Want:
    """One address, and of whom its list must be."""

    url: str
    kind: str = CRL
    issuers: tuple[x509.Certificate, ...] = ()
    certificate: x509.Certificate | None = None
    """Whom the answer of a responder is about."""
    responder: str = ""
    """Where the question is posted when it cannot be a GET."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A fetch that brought nothing to keep."""

    at: float
    answer: Answer
    """What came, as far as anything did: it may say more than that it is not kept."""
    why: str
    pause: float
    """Seconds until it is asked again without anybody's need."""


OnList = Callable[[Want, bytes], None]


class RevocationLists:
    """All lists that a daemon needs.

    ``on_failure(url, why)`` tells of a fetch that failed and, with "", of one that went well after
    that or for the first time.
    """

    def __init__(
        self,
        cache: RevocationCache,
        ask: Ask,
        *,
        latest: float = LATEST,
        on_failure: Callable[[str, str], None] = lambda url, why: None,
    ) -> None:
        self.cache = cache
        self._ask = ask
        self._listeners: list[OnList] = []
        self._on_failure = on_failure
        self._latest = latest
        self._refreshed_at = 0.0
        """When everything was asked for anew; what is older is due."""
        self._wants: dict[str, Want] = {}
        self._flights: dict[str, asyncio.Task[Answer]] = {}
        self._failed: dict[str, _Failure] = {}
        self._told: set[str] = set()
        """Of which addresses a failure was told, and not yet that it is over."""
        self._ended: dict[str, float] = {}
        """By address of what had ended when it came: seconds until it is asked for again."""
        self._woken = asyncio.Event()
        self._renewer: asyncio.Task[None] | None = None

    def subscribe(self, listener: OnList) -> None:
        """Call ``listener`` with every list that is another one now."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Keep fresh what is wanted, from now on."""
        if self._renewer is None:
            self._renewer = asyncio.get_running_loop().create_task(self._renew_forever())

    async def stop(self) -> None:
        """End whatever is under way."""
        tasks: list[asyncio.Task[Answer] | asyncio.Task[None]] = [*self._flights.values()]
        renewer, self._renewer = self._renewer, None
        if renewer is not None:
            tasks.append(renewer)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def want(self, want: Want) -> None:
        """Take note that an address is needed, and by whom it must be signed."""
        known = self._wants.get(want.url)
        if known is not None:
            issuers = tuple(dict.fromkeys((*want.issuers, *known.issuers)))[:MAXIMUM_ISSUERS]
            want = replace(want, issuers=issuers)
        if want != known and (known is not None or len(self._wants) < MAXIMUM_WANTED):
            self._wants[want.url] = want
            self._woken.set()

    def forget(self, url: str) -> None:
        """Take note that an address is not needed any more: nothing is said of it either."""
        self._wants.pop(url, None)
        self._drop(url)
        if (flight := self._flights.get(url)) is not None:
            flight.add_done_callback(lambda _: self._drop(url))

    def _drop(self, url: str) -> None:
        if url in self._wants:
            return  # meanwhile it is needed again
        self.cache.remove(url)
        self._ended.pop(url, None)
        self._failed.pop(url, None)
        if url in self._told:
            self._over(url)

    def _over(self, url: str) -> None:
        self._told.discard(url)
        self._on_failure(url, "")

    @property
    def wanted(self) -> tuple[Want, ...]:
        """What is kept fresh."""
        return tuple(self._wants.values())

    def network_changed(self) -> None:
        """Ask again what failed: this may be another network."""
        self._failed.clear()
        self._woken.set()

    def refresh(self) -> None:
        """Fetch everything anew, whatever its age: somebody has published a list, or asks."""
        self._refreshed_at = time.time()
        self.network_changed()

    def report(self, url: str, why: str) -> None:
        """Tell of a list that nobody can use, or that all is well with it (""), as of fetches."""
        self._on_failure(url, why)

    def failed(self, url: str) -> Answer | None:
        """Return what an address said that failed a moment ago."""
        failure = self._failed.get(url)
        if failure is None or time.monotonic() >= failure.at + RETRY_AFTER:
            return None
        return failure.answer

    def trouble(self, url: str) -> str:
        """Say what is wrong with an address; "" when it was well when it was asked last."""
        failure = self._failed.get(url)
        return failure.why if failure is not None else ""

    async def get(self, want: Want) -> Answer:
        """Fetch now, together with whoever else wants it; the fetch goes on if we give up."""
        self.want(want)
        want = self._wants.get(want.url, want)
        if (failed := self.failed(want.url)) is not None:
            return failed
        return await self._together(want)

    async def _together(self, want: Want) -> Answer:
        flight = self._flights.get(want.url)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._fetch(want))
            self._flights[want.url] = flight
            flight.add_done_callback(lambda _: self._flights.pop(want.url, None))
        return await asyncio.shield(flight)

    async def _fetch(self, want: Want) -> Answer:
        try:
            data = await self._asked(want)
        except TransportError as error:
            return self._fail(want, str(error), str(error))
        why, life = await asyncio.to_thread(_judged, want, data)
        before = self.cache.find(want.url)
        if life is None or why:
            return self._fail(want, why, data)
        kept = Kept(
            url=want.url,
            kind=want.kind,
            fetched_at=time.time(),
            begins_at=life[0],
            ends_at=life[1],
            size=len(data),
        )
        if before is not None and before.begins_at > kept.begins_at:
            words = "what is served is older than what was served before"
            return self._fail(want, words, self.cache.get(want.url) or data)
        changed = self.cache.get(want.url) != data
        self.cache.put(kept, data)
        if kept.ends_at > kept.fetched_at:
            self._ended.pop(want.url, None)
        else:
            self._ended[want.url] = _next_pause(self._ended.get(want.url))
        self._failed.pop(want.url, None)
        if before is None or want.url in self._told:
            self._over(want.url)
        for listener in self._listeners if changed else ():
            listener(want, data)
        self._woken.set()
        return data

    async def _asked(self, want: Want) -> bytes:
        if want.kind == OCSP and want.certificate is not None:
            return await self._asked_responder(want, want.certificate)
        return await self._ask(want.url, b"")

    async def _asked_responder(self, want: Want, certificate: x509.Certificate) -> bytes:
        """Ask by GET, which caches on the way know (RFC 5019); who does not like it, by POST."""
        request = ocsp.build_request(certificate, want.issuers[0])
        if ocsp.get_url(want.responder, request) == want.url:
            with contextlib.suppress(TransportError):
                data = await self._ask(want.url, b"")
                if ocsp.life_of(data) is not None:
                    return data
        return await self._ask(want.responder, request.der)

    def _fail(self, want: Want, why: str, answer: Answer) -> Answer:
        before = self._failed.get(want.url)
        pause = _next_pause(before.pause if before is not None else None)
        self._failed[want.url] = _Failure(time.monotonic(), answer, why, pause)
        self._told.add(want.url)
        self._on_failure(want.url, why)
        return answer

    async def _renew_forever(self) -> None:
        while True:
            self._woken.clear()
            now = time.time()
            due = [(self._due(want), want) for want in self.wanted]
            late = [want for at, want in due if at <= now]
            for start in range(0, len(late), _TOGETHER):
                some = [w for w in late[start : start + _TOGETHER] if w.url in self._wants]
                done = await asyncio.gather(*map(self._together, some), return_exceptions=True)
                for want, outcome in zip(some, done, strict=True):
                    if isinstance(outcome, Exception):
                        self._stumbled(want, outcome)
            waits = [self._due(want) - time.time() for _, want in due]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(1.0, min(waits, default=LATEST))):
                    await self._woken.wait()

    def _stumbled(self, want: Want, error: Exception) -> None:
        """Go on after an error that nobody expected: all other lists must stay fresh."""
        self._fail(want, repr(error), repr(error))
        told = {"message": f"the list {want.url} was not renewed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(told)

    def _due(self, want: Want) -> float:
        """Return when an address is to be asked next."""
        kept = self.cache.find(want.url)
        if want.url in self._failed:
            failure = self._failed[want.url]
            left = failure.at + failure.pause - time.monotonic()
            return time.time() + left if left > 0 else 0.0
        if kept is None:
            return 0.0
        share = kept.begins_at + RENEW_AT * (kept.ends_at - kept.begins_at)
        if kept.fetched_at < self._refreshed_at:
            return 0.0
        if want.url in self._ended:
            return kept.fetched_at + self._ended[want.url]
        return min(max(share, kept.fetched_at + SOONEST), kept.fetched_at + self._latest)


def _next_pause(before: float | None) -> float:
    return RENEW_SOON if before is None else min(RENEW_AGAIN, 2 * before)


def question(request: bytes) -> Asked:
    """Return how to ask: a list by GET, and a responder by POST where that must be."""
    if not request:
        return Asked()
    return Asked(method="POST", headers={"Content-Type": _REQUEST}, body=request)


def _judged(want: Want, data: bytes) -> tuple[str, tuple[float, float] | None]:
    """Say why an answer is not kept, and its life."""
    if len(data) > MAXIMUM_LIST:
        return "it is too long", None
    life = (crl if want.kind == CRL else ocsp).life_of(data)
    why = crl.distrust(data, want.issuers) if want.kind == CRL else _distrust_answer(want, data)
    return why, None if life is None else (life[0].timestamp(), life[1].timestamp())


def _distrust_answer(want: Want, data: bytes) -> str:
    if want.certificate is None:
        return "nobody knows whom it is about"
    verdict = ocsp.judge_ocsp(want.certificate, want.issuers[0], data, datetime.now(UTC))
    return "" if verdict.fault is None or verdict.fault is Fault.REVOKED else verdict.why
