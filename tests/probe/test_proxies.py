"""Proxies of the environment."""

import asyncio
import re

import pytest

from tests.patience import PATIENCE
from tests.probe.probe_world import HOME, answering, speaking
from throughway.model.network import ProxySeen
from throughway.probe.proxies import Who, configured_proxies, try_proxy, try_script
from throughway.proto.proxy.schemes import Credentials


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
            seconds = PATIENCE if answer else 1.0
            return await try_proxy("a test", url, "da.example.com", 443, seconds)

    seen = asyncio.run(scenario())
    assert (seen.tunnel, seen.problem) == (tunnel, problem)


def test_a_proxy_that_is_there_is_told_from_what_is_behind_it() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"OPTIONS" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            await writer.drain()
        await reader.read()

    async def scenario() -> ProxySeen:
        async with speaking(speak) as port:
            return await try_proxy("a test", f"http://{HOME}:{port}", "da.example.com", 443, 2.0)

    seen = asyncio.run(scenario())
    assert (seen.tunnel, seen.problem) == (False, "iphttps-port-blocked")
    assert "it is there" in seen.words


def test_what_is_no_http_proxy_is_not_asked() -> None:
    for url in ("socks5://127.0.0.1:1", "http://wpad.test/wpad.dat", "http://[", "https://p.test"):
        seen = asyncio.run(try_proxy("a test", url, "da.example.com", 443, 1.0))
        assert (seen.tunnel, bool(seen.words)) == (None, True)
    seen = asyncio.run(try_proxy("a test", "http://me:pw@127.0.0.1:1", "da.example.com", 443, 1.0))
    assert (seen.tunnel, seen.proxy) == (False, "http://127.0.0.1:1")


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def script(text: str) -> bytes:
    return http(f'function FindProxyForURL(url, host) {{ return "{text}"; }}'.encode())


def run_script(answer: bytes, proxy: bytes = CONNECTED, **who: object) -> tuple[ProxySeen, ...]:
    async def scenario() -> tuple[ProxySeen, ...]:
        async with speaking(answering(proxy)) as port:
            served = answer.replace(b"PORT!", str(port).encode())  # as long as a port
            async with speaking(answering(served)) as web:
                url = f"http://me:pw@{HOME}:{web}/wpad.dat?secret"
                asking = Who(Credentials(user="me", password="pw", **who))  # type: ignore[arg-type]
                return await try_script("WPAD", url, "da.example.com", 443, PATIENCE, asking)

    return asyncio.run(scenario())


def test_a_script_is_run_and_its_proxies_asked() -> None:
    said, proxy = run_script(script(f"PROXY {HOME}:PORT!; DIRECT"))
    assert said.words.startswith(f"it names http://{HOME}:")
    assert said.words.endswith(", the direct way")
    assert (said.tunnel, said.problem) == (None, "")
    assert not {"secret", "pw"} & set(re.split("[^a-z]", said.proxy))
    assert said.proxy.endswith("/wpad.dat")
    assert (proxy.tunnel, proxy.source) == (True, "the script of WPAD")


def test_a_stranger_s_proxy_gets_no_password() -> None:
    _, proxy = run_script(script(f"PROXY {HOME}:PORT!"), ASKED, disclose=False)
    assert (proxy.tunnel, proxy.problem) == (False, "proxy-authentication-required")
    again = ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    _, trusted = run_script(script(f"PROXY {HOME}:PORT!"), again)
    assert trusted.problem == "proxy-credentials-refused"


@pytest.mark.parametrize(
    "answer", [http(b"no script"), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", b"junk\r\n\r\n"]
)
def test_what_is_no_script(answer: bytes) -> None:
    (said,) = run_script(answer)
    assert (said.tunnel, said.problem) == (None, "proxy-script-unusable")
    assert said.words


def test_a_script_that_names_nothing_we_speak() -> None:
    (said,) = run_script(script("SOCKS a:1"))
    assert (said.words, said.problem) == ("it names nothing that we speak to", "")
