"""Proxies of the environment."""

import asyncio

import pytest

from tests.probe.probe_world import HOME, answering, speaking
from throughway.model.network import ProxySeen
from throughway.probe.proxies import configured_proxies, try_proxy


def test_passwords_are_not_said() -> None:
    found = configured_proxies(
        {"HTTPS_PROXY": "http://me:secret@proxy.test:3128/", "http_proxy": "proxy2.test:8080"}
    )
    assert found == ("HTTPS_PROXY=http://proxy.test:3128", "http_proxy=proxy2.test:8080")


def test_odd_values() -> None:
    assert configured_proxies({}) == ()
    assert configured_proxies({"all_proxy": "http://[::1"}) == ("all_proxy=(not a URL)",)
    assert configured_proxies({"all_proxy": "socks5://[::1]:9"}) == ("all_proxy=socks5://[::1]:9",)


CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
ASKED = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n'
    b"Content-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "tunnel", "problem"),
    [
        (CONNECTED, True, ""),
        (REFUSED, False, "proxy-blocks-iphttps"),
        (ASKED, False, "proxy-authentication-required"),
        (b"", False, "proxy-unreachable"),
    ],
    ids=["connected", "refused", "asked", "silent"],
)
def test_tunnels(answer: bytes, tunnel: bool, problem: str) -> None:
    async def scenario() -> ProxySeen:
        async with speaking(answering(answer)) as port:
            url = f"http://{HOME}:{port}"
            return await try_proxy("a test", url, "da.example.com", 443, 1.0)

    seen = asyncio.run(scenario())
    assert (seen.tunnel, seen.problem) == (tunnel, problem)


def test_what_is_no_http_proxy_is_not_asked() -> None:
    for url in ("socks5://127.0.0.1:1", "http://wpad.test/wpad.dat", "http://[", "https://p.test"):
        seen = asyncio.run(try_proxy("a test", url, "da.example.com", 443, 1.0))
        assert (seen.tunnel, bool(seen.words)) == (None, True)
    seen = asyncio.run(try_proxy("a test", "http://me:pw@127.0.0.1:1", "da.example.com", 443, 1.0))
    assert (seen.tunnel, seen.proxy) == (False, "http://127.0.0.1:1")
