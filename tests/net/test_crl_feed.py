"""What charon is given, and when."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net.iphttps_world import wait_for
from tests.patience import PATIENCE
from tests.revocation_world import (
    CRL,
    HOUR,
    ISSUING,
    NOW,
    OCSP,
    OTHER,
    Places,
    Web,
    ask,
    chain,
    long_crl,
)
from throughway.model.errors import IPsecError
from throughway.model.revocation import Revocation
from throughway.net import crl_feed as module
from throughway.net.crl_feed import MAXIMUM_PUSHED, CRLFeed
from throughway.net.revocation_cache import RevocationCache
from throughway.net.revocation_lists import RevocationLists
from throughway.pki.pem import build_certificate_pem
from throughway.pki.revocation import questions

PEM = build_certificate_pem(ISSUING.certificate)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


class World:
    def __init__(self, web: Web, folder: Path) -> None:
        self.web = web
        self.policy = Revocation.WEAK
        self.pushed: list[bytes] = []
        self.trouble: list[tuple[str, str]] = []
        self.lists = RevocationLists(
            RevocationCache(folder / "revocation"),
            ask,
            on_failure=lambda url, why: self.trouble.append((url, why)),
        )
        self.tasks: set[asyncio.Task[None]] = set()
        self.given: list[bytes] = []
        self.forgotten = 0
        self.shown: tuple[bytes, ...] = ()
        self.feed = CRLFeed(
            self.lists,
            lambda: self,
            self.spawn,
            on_given=self.note,
        )

    async def note(self, data: bytes) -> None:
        self.given.append(data)

    async def load_crl(self, crl: bytes) -> None:
        if crl.startswith(b"refuse"):
            raise IPsecError("no")
        self.pushed.append(crl)

    async def forget_fetched(self) -> None:
        self.forgotten += 1

    async def list_certificates(self) -> tuple[bytes, ...]:
        return self.shown

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def run(self, condition: Callable[[], object], *urls: str) -> None:
        async def scenario() -> None:
            self.feed.configure([PEM, b"no certificate"], urls, self.policy)
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
    again = CRLFeed(world.lists, lambda: world, world.spawn)
    again.configure([PEM], (), Revocation.WEAK)
    asyncio.run(again.supply())
    assert sorted(world.pushed[2:]) == sorted([base, delta])


def test_a_delta_list_is_forgotten_with_the_list_that_named_it(world: World) -> None:
    """Or it would be told for ever that it is not there."""
    url, delta = world.web.url("/ca.crl"), world.web.url("/delta.crl")
    world.web.pages["/ca.crl"] = CRL(number=5, deltas=[delta]).build(ISSUING)
    world.run(lambda: world.lists.trouble(delta), url)
    assert delta in world.feed.words()
    world.web.pages["/ca.crl"] = CRL(number=6, begin=NOW - HOUR / 2).build(ISSUING)
    world.lists.refresh()
    world.run(lambda: len(world.pushed) == 2, url)
    assert world.feed.urls == (url,)
    assert world.feed.words() == ""
    assert [want.url for want in world.lists.wanted] == [url]
    assert world.trouble[-1] == (delta, "")


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
    world.feed.configure([PEM], [world.web.url("/ca.crl")], Revocation.NONE)
    world.feed.heard(f"  fetching crl from '{world.web.url('/ca.crl')}' ...")
    asyncio.run(world.feed.supply())
    assert (world.feed.urls, world.pushed, world.lists.wanted) == ((), [], ())


def test_what_charon_does_not_take_is_said(world: World) -> None:
    url = world.web.url("/ca.crl")
    world.feed.configure([PEM], [url], Revocation.WEAK)
    asyncio.run(world.feed._give(url, b"refuse"))
    assert world.trouble == [(url, "charon does not take it: no")]
    assert world.feed.words() == f"{url}: charon does not take it: no"
    asyncio.run(world.feed._give(url, b"fine"))
    assert world.trouble[1:] == [(url, "")]
    assert world.feed.words() == ""


def test_a_list_that_is_too_long_to_be_given_is_fetched_from_us(world: World) -> None:
    world.web.pages["/ca.crl"] = data = long_crl(ISSUING, 1200)
    assert len(data) > MAXIMUM_PUSHED
    url = world.web.url("/ca.crl")
    world.run(lambda: world.given, url)
    assert (world.pushed, world.given, world.forgotten) == ([], [data], 1)
    assert asyncio.run(world.feed.answer(url, b"")) == data
    assert asyncio.run(world.feed.answer(url.replace("http", "HTTP"), b"")) == data


@pytest.mark.parametrize("policy", [Revocation.WEAK, Revocation.STRONG])
def test_charon_waits_only_where_it_would_have_to_refuse(
    world: World, monkeypatch: pytest.MonkeyPatch, policy: Revocation
) -> None:
    monkeypatch.setattr(module, "PATIENCE", {Revocation.STRONG: PATIENCE})
    world.web.pages["/ca.crl"] = data = CRL().build(ISSUING)
    url, answers = world.web.url("/ca.crl"), []

    async def scenario() -> None:
        world.feed.configure([PEM], (), policy)
        answers.append(await world.feed.answer(url, b""))
        world.web.pages.clear()
        answers.append(await world.feed.answer(world.web.url("/none.crl"), b""))
        await world.lists.stop()

    asyncio.run(scenario())
    late = "it is not there yet"
    gone = "the server answers 404 Not Found"
    assert answers == ([data, gone] if policy is Revocation.STRONG else [late, late])


class Asked:
    """A certificate that has only a responder."""

    def __init__(self, world: World, answer: OCSP) -> None:
        responder = world.web.url("/ocsp")
        self.chain = chain(Places(responders=[responder]))
        (question,) = questions(self.chain.certificates[:2])
        ((self.responder, self.key),) = question.answer_urls()
        self.request = question.request(b"a nonce of charon").der
        self.answer = answer.build(self.chain.leaf.certificate, ISSUING)
        world.web.pages[self.key.removeprefix(world.web.url(""))] = self.answer
        world.shown = (b"no certificate", self.chain.ders[0])
        world.policy = Revocation.STRONG


def test_charon_gets_the_answer_of_a_responder(world: World) -> None:
    asked = Asked(world, OCSP())
    told: list[bytes | str] = []

    async def scenario() -> None:
        world.feed.configure([PEM], (), Revocation.STRONG)
        told.append(await world.feed.answer(asked.responder, asked.request))
        told.append(await world.feed.answer(asked.responder, b"no request"))
        world.shown = ()
        told.append(await world.feed.answer(asked.responder, asked.request))
        await world.lists.stop()
        await asyncio.gather(*world.tasks)

    asyncio.run(scenario())
    unknown = "it is not known whose certificate that is"
    assert told == [asked.answer, unknown, unknown]
    assert (world.given, world.pushed) == ([asked.answer], [])


def test_a_responder_that_fails_is_named(world: World) -> None:
    asked = Asked(world, OCSP(end=NOW - HOUR / 2))

    async def scenario() -> str | bytes:
        world.feed.configure([PEM], (), Revocation.STRONG)
        told = await world.feed.answer(asked.responder, asked.request)
        await world.lists.stop()
        return told

    told = asyncio.run(scenario())
    assert isinstance(told, str)
    error = world.feed.explained(IPsecError("no", problem="ipsec-ocsp-unreachable"))
    assert str(error) == f"no ({asked.responder}: {told})"
