"""Who gets a user's certificate for a one-time code; the whole way with authority and charon."""

import asyncio
import base64
import functools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests import freeradius
from tests.authority_world import NAME, Authority, make_token, serving
from tests.gateway.test_user_proof import CardSite, users_of
from tests.ipsec_world import APPLICATION, CLIENT
from tests.pki_world import write_gateway
from tests.smart_cards import ALICE, BOB, REALM
from throughway.authority.registrar import Registrar
from throughway.client.proof import UserKey
from throughway.gateway import codes, settings
from throughway.gateway.codes import PATH, CodeService, check_totp, keep, opened, read_book
from throughway.model.config import CodeCheck, CodesConfig, RADIUSConfig, UserProof
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.est import ESTClient
from throughway.net.files import PRIVATE
from throughway.net.webserver import Answer, Heard
from throughway.pki import totp
from throughway.pki.authority import Profile
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.pki.requests import build_request, build_user_request
from throughway.pki.tokens import parse_token
from throughway.pki.user_certificate import CODE_POLICY, principal_of

DEVICE = totp.make_device(ALICE, b"12345678901234567890")
TUNNEL = TunnelStatus(
    name="infrastructure",
    state=TunnelState.UP,
    remote_address=CLIENT,
    remote_identity="client1.corp.example.com",
)
NOW = time.time()


@dataclass
class Desk:
    """A code service, and people who come to it."""

    folder: Path
    check: CodeCheck = CodeCheck.TOTP
    radius: RADIUSConfig | None = None
    authority: str = "https://da.example.com:1"
    now: float = NOW
    tunnels: tuple[TunnelStatus, ...] = (TUNNEL,)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    issued: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        config = settings.load(write_gateway(self.folder))
        wanted = CodesConfig(
            listen=("::1", 0),
            authority=self.authority,
            authority_ca=self.folder / "authority.crt",
            certificate=self.folder / "registrar.crt",
            key=self.folder / "registrar.key",
            check=self.check,
            book=self.folder / "codes.json",
            servers=self.radius.servers if self.radius else (),
            secret=self.radius.secret if self.radius else None,
        )
        users = replace(users_of(self.folder, UserProof.CODE), codes=wanted)
        keep(self.folder / "codes.json", totp.DeviceBook(devices=(DEVICE,)))
        self.service = CodeService(
            replace(config, users=users, runtime_directory=self.folder),
            lambda: self.tunnels,
            lambda *refusal: self.refused.append(refusal),
            lambda *issued: self.issued.append(issued),
            lambda: self.now,
        )
        self.service._accept = self.accept

    def accept(self, token: bytes) -> str:
        """A ticket is its owner's name here; replays and forgeries are test_kerberos's."""
        if not token.startswith(b"ticket of "):
            raise TrustError("the token is no Kerberos AP-REQ", problem="ipsec-user-refused")
        return token.removeprefix(b"ticket of ").decode()

    def code(self, off: float = 0.0) -> str:
        return DEVICE.code(self.now + off)

    def ask(
        self,
        code: str,
        *,
        user: str = ALICE,
        state: str = "",
        source: str = CLIENT,
        body: bytes | None = None,
    ) -> tuple[HTTPStatus, dict[str, Any]]:
        asked = {
            "token": base64.b64encode(f"ticket of {user}".encode()).decode(),
            "code": code,
            "state": state,
            "request": base64.b64encode(build_user_request(self.key)).decode(),
        }
        request = h11.Request(method="POST", target=PATH, headers=[("Host", "x")])
        data = json.dumps(asked).encode() if body is None else body
        answer: Answer = asyncio.run(self.service.respond(Heard(request, data, source)))
        return answer.status, json.loads(answer.body)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    async def certify(_self: CodeService, request: bytes, principal: str) -> str:
        return f"certificate of {principal}"

    monkeypatch.setattr(CodeService, "_certify", certify)
    return Desk(tmp_path)


def test_a_right_code_is_worth_a_certificate(desk: Desk) -> None:
    assert desk.ask(desk.code()) == (HTTPStatus.OK, {"certificate": f"certificate of {ALICE}"})
    assert desk.issued == [(ALICE, "client1.corp.example.com")]
    assert desk.refused == []


@dataclass(frozen=True, kw_only=True)
class CodeFault:
    """What can be wrong with a code; data, for the matrix of who may come in."""

    name: str
    off: float = 0.0
    """Seconds by which the device's clock is ahead."""
    code: str = ""
    user: str = ALICE
    used: bool = False
    problem: str


CODE_FAULTS = (
    CodeFault(name="wrong", code="000000", problem="one-time-code-wrong"),
    CodeFault(name="replayed", used=True, problem="one-time-code-used"),
    CodeFault(name="drifted", off=150.0, problem="one-time-code-clock"),
    CodeFault(name="of-another-user", user=BOB, problem="one-time-code-unknown-user"),
)


@pytest.mark.parametrize("fault", CODE_FAULTS, ids=lambda fault: fault.name)
def test_what_is_wrong_with_a_code(desk: Desk, fault: CodeFault) -> None:
    code = fault.code or desk.code(fault.off)
    if fault.used:
        desk.ask(code)
    status, told = desk.ask(code, user=fault.user)
    assert (status, told["problem"]) == (HTTPStatus.FORBIDDEN, fault.problem)
    [(reason, problem, peer)] = desk.refused
    assert (problem, peer) == (fault.problem, f"client1.corp.example.com ({CLIENT})")
    assert fault.user.partition("@")[0] in reason
    assert code not in reason


def test_only_computers_with_a_tunnel_are_heard(desk: Desk) -> None:
    down = replace(TUNNEL, state=TunnelState.CONNECTING)
    for tunnels in ((), (down,), (replace(TUNNEL, name="intranet"),)):
        desk.tunnels = tunnels
        assert desk.ask(desk.code())[0] is HTTPStatus.FORBIDDEN
    desk.tunnels = (TUNNEL,)
    assert desk.ask(desk.code(), source="2001:db8::bad")[0] is HTTPStatus.FORBIDDEN
    assert desk.issued == []
    # Nor was the code used up.
    assert desk.ask(desk.code())[0] is HTTPStatus.OK


def test_a_code_without_a_ticket_is_not_even_looked_at(desk: Desk) -> None:
    desk.service._accept = lambda token: (_ for _ in ()).throw(TrustError("no ticket"))
    status, told = desk.ask(desk.code())
    assert (status, told["problem"]) == (HTTPStatus.FORBIDDEN, "ipsec-user-refused")
    assert read_book(desk.folder / "codes.json").devices[0].last == -1


def test_guessing_is_stopped(desk: Desk) -> None:
    told = [desk.ask("000000")[1]["problem"] for _ in range(7)]
    assert told == ["one-time-code-wrong"] * 5 + ["one-time-code-too-many"] * 2
    assert desk.ask(desk.code())[1]["problem"] == "one-time-code-too-many"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 1}', b"\xff"])
def test_garbage(desk: Desk, body: bytes) -> None:
    assert desk.ask("", body=body)[0] is HTTPStatus.BAD_REQUEST


def test_an_authority_that_does_not_answer_is_the_gateways_trouble(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def offline(_self: CodeService, request: bytes, principal: str) -> str:
        raise ThroughwayError("https://pki: no answer")

    monkeypatch.setattr(CodeService, "_certify", offline)
    status, told = desk.ask(desk.code())
    assert (status, told["problem"]) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "one-time-code-service-down",
    )
    assert "https://pki" not in told["reason"]
    assert "https://pki: no answer" in desk.refused[0][0]


def test_the_book_is_private_and_changed_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "state" / "codes.json"
    with opened(path) as book:
        keep(path, book.added(DEVICE))
    assert path.stat().st_mode & 0o777 == PRIVATE
    check_totp(path, ALICE, DEVICE.code(NOW), NOW)
    with pytest.raises(TrustError, match="used before"):
        check_totp(path, ALICE, DEVICE.code(NOW), NOW)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod"):
        read_book(path)


@pytest.mark.lab
def test_a_radius_server_may_ask_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def certify(_self: CodeService, request: bytes, principal: str) -> str:
        return "certificate"

    monkeypatch.setattr(CodeService, "_certify", certify)
    folder = tmp_path / "radius"
    folder.mkdir()
    with freeradius.serving(folder) as radius:
        desk = Desk(tmp_path, CodeCheck.RADIUS, radius)
        status, told = desk.ask(freeradius.PIN)
        assert (status, told["challenge"]) == (HTTPStatus.OK, freeradius.QUESTION)
        assert desk.issued == []
        assert desk.ask(freeradius.CODE, state=told["state"])[1] == {"certificate": "certificate"}
        assert desk.ask("000000", state=told["state"])[1]["problem"] == "one-time-code-wrong"


def register(authority: Authority, folder: Path, profile: Profile) -> None:
    """Enrol the gateway at the authority, by a token."""
    registrar = Registrar(authority.directory, timedelta(days=30), lambda: datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP256R1())
    secret = parse_token(make_token(authority.directory, NAME, profile=profile)).secret
    made = registrar.enrol(build_request(key, [NAME]), secret)
    (folder / "registrar.crt").write_bytes(build_certificate_pem(made))
    (folder / "registrar.key").write_bytes(build_key_pem(key))
    (folder / "registrar.key").chmod(0o600)
    (folder / "authority.crt").write_bytes((authority.directory / "ca.crt").read_bytes())


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    async def here(_name: str) -> Sequence[str]:
        return ("127.0.0.1",)

    monkeypatch.setattr(codes, "ESTClient", functools.partial(ESTClient, resolve=here))
    with serving() as authority:
        yield authority


@pytest.mark.lab
def test_a_code_opens_the_intranet_for_some_hours(authority: Authority, tmp_path: Path) -> None:
    real = Desk(tmp_path, authority=authority.url)
    # Whoever is no registrar gets no certificates of users.
    register(authority, tmp_path, Profile.COMPUTER)
    status, told = real.ask(real.code(-30))
    assert (status, told["problem"]) == (HTTPStatus.FORBIDDEN, "enrolment-request-refused")
    assert "is no registrar" in real.refused[0][0]
    register(authority, tmp_path, Profile.REGISTRAR)
    status, told = real.ask(real.code())
    assert status is HTTPStatus.OK, told
    given = x509.load_pem_x509_certificate(told["certificate"].encode())
    assert principal_of(given, REALM) == ALICE
    lasts = given.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(hours=7) < lasts < timedelta(hours=8, minutes=1)
    policies = given.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [policy.policy_identifier for policy in policies] == [CODE_POLICY]
    # The users' root of this gateway is the authority.
    folder = real.folder / "site"
    folder.mkdir()
    site = CardSite(folder, UserProof.CODE)
    (folder / "users.pem").write_bytes((real.folder / "authority.crt").read_bytes())
    try:
        site.start_client()
        site.up()
        site.user_up(UserKey(certificate=told["certificate"].encode(), key=build_key_pem(real.key)))
        assert site.world.reach(APPLICATION) == CLIENT
        [tunnel] = site.at_gateway("intranet")
        assert tunnel.account == ALICE
    finally:
        site.close()
