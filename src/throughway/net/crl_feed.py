"""Give charon the revocation lists that it needs, before it needs them.

charon itself fetches nothing: it is loaded without a fetcher, so that no distribution point can
hold up a logon. What it looks for and has not stands in its log, and is fetched at once; what is
kept is given to it when it starts, and renewed lists follow before the old ones end.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from cryptography import x509

from throughway.model.errors import IPsecError
from throughway.net.revocation_lists import RevocationLists, Want
from throughway.pki.crl import delta_urls_of
from throughway.pki.pem import UNREADABLE

MAXIMUM_PUSHED = 400 * 1024
"""Bytes of a list that fit into one message of vici, whose limit is 512 KiB."""
_WANTED = re.compile(r"^\s*fetching (?:delta )?crl from '(http://[^']+)'")

Push = Callable[[bytes], Awaitable[None]]
Spawn = Callable[[Coroutine[Any, Any, None]], object]


class CRLFeed:
    """Keeps one charon supplied; ``spawn`` starts what must be awaited for.

    ``on_given`` is awaited with every list that charon has taken.
    """

    def __init__(
        self,
        lists: RevocationLists,
        push: Push,
        spawn: Spawn,
        *,
        on_given: Callable[[bytes], Awaitable[None]] | None = None,
        on_trouble: Callable[[str, str], None] = lambda url, why: None,
    ) -> None:
        self._lists, self._push, self._spawn = lists, push, spawn
        self._on_given = on_given
        self._on_trouble = on_trouble
        self._issuers: tuple[x509.Certificate, ...] = ()
        self._urls: dict[str, None] = {}
        self._given: set[str] = set()
        self.enabled = True
        lists.subscribe(self._came)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where charon's lists come from."""
        return tuple(self._urls)

    def configure(self, authorities: Iterable[bytes], urls: Iterable[str]) -> None:
        """Take the authorities whose lists count (PEM), and where lists are for certain."""
        issuers = []
        for pem in authorities:
            try:
                issuers.append(x509.load_pem_x509_certificate(pem))
            except UNREADABLE:
                continue  # charon says so
        self._issuers = tuple(issuers)
        if self.enabled:
            kept = (k.url for k in self._lists.cache.entries() if k.kind == "crl")
            for url in (*urls, *kept, *self._urls):
                self._learn(url)

    @property
    def emptied(self) -> bool:
        """Whether somebody has flushed what charon was given: it must forget that, too."""
        return any(self._lists.cache.find(url) is None for url in self._given)

    def words(self) -> str:
        """Say what is wrong with the places of the lists, "" when nothing is."""
        told = ((url, self._lists.trouble(url)) for url in self._urls)
        return "; ".join(f"{url}: {why}" for url, why in told if why)

    def explained(self, error: IPsecError) -> IPsecError:
        """Return an error about a list with what is wrong with its place."""
        words = self.words() if "-crl-" in error.problem else ""
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

    def _learn(self, url: str) -> None:
        known = url in self._urls
        self._urls[url] = None
        self._lists.want(Want(url, issuers=self._issuers))
        if not known and (data := self._lists.cache.get(url)) is not None:
            for delta in delta_urls_of(data):
                self._learn(delta)

    def _came(self, want: Want, data: bytes) -> None:
        if self.enabled and want.url in self._urls:
            for delta in delta_urls_of(data):
                if delta.startswith("http://"):
                    self._learn(delta)
            self._spawn(self._give(want.url, data))

    async def _give(self, url: str, data: bytes) -> None:
        if len(data) > MAXIMUM_PUSHED:
            self._on_trouble(url, f"the list has {len(data)} bytes; charon takes {MAXIMUM_PUSHED}")
            return
        try:
            await self._push(data)
        except IPsecError as error:
            self._on_trouble(url, f"charon does not take it: {error}")
            return
        self._given.add(url)
        if self._on_given is not None:
            await self._on_given(data)
