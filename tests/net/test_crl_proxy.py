"""The proxy that charon fetches by is for charon alone."""

import asyncio
from base64 import b64encode
from urllib.parse import urlsplit

import pytest

from throughway.model.errors import IPsecError, TransportError
from throughway.net.crl_proxy import CRLProxy
from throughway.net.exchange import Answered, Asked, Way, exchange
from throughway.net.webserver import WebServer

URL = "http://crl.example.com/ca.crl"


async def ask(proxy: str, asked: Asked, *, secret: bool = True) -> Answered:
    parts = urlsplit(proxy)
    assert parts.port is not None
    known = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    headers = dict(asked.headers) | ({"Proxy-Authorization": f"Basic {known}"} if secret else {})
    asked = Asked(method=asked.method, headers=headers, body=asked.body)
    return await exchange(URL, asked, way=Way(proxy=(parts.hostname or "", parts.port)))


def test_it_answers_what_is_known() -> None:
    heard: list[tuple[str, bytes]] = []

    async def respond(url: str, request: bytes) -> bytes | str:
        heard.append((url, request))
        return b"answer" if request else "not there\r\nX: y"

    async def scenario() -> list[tuple[int, bytes]]:
        proxy = CRLProxy(respond)
        url = await proxy.start()
        try:
            post = Asked(method="POST", body=b"question")
            got = [
                await ask(url, post),
                await ask(url, Asked()),
                await ask(url, Asked(), secret=False),
                await ask(url, Asked(method="DELETE")),
                await ask(url, Asked(method="POST", body=bytes(5000))),
            ]
        finally:
            await proxy.close()
        return [(each.status, each.body) for each in got]

    answers = asyncio.run(scenario())
    assert answers[0] == (200, b"answer")
    assert [status for status, _ in answers] == [200, 504, 407, 405, 413]
    assert heard == [(URL, b"question"), (URL, b"")]


def test_closed_it_is_gone() -> None:
    async def respond(url: str, request: bytes) -> bytes | str:
        return url

    async def scenario() -> bool:
        proxy = CRLProxy(respond)
        url = await proxy.start()
        assert await proxy.start() == url
        await proxy.close()
        await proxy.close()
        try:
            await ask(url, Asked())
        except TransportError:
            return True
        return False

    assert asyncio.run(scenario())


def test_without_loopback_there_is_no_charon() -> None:
    async def respond(url: str, request: bytes) -> bytes | str:
        return url

    async def scenario() -> None:
        proxy = CRLProxy(respond)
        proxy._server = WebServer(("192.0.2.1", 0), proxy._answer, key="")  # nobody's
        with pytest.raises(IPsecError) as caught:
            await proxy.start()
        assert caught.value.problem == "ipsec-daemon-down"

    asyncio.run(scenario())
