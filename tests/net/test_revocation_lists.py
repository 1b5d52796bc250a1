"""Lists that are fetched, kept and renewed; from a real web server."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests import revocation_world
from tests.net.iphttps_world import wait_for
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.revocation_world import (
    CRL,
    DAY,
    HOUR,
    ISSUING,
    NOW,
    OCSP,
    OTHER,
    ROOT,
    Places,
    Web,
    ask,
    chain,
)
from throughway.net import revocation_lists as module
from throughway.net.revocation_cache import OCSP as KIND
from throughway.net.revocation_cache import RevocationCache
from throughway.net.revocation_lists import Answer, RevocationLists, Want
from throughway.pki.judgement import serial_of
from throughway.pki.ocsp import build_request, get_url
from throughway.pki.pem import build_certificate_pem, build_key_pem


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


class World:
    def __init__(self, web: Web, folder: Path) -> None:
        self.web = web
        self.failures: list[tuple[str, str]] = []
        self.came: list[str] = []
        self.lists = RevocationLists(
            RevocationCache(folder / "revocation"),
            ask,
            on_failure=lambda url, why: self.failures.append((url, why)),
        )
        self.lists.subscribe(lambda want, data: self.came.append(want.url))
        self.want = Want(web.url("/ca.crl"), issuers=(ISSUING.certificate,))

    def get(self, want: Want | None = None) -> Answer:
        async def scenario() -> Answer:
            try:
                return await self.lists.get(want or self.want)
            finally:
                await self.lists.stop()

        return asyncio.run(scenario())


@pytest.fixture
def world(web: Web, tmp_path: Path) -> World:
    return World(web, tmp_path)


def test_a_list_is_fetched_and_kept(world: World) -> None:
    world.web.pages["/ca.crl"] = data = CRL().build(ISSUING)
    assert world.get() == data
    assert world.lists.cache.get(world.want.url) == data
    assert (world.came, world.failures) == ([world.want.url], [(world.want.url, "")])
    assert world.lists.trouble(world.want.url) == ""
    assert world.get() == data
    assert world.came == [world.want.url]  # nothing new


WORTHLESS: dict[str, bytes | int | str] = {
    "answers 404": 404,
    "no answer came in time": Web.SILENT,
    "only http is followed": "https://crl.example.com/",
    "answers 302": "/again",
    "no usable CRL": b"a portal's page",
    "not signed with the key": CRL().build(OTHER),
    "the CRL of Corp Root": CRL().build(ROOT),
    "longer than 100000": bytes(100_001),
}


@pytest.mark.parametrize("words", WORTHLESS)
def test_what_proves_nothing_is_not_kept(
    world: World, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = WORTHLESS[words]
    if page == Web.SILENT:
        monkeypatch.setattr(revocation_world, "FETCH_TIME", 0.5)
    world.web.pages |= {"/ca.crl": page, "/again": "/again"}
    answer = world.get()
    assert isinstance(answer, bytes) is isinstance(page, bytes) or "longer" in str(answer)
    assert words in world.lists.trouble(world.want.url)
    assert world.lists.cache.entries() == ()
    assert words in world.failures[0][1]


def test_a_redirection_is_followed(world: World) -> None:
    world.web.pages |= {"/ca.crl": "/elsewhere", "/elsewhere": (data := CRL().build(ISSUING))}
    assert world.get() == data


def test_a_failure_is_remembered_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        world.get()
    assert world.web.asked == ["/ca.crl"]
    world.lists.network_changed()
    world.get()
    assert len(world.web.asked) == 2
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    assert isinstance(world.get(), bytes)
    assert world.failures[-1] == (world.want.url, "")


def test_nobody_takes_away_what_a_list_has_told(world: World) -> None:
    """A list that was served before is no answer later, nor is one of another key."""
    world.web.pages["/ca.crl"] = newer = CRL(number=2).build(ISSUING)
    world.get()
    for replayed in (CRL(number=1, begin=NOW - DAY).build(ISSUING), CRL(number=3).build(OTHER)):
        world.lists.network_changed()
        world.web.pages["/ca.crl"] = replayed
        world.get()
        assert world.lists.cache.get(world.want.url) == newer
    assert "not signed" in world.lists.trouble(world.want.url)


def test_all_who_wait_wait_for_one_fetch(world: World) -> None:
    world.web.pages["/ca.crl"] = data = CRL().build(ISSUING)

    async def scenario() -> None:
        answers = await asyncio.gather(*(world.lists.get(world.want) for _ in range(20)))
        assert set(answers) == {data}

    asyncio.run(scenario())
    assert world.web.asked == ["/ca.crl"]


def test_a_fetch_goes_on_when_who_asked_has_given_up(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)

    async def scenario() -> None:
        task = asyncio.create_task(world.lists.get(world.want))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await wait_for(lambda: world.came)

    asyncio.run(scenario())


def test_an_answer_of_a_responder_is_got_or_posted_for(world: World) -> None:
    of = chain(Places((), (), (world.web.url("/ocsp"),)))
    leaf = of.leaf.certificate
    request = build_request(leaf, ISSUING.certificate)
    url = get_url(world.web.url("/ocsp"), request)
    want = Want(url, KIND, (ISSUING.certificate,), leaf, world.web.url("/ocsp"))
    world.web.pages["POST /ocsp"] = data = OCSP().build(leaf, ISSUING)
    assert world.get(want) == data
    assert [line.partition(" ")[0] for line in world.web.asked] == [
        url.removeprefix(world.web.url("")),
        "POST",
    ]
    assert world.lists.cache.get(url) == data
    world.web.pages[url.removeprefix(world.web.url(""))] = newer = OCSP(begin=NOW).build(
        leaf, ISSUING
    )
    assert world.get(want) == newer
    world.web.pages[url.removeprefix(world.web.url(""))] = OCSP(begin=NOW).build(leaf, OTHER)
    world.get(want)
    assert world.lists.cache.get(url) == newer
    assert "not signed" in world.lists.trouble(url)


def test_lists_are_renewed_before_they_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOONEST", 0.0)
    old = CRL(begin=NOW - HOUR, end=NOW + HOUR / 4).build(ISSUING)
    world.web.pages["/ca.crl"] = old
    world.get()
    world.web.pages["/ca.crl"] = new = CRL(begin=NOW - HOUR / 2, number=2).build(ISSUING)

    async def scenario() -> None:
        world.lists.start()
        await wait_for(lambda: world.lists.cache.get(world.want.url) == new)
        await world.lists.stop()

    asyncio.run(scenario())
    assert world.lists._due(world.want) > time.time() + 3600


def test_an_error_that_nobody_expected_ends_no_renewal(world: World) -> None:
    """The list of one stranger must not be the end of everybody's."""
    bad = Want("http://bad.example/", issuers=(ISSUING.certificate,))
    told: list[str] = []

    async def asking(url: str, post: bytes) -> bytes:
        if url == bad.url:
            raise UnicodeError("label empty or too long")
        return await ask(url, post)

    world.lists._ask = asking
    world.web.pages["/ca.crl"] = data = CRL().build(ISSUING)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["message"]))
        world.lists.want(bad)
        world.lists.start()
        await wait_for(lambda: bool(told))
        world.lists.want(world.want)
        await wait_for(lambda: world.lists.cache.get(world.want.url) == data)
        await world.lists.stop()

    asyncio.run(scenario())
    assert "label" in world.lists.trouble(bad.url)


def test_what_somebody_asks_for_is_fetched_whatever_its_age(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    world.get()
    world.web.pages["/ca.crl"] = new = CRL(begin=NOW - HOUR / 2, number=2).build(ISSUING)

    async def scenario() -> None:
        world.lists.start()
        world.lists.refresh()
        await wait_for(lambda: world.lists.cache.get(world.want.url) == new)
        await world.lists.stop()

    asyncio.run(scenario())
    assert len(world.web.asked) == 2


def test_a_list_is_fetched_again_at_the_latest(world: World) -> None:
    world.web.pages["/ca.crl"] = CRL(end=NOW + 30 * DAY).build(ISSUING)
    world.get()
    assert world.lists._due(world.want) == pytest.approx(time.time() + module.LATEST, abs=60)
    world.lists._latest = 900.0
    assert world.lists._due(world.want) == pytest.approx(time.time() + 900, abs=60)


def test_a_renewal_that_fails_is_tried_again_soon_and_then_ever_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER", 0.0)
    pauses = []
    for _ in range(8):
        before = time.time()
        world.get()
        pauses.append(world.lists._due(world.want) - before)
    assert pauses[0] < 10, "what was away for a moment is there a moment later"
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert pauses[-1] == pytest.approx(module.RENEW_AGAIN, abs=60)
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    world.get()
    del world.web.pages["/ca.crl"]
    world.get()
    assert world.lists._due(world.want) < time.time() + 10, "it begins anew"


def test_a_place_that_failed_is_asked_again_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before somebody who asks would be let ask again."""
    monkeypatch.setattr(module, "RENEW_SOON", 0.01)

    async def scenario() -> None:
        world.lists.want(world.want)
        world.lists.start()
        await wait_for(lambda: world.failures)
        world.web.pages["/ca.crl"] = CRL().build(ISSUING)
        await wait_for(lambda: world.came)
        await world.lists.stop()

    asyncio.run(scenario())
    assert world.failures[-1] == (world.want.url, "")


def test_that_a_failure_is_over_is_told_also_when_somebody_asked_meanwhile(
    world: World,
) -> None:
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    world.get()
    world.web.pages["/ca.crl"] = 404
    world.get()
    assert "404" in world.failures[-1][1]
    world.lists.network_changed()
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    world.get()
    assert world.failures[-1] == (world.want.url, "")


def test_a_list_that_has_ended_is_asked_for_again_soon(world: World) -> None:
    """Its authority publishes another one any moment."""
    world.web.pages["/ca.crl"] = CRL(begin=NOW - 2 * DAY, end=NOW - DAY).build(ISSUING)
    pauses = []
    for _ in range(3):
        before = time.time()
        world.get()
        pauses.append(world.lists._due(world.want) - before)
    assert pauses[0] < 10
    assert pauses[0] < pauses[1] < pauses[2]
    world.web.pages["/ca.crl"] = CRL().build(ISSUING)
    world.get()
    assert world.lists._due(world.want) > time.time() + 60


def test_of_what_is_forgotten_nothing_is_said(world: World) -> None:
    async def scenario() -> None:
        await world.lists.get(world.want)
        world.lists.forget(world.want.url)
        assert world.failures[-1] == (world.want.url, "")
        late = asyncio.create_task(world.lists.get(world.want))
        await asyncio.sleep(0)
        world.lists.forget(world.want.url)
        await late  # it was under way
        await wait_for(lambda: not world.lists.trouble(world.want.url))
        await world.lists.stop()

    asyncio.run(scenario())
    assert world.failures[-1] == (world.want.url, "")
    assert world.lists.wanted == ()


def test_the_same_address_may_be_of_several_issuers(world: World) -> None:
    world.lists.want(world.want)
    world.lists.want(Want(world.want.url, issuers=(OTHER.certificate,)))
    [want] = world.lists.wanted
    assert set(want.issuers) == {ISSUING.certificate, OTHER.certificate}


def test_strangers_make_no_fetching_machine_of_us(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_WANTED", 3)
    for number in range(5):
        world.lists.want(Want(f"http://x/{number}"))
    assert len(world.lists.wanted) == 3


def test_a_responder_of_openssl(world: World, tmp_path: Path) -> None:
    """Another program than ours, asked by GET over a real connection."""
    of = chain(Places((), (), ("http://x/",)))
    leaf = of.leaf.certificate
    for name, each in (("ca", ISSUING), ("leaf", of.leaf)):
        (tmp_path / f"{name}.crt").write_bytes(build_certificate_pem(each.certificate))
        (tmp_path / f"{name}.key").write_bytes(build_key_pem(each.key))
    ends = f"{NOW + DAY:%y%m%d%H%M%SZ}"
    entry = f"V\t{ends}\t\t{serial_of(leaf)}\tunknown\t/CN=da.example.com\n"
    (tmp_path / "index.txt").write_text(entry)
    port = free_port()
    command = ["openssl", "ocsp", "-port", str(port), "-index", "index.txt", "-CA", "ca.crt"]
    command += ["-rsigner", "ca.crt", "-rkey", "ca.key", "-nmin", "5"]
    responder = f"http://127.0.0.1:{port}"
    url = get_url(responder, build_request(leaf, ISSUING.certificate))
    want = Want(url, KIND, (ISSUING.certificate,), leaf, responder)

    async def scenario() -> None:
        deadline = time.monotonic() + PATIENCE
        while isinstance(await world.lists.get(want), str) and time.monotonic() < deadline:
            world.lists.network_changed()
            await asyncio.sleep(0.02)
        await world.lists.stop()

    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=tmp_path, stdout=quiet, stderr=quiet) as process:
        try:
            asyncio.run(scenario())
        finally:
            process.kill()
    assert world.lists.trouble(url) == ""
    kept = world.lists.cache.find(url)
    assert kept is not None
    assert kept.ends_at - kept.begins_at == 300
