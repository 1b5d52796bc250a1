"""HTTP of EST, without a network: who is heard, and what is answered."""

import asyncio
import base64
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import h11
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority.test_registrar import Place
from tests.authority_world import CLIENT, make_token
from throughway.authority.limits import FAILURES, REQUESTS
from throughway.authority.service import EnrolmentService
from throughway.model.errors import ThroughwayError
from throughway.net.webserver import Answer, Heard
from throughway.pki import est
from throughway.pki.requests import sign_proof


class Local:
    """A registry in the same process."""

    def __init__(self, place: Place) -> None:
        self.registrar = place.registrar
        self.offline = False
        self.told: list[tuple[str, str, str]] = []
        """Refusals that it heard of without having been asked."""

    async def enrol(self, request: bytes, secret: bytes, source: str) -> bytes:
        if self.offline:
            raise ThroughwayError("the authority does not answer in time")
        return self.registrar.enrol(request, secret).public_bytes(Encoding.DER)

    async def renew(
        self, request: bytes, certificate: bytes, proof: bytes | None, source: str
    ) -> bytes:
        return self.registrar.renew(request, certificate, proof).public_bytes(Encoding.DER)

    async def certify_user(
        self, request: bytes, certificate: bytes, principal: str, life: str, source: str
    ) -> bytes:
        seconds = timedelta(seconds=int(life))
        made = self.registrar.certify_user(request, certificate, principal, seconds)
        return made.public_bytes(Encoding.DER)

    async def refused(self, problem: str, reason: str, source: str) -> None:
        self.told.append((problem, reason, source))

    async def admit(self, secret: bytes, certificate: bytes, source: str) -> None:
        self.registrar.admit(secret=secret, certificate=certificate)


class World:
    """A service, and requests to it."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder / "pki")
        self.local = Local(self.place)
        self.time = 1000.0
        anchors = est.build_certificates([self.place.registrar.anchor()])
        self.service = EnrolmentService(self.local, anchors, self.policy, lambda: self.time)
        self.token = make_token(self.place.directory)

    async def policy(self) -> bytes:
        return b"bundle"

    def ask(
        self, method: str, path: str, body: bytes = b"", shown: bytes = b"", **headers: str
    ) -> Answer:
        named = [("Host", "x"), *((k.replace("_", "-"), v) for k, v in headers.items())]
        request = h11.Request(method=method, target=path, headers=named)
        heard = Heard(request, body, "192.0.2.7", shown)
        return asyncio.run(self.service.respond(heard))

    def request(self) -> bytes:
        return est.encode(self.place.request())

    def enrol(self, token: str = "", body: bytes = b"", **headers: str) -> Answer:
        headers = {"content_type": est.REQUEST} | headers
        if token or self.token:
            headers["authorization"] = est.build_authorization("", token or self.token)
        return self.ask("POST", est.ENROL, body or self.request(), b"", **headers)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_enrol_renew_and_read_the_policy(world: World) -> None:
    answer = world.enrol()
    assert answer.status is HTTPStatus.OK
    assert answer.headers["content-type"] == est.CERTIFICATES
    (old,) = est.parse_certificates(answer.body)
    shown = old.public_bytes(Encoding.DER)
    body = est.encode(world.place.request())
    answer = world.ask("POST", est.RENEW, body, shown, content_type=est.REQUEST)
    (new,) = est.parse_certificates(answer.body)
    assert new.serial_number != old.serial_number
    assert world.ask("GET", est.POLICY, shown=shown).body == b"bundle"
    token = est.build_authorization("x", world.token)
    assert world.ask("GET", est.POLICY, authorization=token).body == b"bundle"


def test_a_renewal_by_proof(world: World) -> None:
    (old,) = est.parse_certificates(world.enrol().body)
    request = world.place.request()
    headers = {
        "content_type": est.REQUEST,
        est.CERTIFICATE: base64.b64encode(old.public_bytes(Encoding.DER)).decode(),
        est.PROOF: base64.b64encode(sign_proof(world.place.key, request)).decode(),
    }
    assert world.ask("POST", est.RENEW, est.encode(request), b"", **headers).status is HTTPStatus.OK
    headers[est.PROOF] = base64.b64encode(b"forged").decode()
    answer = world.ask("POST", est.RENEW, est.encode(request), b"", **headers)
    assert answer.status is HTTPStatus.BAD_REQUEST
    del headers[est.PROOF]
    answer = world.ask("POST", est.RENEW, est.encode(request), b"", **headers)
    assert answer.status is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", HTTPStatus.NOT_FOUND),
        ("GET", f"{est.BASE}/serverkeygen", HTTPStatus.NOT_FOUND),
        ("GET", f"{est.BASE}/label/cacerts", HTTPStatus.NOT_FOUND),
        ("POST", est.CACERTS, HTTPStatus.METHOD_NOT_ALLOWED),
        ("GET", est.ENROL, HTTPStatus.METHOD_NOT_ALLOWED),
        ("GET", f"{est.CACERTS}?x", HTTPStatus.OK),
        ("POST", est.ENROL, HTTPStatus.UNAUTHORIZED),
        ("POST", est.RENEW, HTTPStatus.BAD_REQUEST),
        ("GET", est.POLICY, HTTPStatus.UNAUTHORIZED),
    ],
)
def test_what_is_there(world: World, method: str, path: str, status: HTTPStatus) -> None:
    assert world.ask(method, path).status is status


def test_refusals_name_their_problem(world: World) -> None:
    answer = world.enrol(token="AAAA")
    assert answer.status is HTTPStatus.UNAUTHORIZED
    assert answer.headers[est.PROBLEM] == "enrolment-token-unknown"
    assert answer.headers["www-authenticate"] == 'Basic realm="throughway"'
    answer = world.enrol(body=b"AAAA")
    assert (answer.status, answer.headers[est.PROBLEM]) == (400, "enrolment-request-refused")
    assert world.local.told[0][::2] == ("enrolment-token-unknown", "192.0.2.7")
    answer = world.enrol(content_type="text/plain")
    assert answer.status is HTTPStatus.BAD_REQUEST
    world.token = make_token(world.place.directory, "client2.corp.example.com")
    answer = world.enrol()
    assert (answer.status, answer.headers[est.PROBLEM]) == (403, "enrolment-name-mismatch")
    assert CLIENT.encode() in answer.body
    world.local.offline = True
    answer = world.enrol()
    assert (answer.status, answer.headers[est.PROBLEM]) == (503, "enrolment-authority-offline")
    assert answer.headers["retry-after"] == "60"


def test_who_fails_too_often_is_told_to_wait(world: World) -> None:
    answers = [world.enrol(token="AAAA").status for _ in range(FAILURES + 1)]
    assert answers[-2:] == [HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS]
    assert world.enrol().status is HTTPStatus.TOO_MANY_REQUESTS
    world.time += 61.0
    assert world.enrol().status is HTTPStatus.OK


def test_who_asks_for_what_is_public_keeps_nobody_out(world: World) -> None:
    for _ in range(REQUESTS):
        assert world.ask("GET", est.CACERTS).status is HTTPStatus.OK
        assert world.ask("GET", est.POLICY).status is HTTPStatus.UNAUTHORIZED
    assert world.enrol().status is HTTPStatus.OK
