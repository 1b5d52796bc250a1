"""Exchanging a code for a certificate: what is sent, and what each answer means."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509

from tests.ipsec_world import Deployment
from throughway.client import codes
from throughway.client.codes import Challenge, exchange_code
from throughway.client.proof import UserKey
from throughway.model.errors import TransportError, TrustError, WireError
from throughway.model.policy import Policy
from throughway.net.webserver import Answer, Heard, WebServer

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    async def make(ccache: Path, service: str, *, realm: str = "") -> bytes:
        return f"ticket for {service} of {realm} in {ccache.name}".encode()

    monkeypatch.setattr(codes, "make_token_apart", make)


@asynccontextmanager
async def gateway(folder: Path, answer: Answer, heard: list[Heard]) -> AsyncIterator[Policy]:
    async def respond(request: Heard) -> Answer:
        heard.append(request)
        return answer

    server = WebServer(("127.0.0.1", 0), respond, key="test", body_limit=65536)
    await server.start()
    policy = replace(
        Deployment.create(folder).policy(),
        kerberos_service="host@da",
        kerberos_realm="CORP",
        code_url=f"http://127.0.0.1:{server.port}/one-time-code",
    )
    try:
        yield policy
    finally:
        await server.close()


def exchanged(
    folder: Path, status: HTTPStatus, body: bytes
) -> tuple[UserKey | Challenge, dict[str, str]]:
    heard: list[Heard] = []

    async def run() -> UserKey | Challenge:
        async with gateway(folder, Answer(status, {}, body), heard) as policy:
            return await exchange_code(policy, folder / "ccache", "123456", "c3RhdGU=")

    got = asyncio.run(run())
    sent: dict[str, str] = json.loads(heard[0].body)
    return got, sent


def test_a_certificate_with_a_key_that_was_made_for_it(tmp_path: Path) -> None:
    told = json.dumps({"certificate": PEM + PEM}).encode()
    got, sent = exchanged(tmp_path, HTTPStatus.OK, told)
    assert isinstance(got, UserKey)
    assert (got.certificate, got.chain) == (PEM.encode(), (PEM.encode(),))
    assert b"PRIVATE KEY" in got.key
    assert "PRIVATE" not in repr(got)
    assert (sent["code"], sent["state"]) == ("123456", "c3RhdGU=")
    assert base64.b64decode(sent["token"]) == b"ticket for host@da of CORP in ccache"
    request = x509.load_der_x509_csr(base64.b64decode(sent["request"]))
    assert request.is_signature_valid
    assert list(request.subject) == []
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and got.key in f.read_bytes()]


def test_a_server_that_asks_back(tmp_path: Path) -> None:
    told = json.dumps({"challenge": "PIN\x1b[2J?", "state": "eHl6"}).encode()
    got, _ = exchanged(tmp_path, HTTPStatus.OK, told)
    assert got == Challenge("PIN[2J?", "eHl6")


@pytest.mark.parametrize(
    ("status", "body", "error", "problem"),
    [
        (
            HTTPStatus.FORBIDDEN,
            b'{"problem": "one-time-code-used", "reason": "used before"}',
            TrustError,
            "one-time-code-used",
        ),
        (
            HTTPStatus.SERVICE_UNAVAILABLE,
            b'{"problem": "one-time-code-service-down", "reason": "down"}',
            TransportError,
            "one-time-code-service-down",
        ),
        (HTTPStatus.OK, b"{}", WireError, ""),
        (HTTPStatus.OK, b"<html>", WireError, ""),
        (HTTPStatus.FORBIDDEN, b'{"certificate": "x"}', WireError, ""),
    ],
)
def test_refusals(
    tmp_path: Path, status: HTTPStatus, body: bytes, error: type[Exception], problem: str
) -> None:
    with pytest.raises(error) as caught:
        exchanged(tmp_path, status, body)
    assert getattr(caught.value, "problem", "") == problem


def test_nobody_there_and_nobody_offered(tmp_path: Path) -> None:
    policy = Deployment.create(tmp_path).policy()
    with pytest.raises(TrustError) as caught:
        asyncio.run(exchange_code(policy, tmp_path, "1"))
    assert caught.value.problem == "one-time-code-not-offered"
    policy = replace(policy, code_url="http://127.0.0.1:9/one-time-code")
    with pytest.raises(TransportError) as silent:
        asyncio.run(exchange_code(policy, tmp_path, "1"))
    assert silent.value.problem == "one-time-code-service-down"
