"""Who gets a user's certificate for a one-time code; the whole way with authority and charon."""

import functools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509

from tests import freeradius
from tests.authority_world import Authority, serving
from tests.gateway.test_user_proof import USERS_ROOT, CardSite
from tests.ipsec_world import APPLICATION, CLIENT, PASSWORDS, SERVICE, shared_domain
from tests.one_time_codes import CODE_FAULTS, DEVICE, NOW, TUNNEL, CodeFault, Desk, register
from tests.ports import free_port
from tests.smart_cards import ALICE, REALM
from throughway.client.codes import TIMEOUT, exchange_code
from throughway.client.proof import UserKey
from throughway.gateway import codes
from throughway.gateway.codes import PATH, CodeService, check_totp, keep, opened, read_book
from throughway.model.config import CodeCheck, UserProof
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.model.status import TunnelState
from throughway.net.est import ESTClient
from throughway.net.files import PRIVATE
from throughway.net.kerberos import get_ticket
from throughway.pki.authority import Profile, certify_user
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.pki.requests import judge_user_request
from throughway.pki.user_certificate import CODE_POLICY, principal_of


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


@pytest.mark.parametrize("fault", CODE_FAULTS, ids=lambda fault: fault.name)
def test_what_is_wrong_with_a_code(desk: Desk, fault: CodeFault) -> None:
    code = fault.code or desk.code(fault.off)
    for _ in range(fault.guesses):
        desk.ask("000000", user=fault.user)
    if fault.used:
        desk.ask(code)
    desk.refused.clear()
    desk.issued.clear()
    status, told = desk.ask(code, user=fault.user, source=fault.source)
    if not fault.problem:
        assert (status, told) == (HTTPStatus.OK, {"certificate": f"certificate of {fault.user}"})
        assert (len(desk.issued), desk.refused) == (1, [])
        return
    assert (status, told["problem"]) == (HTTPStatus.FORBIDDEN, fault.problem)
    assert desk.issued == []
    if fault.source != CLIENT:
        return  # anybody could fill the status with it
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


def test_a_silent_server_leaves_time_for_the_next_one(desk: Desk) -> None:
    """Each may have ten seconds, and the client waits for all of them."""
    waited = desk.service._server._seconds
    assert waited is not None
    assert 2 * desk.service._codes.timeout < waited < TIMEOUT


def test_guessing_is_stopped(desk: Desk) -> None:
    told = [desk.ask("000000")[1]["problem"] for _ in range(7)]
    assert told == ["one-time-code-wrong"] * 5 + ["one-time-code-too-many"] * 2
    assert desk.ask(desk.code())[1]["problem"] == "one-time-code-too-many"


def asked(**changed: str) -> bytes:
    return json.dumps({"token": "", "code": "1", "state": "", "request": ""} | changed).encode()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b'{"token": 1}', b"\xff"),
        # JSON can say what UTF-8 cannot; and no attribute of RADIUS holds such a state.
        asked(code="\ud800"),
        asked(code="1" * 200),
        asked(state="A" * 400),
        asked(request="\xe9"),
    ],
    ids=map(str, range(9)),
)
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


@pytest.mark.lab
def test_a_client_gets_its_certificate_through_the_tunnel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real tickets, real tunnels: the computer is known by where the question comes from."""
    domain = shared_domain()
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))

    async def certify(_self: CodeService, request: bytes, principal: str) -> str:
        made = certify_user(
            USERS_ROOT,
            principal,
            judge_user_request(request),
            now=datetime.now(UTC),
            life=timedelta(hours=1),
        )
        return build_certificate_pem(made).decode()

    monkeypatch.setattr(CodeService, "_certify", certify)
    site = CardSite(tmp_path, UserProof.CODE)
    listen = ("2001:db8:c0:1::1", free_port())
    folder = tmp_path / "desk"
    folder.mkdir()
    desk = Desk(folder, listen=listen, keytab=domain.keytab, now=time.time())
    desk.service._tunnels = site.gateway.tunnels
    (folder / "ipsec").mkdir()
    policy = replace(
        site.deployment.policy(),
        kerberos_service=SERVICE,
        kerberos_realm=REALM,
        code_url=f"http://[{listen[0]}]:{listen[1]}{PATH}",
    )
    ccache = tmp_path / "ccache"
    client = site.world.client
    site.world.gateway.run(desk.service.start())
    try:
        site.start_client()
        site.up()
        site.at_gateway("infrastructure")
        client.call(get_ticket, ALICE, PASSWORDS["alice"], ccache)
        key = client.run(exchange_code(policy, ccache, desk.code()))
        assert isinstance(key, UserKey)
        site.user_up(key)
        assert site.world.reach(APPLICATION) == CLIENT
        assert [t.account for t in site.at_gateway("intranet")] == [ALICE]
        assert desk.issued == [(ALICE, "client1.corp.example.com")]
        with pytest.raises(TrustError) as caught:
            client.run(exchange_code(policy, ccache, desk.code()))
        assert caught.value.problem == "one-time-code-used"
        # Who asks from beside the tunnel is nobody.
        corp = site.world.corp
        with pytest.raises(TrustError, match="only who has an infrastructure tunnel"):
            corp.run(exchange_code(policy, ccache, desk.code(30)))
    finally:
        site.world.gateway.run(desk.service.close())
        site.close()
