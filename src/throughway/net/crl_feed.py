"""Give charon the revocation lists that it needs, before it needs them.

charon reaches no distribution point and no responder itself, so that none of them can hold up a
logon. What is kept is given to it when it starts, and renewed lists follow before the old ones end.
Lists that are too long to be given, and answers of responders, it fetches from us
(:mod:`throughway.net.crl_proxy`); what it asks for and we have not is fetched at once.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import ocsp

from throughway.model.errors import IPsecError
from throughway.model.revocation import Revocation
from throughway.net.crl_proxy import CRLProxy
from throughway.net.revocation_cache import CRL, OCSP
from throughway.net.revocation_lists import RevocationLists, Want
from throughway.pki.crl import delta_urls_of
from throughway.pki.pem import UNREADABLE
from throughway.pki.revocation import questions

MAXIMUM_PUSHED = 60_000
"""Bytes of a list that is given; one value of vici has at most 65,535."""
PATIENCE: Mapping[Revocation, float] = MappingProxyType({Revocation.STRONG: 2.0})
"""Seconds that charon waits for what is not kept. Only where it must refuse without it."""
_WANTED = re.compile(r"^\s*fetching (?:delta )?crl from '(http://[^']+)'")

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Taker(Protocol):
    """What a charon does for us."""

    async def load_crl(self, crl: bytes) -> None:
        """Take a list."""

    async def forget_fetched(self) -> None:
        """Forget the lists and answers that it has fetched itself."""

    async def list_certificates(self) -> tuple[bytes, ...]:
        """Return what peers have shown."""


class CRLFeed:
    """Keeps one charon supplied; ``spawn`` starts what must be awaited for.

    ``charon`` returns it while it runs. ``on_given`` is awaited with every list, and every answer
    of a responder, that is another one now.
    """

    def __init__(
        self,
        lists: RevocationLists,
        charon: Callable[[], Taker | None],
        spawn: Spawn,
        *,
        on_given: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        self._lists, self._charon, self._spawn = lists, charon, spawn
        self._on_given = on_given
        self._refused: dict[str, str] = {}
        """Lists that charon does not take, with the reason."""
        self._issuers: tuple[x509.Certificate, ...] = ()
        self._urls: dict[str, None] = {}
        self._deltas: dict[str, tuple[str, ...]] = {}
        """By address of a list, those of the delta lists that it names."""
        self._responders: dict[str, str] = {}
        """By the address of the question, where it is put."""
        self._given: set[str] = set()
        self._policy = Revocation.WEAK
        self._proxy = CRLProxy(self.answer)
        lists.subscribe(self._came)

    @property
    def enabled(self) -> bool:
        """Whether revocation is checked at all."""
        return self._policy is not Revocation.NONE

    @property
    def urls(self) -> tuple[str, ...]:
        """Where charon's lists come from."""
        return tuple(self._urls)

    async def start(self) -> str:
        """Return the address of the proxy by which charon must fetch."""
        return await self._proxy.start()

    async def stop(self) -> None:
        """Answer charon no more."""
        await self._proxy.close()

    def configure(
        self, authorities: Iterable[bytes], urls: Iterable[str], policy: Revocation
    ) -> None:
        """Take the authorities whose lists count (PEM), and where lists are for certain."""
        issuers = []
        for pem in authorities:
            try:
                issuers.append(x509.load_pem_x509_certificate(pem))
            except UNREADABLE:
                continue  # charon says so
        self._issuers, self._policy = tuple(issuers), policy
        if self.enabled:
            kept = (k.url for k in self._lists.cache.entries() if k.kind == CRL)
            for url in (*urls, *kept, *self._urls):
                self._learn(url)

    @property
    def emptied(self) -> bool:
        """Whether somebody has flushed what charon was given: it must forget that, too."""
        return any(self._lists.cache.find(url) is None for url in self._given)

    def words(self) -> str:
        """Say what is wrong with the places of lists and answers, "" when nothing is."""
        places = {url: url for url in self._urls} | self._responders
        told = (
            (place, self._lists.trouble(url) or self._refused.get(url))
            for url, place in places.items()
        )
        return "; ".join(dict.fromkeys(f"{place}: {why}" for place, why in told if why))

    def explained(self, error: IPsecError) -> IPsecError:
        """Return an error about a list or answer with what is wrong with its place."""
        words = self.words() if is_about_lists(error.problem) else ""
        return IPsecError(f"{error} ({words})", problem=error.problem) if words else error

    def heard(self, line: str) -> None:
        """Take a line of charon's log: it may say what is missing."""
        if self.enabled and (match := _WANTED.match(line)):
            self._learn(match[1])

    async def supply(self) -> None:
        """Give charon everything that is kept: it has just come up, or was emptied."""
        self._given.clear()
        for url in self.urls if self.enabled else ():
            if (data := self._lists.cache.get(url)) is not None:
                await self._give(url, data)

    async def answer(self, url: str, request: bytes) -> bytes | str:
        """Answer charon, which asks for a list or an answer: it is kept, or soon will be."""
        if not self.enabled:
            return "nobody checks revocation here"
        want = await self._asked(url, request) if request else self._learn(self._spelt(url))
        if want is None:
            return "it is not known whose certificate that is"
        if not self._fresh(want.url) and (patience := PATIENCE.get(self._policy, 0.0)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._lists.get(want)
        kept = self._lists.cache.get(want.url)
        if kept is None:
            return self._lists.trouble(want.url) or "it is not there yet"
        self._given.add(want.url)
        return kept

    def _fresh(self, url: str) -> bool:
        kept = self._lists.cache.find(url)
        return kept is not None and time.time() < kept.ends_at

    def _spelt(self, url: str) -> str:
        """Return the address as the certificate has it: libcurl may write it in another way."""
        return next((known for known in self._urls if _same(known, url)), url)

    async def _asked(self, responder: str, request: bytes) -> Want | None:
        """Return what charon asks a responder; it has seen the certificate a moment ago."""
        charon = self._charon()
        try:
            serial = ocsp.load_der_ocsp_request(request).serial_number
            shown = await charon.list_certificates() if charon is not None else ()
        except (IPsecError, *UNREADABLE):
            return None
        for data in shown:
            with contextlib.suppress(*UNREADABLE, InvalidSignature):
                certificate = x509.load_der_x509_certificate(data)
                if certificate.serial_number == serial:
                    return self._want_answer(responder, certificate)
        return None

    def _want_answer(self, responder: str, certificate: x509.Certificate) -> Want | None:
        for issuer in self._issuers:
            if issuer.subject != certificate.issuer:
                continue
            with contextlib.suppress(*UNREADABLE, InvalidSignature):
                certificate.verify_directly_issued_by(issuer)
                (question,) = questions((certificate, issuer))
                for place, key in question.answer_urls():
                    if _same(place, responder):
                        self._responders[key] = place
                        want = Want(key, OCSP, (issuer,), certificate, place)
                        self._lists.want(want)
                        return want
        return None

    def _learn(self, url: str) -> Want:
        known = url in self._urls
        self._urls[url] = None
        want = Want(url, issuers=self._issuers)
        self._lists.want(want)
        if not known and (data := self._lists.cache.get(url)) is not None:
            self._follow(url, data)
        return want

    def _follow(self, url: str, data: bytes) -> None:
        """Want the delta lists that a list names, and no more those that only its last one did."""
        before = self._deltas.get(url, ())
        self._deltas[url] = tuple(d for d in delta_urls_of(data) if d.startswith("http://"))
        for delta in self._deltas[url]:
            self._learn(delta)
        for delta in set(before).difference(*self._deltas.values()):
            self._urls.pop(delta, None)
            self._given.discard(delta)
            self._refused.pop(delta, None)
            self._lists.forget(delta)

    def _came(self, want: Want, data: bytes) -> None:
        if not self.enabled:
            return
        if want.url in self._urls:
            self._follow(want.url, data)
            self._spawn(self._give(want.url, data, renewed=True))
        elif want.url in self._responders:
            self._spawn(self._give(want.url, data, renewed=True, pushed=False))

    async def _give(
        self, url: str, data: bytes, *, renewed: bool = False, pushed: bool = True
    ) -> None:
        """Have charon take what is short enough, and else fetch it when it needs it next."""
        charon = self._charon()
        if charon is None:
            return
        try:
            if pushed and len(data) <= MAXIMUM_PUSHED:
                await charon.load_crl(data)
            if renewed:
                await charon.forget_fetched()
        except IPsecError as error:
            self._refused[url] = f"charon does not take it: {error}"
            self._lists.report(url, self._refused[url])
            return
        if self._refused.pop(url, None) is not None:
            self._lists.report(url, "")
        self._given.add(url)
        if self._on_given is not None:
            await self._on_given(data)


def is_about_lists(problem: str) -> bool:
    """Say whether a problem is about a list or an answer that charon has not got."""
    return "-crl-" in problem or "-ocsp-" in problem


def _same(one: str, other: str) -> bool:
    """Say whether two addresses are one."""
    return one == other or _parts(one) == _parts(other)


def _parts(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "", str(parts.port or 80), parts.path or "/", parts.query)
    except ValueError:
        return (url,)
