"""What an EST client makes of answers; tests/client/test_joining.py has the real service."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.net.iphttps_world import Authority
from tests.net.test_fetch import NAME, authority, context_of, loopback, says, serving, trusting
from tests.probe.probe_world import gateway, make, write
from throughway.model.errors import Stage, ThroughwayError, TransportError, TrustError
from throughway.net.est import AT_IPHTTPS, OFFLINE, ESTClient
from throughway.net.exchange import Answered
from throughway.net.tls import unverified_context
from throughway.pki.requests import REFUSED, build_request

REQUEST = build_request(ec.generate_private_key(ec.SECP256R1()), ("a.example",))

__all__ = ["authority"]


def failure(
    authority: Authority,
    answer: bytes,
    ask: Callable[[ESTClient], Awaitable[object]],
    name: str = NAME,
    **dates: float,
) -> ThroughwayError:
    async def run() -> None:
        async with serving(says(answer), context_of(authority, name, **dates)) as port:
            client = ESTClient(f"https://{NAME}:{port}", trusting(authority), resolve=loopback)
            await ask(client)

    with pytest.raises(ThroughwayError) as told:
        asyncio.run(run())
    return told.value


def says_http(status: str, body: str, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "problem", "words"),
    [
        (
            says_http("401 No", "used", throughway_problem="enrolment-token-used"),
            "enrolment-token-used",
            "used",
        ),
        (says_http("400 No", "weak key"), "enrolment-request-refused", "weak key"),
        (says_http("403 No", ""), "enrolment-request-refused", "403 No"),
        (says_http("404 Not Found", ""), "enrolment-request-refused", "404"),
        (
            says_http("404 Not Found", "", Server="throughway"),
            "enrolment-at-iphttps",
            f"8443 unless you were told one: https://{NAME}",
        ),
        (says_http("503 No", "later"), "enrolment-authority-offline", "later"),
        (says_http("429 No", "slower"), "enrolment-authority-offline", "slower"),
        (says_http("200 OK", "AAAA"), "enrolment-authority-offline", "no certs-only"),
        (
            says_http("400 No", "x", throughway_problem="bug-in-throughway"),
            "enrolment-request-refused",
            "x",
        ),
    ],
)
def test_refusals(authority: Authority, answer: bytes, problem: str, words: str) -> None:
    error = failure(authority, answer, lambda client: client.enrol(REQUEST, "token"))
    assert getattr(error, "problem", "") == problem
    assert words in str(error)


def test_the_port_of_iphttps_is_told(tmp_path: Path) -> None:
    """As the product's own server answers there."""

    async def run() -> None:
        async with gateway(write(tmp_path, make(NAME, names=[NAME]))) as port:
            url = f"https://{NAME}:{port}"
            await ESTClient(url, unverified_context(), resolve=loopback).authorities()

    with pytest.raises(TrustError) as told:
        asyncio.run(run())
    assert told.value.problem == "enrolment-at-iphttps"


@pytest.mark.parametrize(
    ("port", "answer", "problem"),
    [
        (443, Answered(status=404, reason="No", headers={"server": "nginx"}, body=b""), AT_IPHTTPS),
        (443, TransportError(Stage.TLS, "x", problem="iphttps-client-cert-required"), AT_IPHTTPS),
        (443, Answered(status=403, reason="No", headers={}, body=b""), REFUSED),
        (8443, Answered(status=404, reason="No", headers={}, body=b""), REFUSED),
        (
            8443,
            Answered(status=503, reason="No", headers={"server": "throughway"}, body=b""),
            OFFLINE,
        ),
    ],
)
def test_what_else_answers_there(
    port: int, answer: Answered | TransportError, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device before the gateway may answer in its place, or it may want a certificate."""

    async def exchange(*_: object, **__: object) -> Answered:
        if isinstance(answer, TransportError):
            raise answer
        return answer

    monkeypatch.setattr("throughway.net.est.exchange", exchange)
    client = ESTClient(f"https://{NAME}:{port}", unverified_context())
    with pytest.raises(ThroughwayError) as told:
        asyncio.run(client.authorities())
    assert getattr(told.value, "problem", "") == problem


@pytest.mark.parametrize(
    ("name", "dates", "problem"),
    [
        ("other.example.com", {}, "enrolment-server-not-genuine"),
        (NAME, {"begins": -3.0, "ends": -1.0}, "clock-skew"),
        (NAME, {"begins": 1.0, "ends": 3.0}, "clock-skew"),
    ],
)
def test_servers_that_prove_nothing(
    authority: Authority, name: str, dates: dict[str, float], problem: str
) -> None:
    error = failure(authority, b"", lambda client: client.authorities(), name, **dates)
    assert getattr(error, "problem", "") == problem


def test_nobody_there(authority: Authority) -> None:
    client = ESTClient(f"https://{NAME}:1", trusting(authority), resolve=loopback)
    with pytest.raises(ThroughwayError) as told:
        asyncio.run(client.policy("token"))
    assert getattr(told.value, "problem", "") == "enrolment-authority-offline"
    assert "token" not in str(told.value)
