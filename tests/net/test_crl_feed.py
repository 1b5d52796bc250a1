"""What charon is given, and when."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net.iphttps_world import wait_for
from tests.revocation_world import CRL, ISSUING, NOW, OTHER, Web, ask
from throughway.model.errors import IPsecError
from throughway.net import crl_feed as module
from throughway.net.crl_feed import CRLFeed
from throughway.net.revocation_cache import RevocationCache
from throughway.net.revocation_lists import RevocationLists
from throughway.pki.pem import build_certificate_pem

PEM = build_certificate_pem(ISSUING.certificate)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


class World:
    def __init__(self, web: Web, folder: Path) -> None:
        self.web = web
        self.pushed: list[bytes] = []
        self.trouble: list[tuple[str, str]] = []
        self.lists = RevocationLists(RevocationCache(folder / "revocation"), ask)
        self.tasks: set[asyncio.Task[None]] = set()
        self.feed = CRLFeed(
            self.lists,
            self.push,
            self.spawn,
            on_trouble=lambda url, why: self.trouble.append((url, why)),
        )

    async def push(self, data: bytes) -> None:
        if data.startswith(b"refuse"):
            raise IPsecError("no")
        self.pushed.append(data)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def run(self, condition: Callable[[], object], *urls: str) -> None:
        async def scenario() -> None:
            self.feed.configure([PEM, b"no certificate"], urls)
            self.lists.start()
            await wait_for(condition)
            await self.lists.stop()

        asyncio.run(scenario())


@pytest.fixture
def world(web: Web, tmp_path: Path) -> World:
    return World(web, tmp_path)


def test_lists_are_there_before_anybody_needs_them(world: World) -> None:
    world.web.pages["/ca.crl"] = data = CRL().build(ISSUING)
    world.run(lambda: world.pushed, world.web.url("/ca.crl"))
    assert world.pushed == [data]
    assert world.feed.words() == ""


def test_delta_lists_come_along(world: World) -> None:
    base = CRL(number=5, deltas=[world.web.url("/delta.crl"), "ldap:///x"]).build(ISSUING)
    delta = CRL(number=6, base=5).build(ISSUING)
    world.web.pages |= {"/ca.crl": base, "/delta.crl": delta}
    world.run(lambda: len(world.pushed) == 2, world.web.url("/ca.crl"))
    assert world.pushed == [base, delta]
    again = CRLFeed(world.lists, world.push, world.spawn)
    again.configure([PEM], ())
    asyncio.run(again.supply())
    assert sorted(world.pushed[2:]) == sorted([base, delta])


def test_what_charon_misses_stands_in_its_log(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    world.feed.heard(f"  fetching crl from '{world.web.url('/ca.crl')}' ...")
    world.feed.heard("  fetching crl from 'ldap:///x' ...")
    world.feed.heard("crl fetching failed")
    assert world.feed.urls == (world.web.url("/ca.crl"),)
    world.run(lambda: world.pushed)


def test_lists_of_strangers_are_not_given_on(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL().build(OTHER)
    url = world.web.url("/ca.crl")
    world.run(lambda: world.lists.trouble(url), url)
    assert world.pushed == []
    assert world.feed.words() == f"{url}: the CRL is not signed with the key of Corp Issuing"


def test_what_was_flushed_is_noticed(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    assert not world.feed.emptied
    world.run(lambda: world.pushed, world.web.url("/ca.crl"))
    assert not world.feed.emptied
    world.lists.cache.flush()
    assert world.feed.emptied
    asyncio.run(world.feed.supply())
    assert not world.feed.emptied


def test_a_renewed_list_follows(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    url = world.web.url("/ca.crl")
    world.run(lambda: world.pushed, url)
    world.web.pages["/ca.crl"] = newer = CRL(number=2, begin=NOW).build(ISSUING)
    world.lists.cache.remove(url)
    world.run(lambda: len(world.pushed) == 2)
    assert world.pushed[1] == newer


def test_where_nobody_checks_nothing_is_given(world: World) -> None:
    world.feed.enabled = False
    world.feed.configure([PEM], [world.web.url("/ca.crl")])
    world.feed.heard(f"  fetching crl from '{world.web.url('/ca.crl')}' ...")
    asyncio.run(world.feed.supply())
    assert (world.feed.urls, world.pushed, world.lists.wanted) == ((), [], ())


def test_what_charon_does_not_take_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(world.feed._give("http://x/", b"refuse"))
    monkeypatch.setattr(module, "MAXIMUM_PUSHED", 3)
    asyncio.run(world.feed._give("http://y/", b"long"))
    assert [url for url, _ in world.trouble] == ["http://x/", "http://y/"]
    assert "charon does not take it: no" in world.trouble[0][1]
