"""Users who prove themselves by certificates: real charons, SoftHSM's cards, and every fault."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ipsec_faults import publish
from tests.ipsec_world import APPLICATION, CLIENT, REALM, SERVICE, Site, shared_world, until
from tests.revocation_world import Web
from tests.smart_cards import (
    ALICE,
    CASES,
    FAULTS,
    MODULE,
    PIN,
    READERS,
    CardBox,
    Case,
    Fault,
    Kind,
    Person,
    users_root,
)
from throughway.client.proof import Proof, UserKey
from throughway.gateway import user_proof
from throughway.gateway.revocation import make_lists
from throughway.gateway.user_proof import certificates_of, check_revocation, methods_of
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent
from throughway.model.config import UserCertificatesConfig, UserProof, UsersConfig
from throughway.model.errors import (
    IPsecError,
    Stage,
    ThroughwayError,
    TransportError,
    TrustError,
)
from throughway.model.revocation import Revocation
from throughway.model.status import TunnelState
from throughway.net import smartcard
from throughway.net.radius import Login
from throughway.net.revocation_cache import RevocationCache
from throughway.net.revocation_lists import RevocationLists
from throughway.pki.authority import (
    Credential,
    Revoked,
    build_crl,
    certify_user,
)
from throughway.pki.pem import build_certificate_pem, build_crl_der, build_key_pem
from throughway.proto.authoriser import Method

USERS_ROOT = users_root()


def users_of(directory: Path, require: UserProof = UserProof.SMART_CARD) -> UsersConfig:
    ca, keytab = directory / "users.pem", directory / "none.keytab"
    ca.write_bytes(build_certificate_pem(USERS_ROOT.certificate))
    certificates = UserCertificatesConfig(ca=ca)
    return UsersConfig(
        realm=REALM, keytab=keytab, service=SERVICE, require=require, certificates=certificates
    )


def test_what_a_gateway_asks_users_for(tmp_path: Path) -> None:
    users = users_of(tmp_path, UserProof.ANY)
    assert methods_of(replace(users, certificates=None)) == (Method.TICKET,)
    assert methods_of(users) == (Method.TICKET, Method.CERTIFICATE)
    for require in (UserProof.SMART_CARD, UserProof.CODE, UserProof.STRONG):
        assert methods_of(replace(users, require=require)) == (Method.CERTIFICATE,)


class CardSite(Site):
    """With cards in the readers, and a client whose infrastructure tunnel is up."""

    def __init__(
        self, directory: Path, require: UserProof, lists: RevocationLists | None = None
    ) -> None:
        self.box = CardBox(directory / "cards")
        super().__init__(directory, users_of(directory, require), lists=lists)

    def let_in(self, allowed: bool) -> None:
        """Let users who have proven themselves in, or not."""

        async def admit(login: Login) -> None:
            if not allowed:
                raise TrustError(f"{login.principal} may not come in", problem="ipsec-user-refused")

        assert self.gateway._authoriser is not None
        self.gateway._authoriser._admit = admit

    def ask_for(self, require: UserProof, revocation: Revocation) -> None:
        """Let the gateway want this of users from now on."""
        users = users_of(self.deployment.directory, require)
        assert users.certificates is not None
        certificates = replace(users.certificates, revocation=revocation)
        users = replace(users, certificates=certificates)
        authoriser = self.gateway._authoriser
        assert authoriser is not None
        lists = self.gateway._lists
        authoriser._certificates = certificates_of(self.deployment.server(), users, lists)
        authoriser._methods = methods_of(users)

    def begin(self) -> None:
        self.start_client(replace(self.deployment.client(), smart_card=self.box.config))
        self.up()

    def user_up(self, proof: Proof, principal: str = ALICE) -> None:
        assert self.client is not None
        self.world.client.run(self.client.up_intranet(principal, proof))

    def card_key(self, pin: str = PIN) -> UserKey:
        [card] = self.world.client.run(smartcard.look(MODULE)).cards
        [certificate] = card.certificates
        return UserKey(certificate=certificate.pem.encode(), handle=certificate.key, pin=pin)

    def refused(self, proof: Proof, principal: str = ALICE) -> tuple[str, str, str]:
        """Try once what must be refused; return problem and reason of the gateway's, and
        the client's problem."""
        self.failures.clear()
        with pytest.raises(ThroughwayError) as caught:
            self.try_user(principal, proof)
        self.world.gateway.run(until(lambda: bool(self.failures)))
        assert self.at_gateway("intranet") == []
        reason, problem, _ = self.failures[0]
        return problem, reason, getattr(caught.value, "problem", "")


def soft(credential: Credential) -> UserKey:
    """Return a key as of a card which let itself be copied: what is judged is the same."""
    return UserKey(
        certificate=build_certificate_pem(credential.certificate),
        key=build_key_pem(credential.key),
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CardSite]:
    site = CardSite(tmp_path, UserProof.SMART_CARD)
    monkeypatch.setenv("SOFTHSM2_CONF", str(site.box.file))
    yield site
    site.close()


@pytest.mark.lab
def test_a_user_with_a_smart_card_has_the_intranet(site: CardSite) -> None:
    site.box.insert("alice", Person(rsa=True).issue(USERS_ROOT))
    site.begin()
    site.user_up(site.card_key())
    assert site.world.reach(APPLICATION) == CLIENT
    [tunnel] = site.at_gateway("intranet")
    assert (tunnel.remote_identity, tunnel.account) == ("client1.corp.example.com", ALICE)
    assert site.failures == []
    assert site.recorded(AuditEvent.USER_LOGON).user == ALICE
    # Whoever has none does not get in with a ticket, and both ends know why.
    assert site.client is not None
    site.world.client.run(site.client.down("intranet"))

    async def token() -> bytes:
        return b"a ticket of Kerberos"

    problem, reason, at_client = site.refused(token)
    assert problem == at_client == READERS["none"]
    assert site.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, READERS["none"])
    assert f"{ALICE} came with a ticket" in reason


@pytest.mark.lab
def test_a_card_that_comes_later_is_seen(site: CardSite) -> None:
    """SoftHSM shows charon only what was there before it: charon is started anew for it, once."""
    site.begin()
    site.box.insert("alice", Person().issue(USERS_ROOT))
    key = site.card_key()
    assert site.client is not None
    with pytest.raises(IPsecError, match="smart card"):
        site.user_up(key)
    site.wait_client("intranet", TunnelState.UP)
    assert site.world.reach(APPLICATION) == CLIENT
    assert [bool(reason) for reason in site.daemon] == [False, True, False]


@pytest.mark.lab
def test_a_wrong_pin_is_presented_once(site: CardSite) -> None:
    site.box.insert("alice", Person().issue(USERS_ROOT))
    site.begin()
    key = site.card_key(pin="0000")
    with pytest.raises(IPsecError) as caught:
        site.user_up(key)
    assert caught.value.problem == READERS["wrong PIN"]
    # The gateway has not heard of it.
    events = {record.event for record in site.records}
    assert not events & {AuditEvent.USER_LOGON, AuditEvent.EXTENDED_MODE_FAILED}
    client = site.client
    assert client is not None
    # It goes on trying, but not with the card.
    site.world.client.run(until(lambda: len(site.client_failures) > 2))
    assert "must be logged on with again" in site.client_failures[-1][1]
    assert client._charon is not None


@pytest.mark.lab
def test_where_tickets_count_too_a_card_asks_for_its_own_way(tmp_path: Path) -> None:
    site = CardSite(tmp_path, UserProof.ANY)
    try:
        site.begin()
        site.user_up(soft(Person().issue(USERS_ROOT)))
        assert [t.account for t in site.at_gateway("intranet")] == [ALICE]
    finally:
        site.close()


@pytest.mark.lab
def test_a_tunnel_ends_with_the_certificate_that_opened_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiries: list[tuple[user_proof.Expiry, str, float]] = []
    opened = user_proof.Expiry.opened

    def note(expiry: user_proof.Expiry, connection: str, seconds: float) -> None:
        expiries.append((expiry, connection, seconds))
        opened(expiry, connection, seconds)

    monkeypatch.setattr(user_proof.Expiry, "opened", note)
    site = CardSite(tmp_path, UserProof.SMART_CARD)
    try:
        site.begin()
        site.user_up(soft(Person().issue(USERS_ROOT)))
        assert site.at_gateway("intranet")
        client = site.client
        assert client is not None
        monkeypatch.setattr(client, "_load_proof", client.down)  # no second attempt is of interest
        ((expiry, connection, seconds),) = expiries
        assert 0.0 < seconds <= 86400.0

        async def ends_now() -> None:
            opened(expiry, connection, 0.0)

        def gone() -> bool:
            return all(tunnel.name != "intranet" for tunnel in site.gateway.tunnels())

        site.world.gateway.run(ends_now())
        site.world.gateway.run(until(gone))
        assert site.at_gateway("infrastructure")
    finally:
        site.close()


@pytest.mark.lab
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_wrong_with_a_card(fault: Fault, shared: CardSite) -> None:
    credential = fault.person.issue(users_root("Others Root") if fault.other_root else USERS_ROOT)
    shared.let_in(fault.allowed)
    shared.forget_told()
    problem, reason, at_client = shared.refused(soft(credential), fault.claims)
    assert (problem, fault.words in reason) == (fault.at_gateway, True), reason
    assert at_client == fault.at_client
    assert shared.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, fault.at_gateway)


@pytest.mark.lab
@pytest.mark.parametrize(
    ("name", "case"), CASES, ids=lambda each: str(getattr(each, "policy", each))
)
def test_who_shows_what(shared: CardSite, web: Web, name: str, case: Case) -> None:
    shared.ask_for(case.require, case.revocation or Revocation.WEAK)
    shared.let_in(True)
    proof = proof_of(shared, case, web)
    shared.forget_told()
    if not case.at_gateway:
        shared.user_up(proof, case.claims)
        assert [tunnel.account for tunnel in shared.at_gateway("intranet")] == [case.claims]
        assert shared.recorded(AuditEvent.USER_LOGON).user == case.claims
    else:
        problem, _, at_client = shared.refused(proof, case.claims)
        assert (problem, at_client) == (case.at_gateway, case.at_client)
        assert shared.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, case.at_gateway)
    assert shared.client is not None
    shared.world.client.run(shared.client.down("intranet"))


def proof_of(site: CardSite, case: Case, web: Web) -> Proof:
    """Make what a user shows; a list has a place of its own, and is asked for anew."""
    if case.kind is Kind.TICKET:

        async def ticket() -> bytes:
            return b"a ticket of Kerberos"

        return ticket
    if case.kind is Kind.CODE:
        key = ec.generate_private_key(ec.SECP256R1())
        hour = timedelta(hours=1)
        now = datetime.now(UTC)
        made = certify_user(USERS_ROOT, case.claims, key.public_key(), now=now, life=hour)
        return soft(Credential(key, made))
    path = f"/{case.published}-{case.revocation}.crl"
    person = replace(case.person, crl_url=web.url(path) if case.published else "")
    made_card = person.issue(USERS_ROOT)
    if case.published:
        web.pages[path] = publish(case.published, USERS_ROOT, made_card)
    return soft(made_card)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    web: Web = shared_world().gateway.call(Web)
    yield web
    shared_world().gateway.call(web.close)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardSite]:
    """One gateway and client for all faults."""
    directory = tmp_path_factory.mktemp("cards")
    assert shared_world()
    tracker = Tracker(time.time)
    lists = make_lists(directory / "state", tracker, lambda: Revocation.NONE)
    site = CardSite(directory, UserProof.SMART_CARD, lists)
    site.begin()
    yield site
    site.close()


@pytest.mark.parametrize(
    ("policy", "listed", "reachable", "problem"),
    [
        (Revocation.WEAK, False, True, ""),
        (Revocation.WEAK, True, True, "user-certificate-revoked"),
        (Revocation.WEAK, True, False, ""),
        (Revocation.STRONG, False, True, ""),
        (Revocation.STRONG, True, True, "user-certificate-revoked"),
        (Revocation.STRONG, False, False, "user-certificate-revocation-unknown"),
        (Revocation.NONE, True, True, ""),
    ],
)
def test_a_lost_card(
    tmp_path: Path, policy: Revocation, listed: bool, reachable: bool, problem: str
) -> None:
    alice = Person(crl_url="http://crl.example.com/users.crl").issue(USERS_ROOT).certificate
    now = datetime.now(UTC)
    revoked = [Revoked(alice.serial_number, now - timedelta(hours=1))] if listed else []
    crl = build_crl(USERS_ROOT, revoked, number=1, now=now, next_update=now + timedelta(days=1))

    async def ask(url: str, post: bytes) -> bytes:
        if not reachable:
            raise TransportError(Stage.CONNECT, "no way")
        return build_crl_der(crl)

    async def judged() -> str:
        lists = RevocationLists(RevocationCache(tmp_path / "revocation"), ask)
        try:
            await check_revocation((alice, USERS_ROOT.certificate), lists, policy)
        except TrustError as error:
            return error.problem
        finally:
            await lists.stop()
        return ""

    assert asyncio.run(judged()) == problem
