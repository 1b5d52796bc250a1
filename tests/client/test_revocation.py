"""How a client gets its lists: directly, by a proxy that fetches, by one that wants to know who."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_uplink import config
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from tests.revocation_world import CRL, ISSUING, Places, Web, chain
from throughway.client import revocation as module
from throughway.client.proxy import ProxySource
from throughway.client.revocation import LOCATION_PATIENCE, ClientRevocation, tell_location
from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig, ProxyConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.net import revocation as checker
from throughway.net import revocation_lists as lists
from throughway.net.dial import Dialer
from throughway.net.revocation_lists import Answer, Want
from throughway.pki.revocation import questions
from throughway.proto.location import PROBE_TIME

NLS = POLICY.nls_urls[0]
LIST = CRL().build(ISSUING)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        web.pages["/ca.crl"] = LIST
        yield web


@pytest.fixture(autouse=True)
def no_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARK", 0)
    monkeypatch.setattr(module, "LEAD", 0.05)


def client(folder: Path, proxy: str = "", policy: Policy = POLICY) -> ClientRevocation:
    of = replace(config(folder), proxy=ProxyConfig(url=proxy, detect=False))
    return made(of, policy)


def made(of: ClientConfig, policy: Policy = POLICY) -> ClientRevocation:
    async def resolve(_host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    proxies = ProxySource(of, policy, resolve, environment={})
    return ClientRevocation(of, policy, proxies, lambda error: None)


def fetched(revocation: ClientRevocation, url: str) -> Answer:
    async def scenario() -> Answer:
        answer = await revocation.lists.get(Want(url, issuers=(ISSUING.certificate,)))
        await revocation.stop()
        return answer

    return asyncio.run(scenario())


def test_directly(web: Web, tmp_path: Path) -> None:
    assert fetched(client(tmp_path), web.url("/ca.crl")) == LIST


def test_a_proxy_is_asked_to_fetch(web: Web, tmp_path: Path) -> None:
    url = "http://crl.example.com/ca.crl"
    web.pages[url] = LIST
    assert fetched(client(tmp_path, web.url("")), url) == LIST
    assert web.asked == [url]


def test_beside_a_proxy_that_stayed_behind_there_is_the_direct_way(
    web: Web, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert fetched(client(tmp_path, proxy), web.url("/ca.crl")) == LIST


def test_what_a_proxy_says_is_told(web: Web, tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/ca.crl"
    web.pages[url] = 403
    revocation = client(tmp_path, web.url(""))
    assert isinstance(fetched(revocation, url), str)
    assert "by proxy 127.0.0.1:" in revocation.lists.trouble(url)
    assert "answers 403" in revocation.lists.trouble(url)


def test_a_proxy_that_wants_to_know_who_asks_gets_a_connect(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = web.url("/ca.crl")
    web.pages[url] = 407
    tunnels: list[tuple[str, int]] = []

    async def open_tunnel(
        _proxy: object, host: str, port: int, *, dial: Dialer, ticket: object
    ) -> socket.socket:
        tunnels.append((host, port))
        assert ticket is not None
        return await dial(host, port)

    monkeypatch.setattr(module, "open_tunnel", open_tunnel)
    monkeypatch.setattr(module, "LEAD", 5.0)
    assert fetched(client(tmp_path, web.url("")), url) == LIST
    assert tunnels == [("127.0.0.1", web.port)]


def test_who_says_how_hard_it_is_checked(tmp_path: Path) -> None:
    strong = replace(POLICY, revocation=RevocationPolicy(iphttps=Revocation.STRONG))
    assert client(tmp_path)._server.policy is Revocation.WEAK
    revocation = client(tmp_path)
    revocation.update_policy(strong)
    assert revocation._server.policy is Revocation.STRONG
    own = made(replace(config(tmp_path), iphttps_revocation="none"), strong)
    assert own._server.policy is Revocation.NONE


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ("iphttps-cert-expired", "nls-certificate-invalid"),
        ("iphttps-cert-name-mismatch", "nls-certificate-invalid"),
        ("iphttps-cert-revoked", "nls-cert-revoked"),
        ("iphttps-crl-unreachable", "nls-crl-unreachable"),
        ("iphttps-ocsp-unreachable", "nls-crl-unreachable"),
        ("iphttps-crl-expired", "nls-crl-unusable"),
        ("iphttps-crl-wrong-signer", "nls-crl-unusable"),
        ("iphttps-delta-crl-missing", "nls-crl-unusable"),
        ("iphttps-ocsp-unknown", "nls-crl-unusable"),
        ("iphttps-cert-revocation-uncheckable", "nls-crl-unusable"),
        ("iphttps-port-blocked", None),
    ],
)
def test_why_a_location_server_proves_nothing(problem: str, told: str | None) -> None:
    tracker = Tracker(time.time)
    tell_location(tracker, NLS, TransportError(Stage.TLS, "why", problem=problem))
    assert [p.code for p in tracker.current()] == ([] if told is None else [told])
    tell_location(tracker, NLS, None)
    assert tracker.current() == ()


def test_a_location_server_whose_list_comes_late_is_looked_at_again(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = chain(Places((web.url("/nls.crl"),)))
    monkeypatch.setattr(checker, "chain_of", lambda connection: (shown.ders[0], shown.ders[2]))
    monkeypatch.setattr(checker, "questions", lambda _: questions(shown.certificates[:2]))
    strong = replace(POLICY, revocation=RevocationPolicy(location=Revocation.STRONG))
    located = asyncio.Event()

    async def scenario() -> TransportError:
        revocation = client(tmp_path, policy=strong)
        revocation.on_located = located.set
        connection = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="nls"
        )
        try:
            with pytest.raises(TransportError) as refused:
                await revocation.judge_location(connection)
            web.pages["/nls.crl"] = LIST
            revocation.network_changed()
            async with asyncio.timeout(PATIENCE):
                await located.wait()
            await revocation.judge_location(connection)
        finally:
            await revocation.stop()
        return refused.value

    error = asyncio.run(scenario())
    assert error.problem == "iphttps-crl-unreachable"
    assert f"404 Not Found ({web.url('/nls.crl')})" in str(error)


def test_a_list_without_which_the_gateway_was_refused_is_told_when_it_comes(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link's own timer may be far away."""
    shown = chain(Places((web.url("/late.crl"),)))
    monkeypatch.setattr(checker, "chain_of", lambda connection: (shown.ders[0], shown.ders[2]))
    monkeypatch.setattr(checker, "questions", lambda _: questions(shown.certificates[:2]))
    monkeypatch.setattr(lists, "RENEW_SOON", 0.01)
    strong = replace(POLICY, revocation=RevocationPolicy(iphttps=Revocation.STRONG))
    listed = asyncio.Event()

    async def scenario() -> None:
        revocation = client(tmp_path, policy=strong)
        revocation._on_listed = listed.set
        connection = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="da"
        )
        try:
            with pytest.raises(TransportError):
                await revocation.judge_server(connection)
            assert not listed.is_set()
            web.pages["/late.crl"] = LIST
            async with asyncio.timeout(PATIENCE):
                await listed.wait()
            await revocation.judge_server(connection)
        finally:
            await revocation.stop()

    asyncio.run(scenario())


def test_a_location_server_does_not_wait_for_a_place_that_hangs(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LOCATION_PATIENCE < PROBE_TIME
    monkeypatch.setattr(module, "LOCATION_PATIENCE", 0.05)
    web.pages["/nls.crl"] = Web.SILENT
    shown = chain(Places((web.url("/nls.crl"),)))
    policy = replace(POLICY, revocation=RevocationPolicy(location=Revocation.WEAK))

    async def scenario() -> None:
        revocation = client(tmp_path, policy=policy)
        begin = time.monotonic()
        await revocation._location.check_chain(shown.ders[:2])
        assert time.monotonic() - begin < PATIENCE / 2
        await revocation.stop()

    asyncio.run(scenario())
