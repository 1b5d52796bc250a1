"""How a client gets its lists: directly, by a proxy that fetches, by one that wants to know who."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_uplink import config
from tests.pki.test_bundle import POLICY
from tests.revocation_world import CRL, ISSUING, Web
from throughway.client import revocation as module
from throughway.client.proxy import ProxySource
from throughway.client.revocation import ClientRevocation, of_certificate
from throughway.model.config import ClientConfig, ProxyConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.net.dial import Dialer
from throughway.net.revocation_lists import Answer, Want

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


def test_what_says_that_a_certificate_is_not_accepted() -> None:
    for problem, expected in (
        ("iphttps-cert-expired", True),
        ("iphttps-crl-unreachable", True),
        ("iphttps-ocsp-unknown", True),
        ("iphttps-port-blocked", False),
    ):
        assert of_certificate(TransportError(Stage.TLS, "", problem=problem)) is expected
    assert not of_certificate(None)
