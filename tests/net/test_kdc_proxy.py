"""The KDC proxy: what goes through to the domain, and what does not."""

import asyncio
from http import HTTPStatus

import h11
import pytest

from tests.wire.test_kkdcp import kdc_request
from throughway.net import kdc_proxy as module
from throughway.net.kdc_proxy import KDCProxy, RateLimit
from throughway.net.webserver import Answer, Heard
from throughway.wire.kkdcp import TGS_REQ, ProxyMessage, build_proxy_message, parse_proxy_message

REALM, SERVICE = "CORP.EXAMPLE.COM", ("host", "da.example.com")
REPLY = b"\x6b\x03abc"


def heard(
    message: bytes, *, realm: str = REALM, path: str = "/KdcProxy", method: str = "POST"
) -> Heard:
    request = h11.Request(method=method, target=path, headers=[("host", "da.example.com")])
    body = build_proxy_message(ProxyMessage(message=message, realm=realm))
    return Heard(request, body, source="192.0.2.1")


class KDC:
    """Answers every request with one reply, and remembers them."""

    def __init__(self, reply: bytes = REPLY) -> None:
        self.asked: list[bytes] = []
        self._reply = reply

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4), "big")
        self.asked.append(await reader.readexactly(length))
        writer.write(self._reply)
        await writer.drain()
        writer.close()


def answered(*requests: Heard, kdc: KDC | None = None, limit: RateLimit | None = None) -> Answer:
    """Return the answer to the last of some requests."""

    async def scenario() -> Answer:
        own = kdc or KDC(len(REPLY).to_bytes(4, "big") + REPLY)
        server = await asyncio.start_server(own.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def find() -> list[tuple[str, int]]:
            return [("127.0.0.1", 1), ("127.0.0.1", port)]

        proxy = KDCProxy(realm=REALM, service="/".join(SERVICE), find=find, limit=limit)
        proxy.allow(["client1$"])
        answers = [await proxy.respond(request) for request in requests]
        server.close()
        await server.wait_closed()
        return answers[-1]

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    "request_",
    [
        kdc_request(),
        kdc_request(realm=REALM, service=SERVICE),
        kdc_request(TGS_REQ, client=(), service=SERVICE),
    ],
)
def test_what_a_computer_needs_goes_through(request_: bytes) -> None:
    kdc = KDC(len(REPLY).to_bytes(4, "big") + REPLY)
    answer = answered(heard(request_), kdc=kdc)
    assert answer.status is HTTPStatus.OK
    assert answer.headers["content-type"] == "application/kerberos"
    assert parse_proxy_message(answer.body).message == REPLY
    assert kdc.asked == [request_]


@pytest.mark.parametrize(
    "request_",
    [
        kdc_request(client=("alice",)),
        kdc_request(client=("CLIENT2$",)),
        kdc_request(client=("CLIENT1$", "x")),
        kdc_request(realm="OTHER.EXAMPLE.COM"),
        kdc_request(service=("kadmin", "changepw")),
        kdc_request(TGS_REQ, client=(), service=("cifs", "dc1.corp.example.com")),
        kdc_request(TGS_REQ, client=(), service=("krbtgt", "OTHER.EXAMPLE.COM")),
    ],
)
def test_nothing_else_does(request_: bytes) -> None:
    kdc = KDC()
    assert answered(heard(request_), kdc=kdc).status is HTTPStatus.FORBIDDEN
    assert kdc.asked == []


def test_another_target_realm_is_refused() -> None:
    answer = answered(heard(kdc_request(), realm="OTHER.EXAMPLE.COM"))
    assert answer.status is HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (heard(b"junk"), HTTPStatus.BAD_REQUEST),
        (heard(kdc_request(), path="/"), HTTPStatus.NOT_FOUND),
        (heard(kdc_request(), method="GET"), HTTPStatus.METHOD_NOT_ALLOWED),
    ],
)
def test_what_is_no_request(request_: Heard, status: HTTPStatus) -> None:
    assert answered(request_).status is status


def test_a_source_that_asks_too_often_is_told() -> None:
    limit = RateLimit(burst=2, refill=0.001)
    assert answered(*[heard(kdc_request())] * 2, limit=limit).status is HTTPStatus.OK
    limit = RateLimit(burst=2, refill=0.001)
    answer = answered(*[heard(kdc_request())] * 3, limit=limit)
    assert answer.status is HTTPStatus.TOO_MANY_REQUESTS


def test_one_network_counts_as_one_and_comes_back() -> None:
    limit = RateLimit(burst=1, refill=1.0)
    assert limit.allows("2001:db8::1", 0.0)
    assert not limit.allows("2001:db8::ffff:2", 0.5)
    assert limit.allows("2001:db8:0:1::1", 0.5)
    assert limit.allows("2001:db8::3", 1.5)
    assert limit.allows("192.0.2.1", 0.0)
    assert not limit.allows("::ffff:192.0.2.1", 0.1)
    assert limit.allows("", 0.0)


def test_sources_are_forgotten_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SOURCES", 10)
    limit = RateLimit()
    for number in range(100):
        limit.allows(f"192.0.2.{number}", 0.0)
    assert len(limit._buckets) == 10


@pytest.mark.parametrize("reply", [b"", b"\0\0\0\x09abc", b"\x7f\xff\xff\xff"])
def test_a_kdc_that_answers_nonsense_is_none(reply: bytes) -> None:
    answer = answered(heard(kdc_request()), kdc=KDC(reply))
    assert answer.status is HTTPStatus.SERVICE_UNAVAILABLE
