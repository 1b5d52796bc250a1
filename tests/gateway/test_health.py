"""The health registration authority: who is believed, for how long, and who comes in."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.gateway.test_ipsec import User
from tests.health_faults import ADMITTED, FAULTS, POLICY, REFUSED_AT_CLIENT, statement
from tests.ipsec_world import REALM, SERVER, SERVICE, Site, shared_domain, until
from throughway.gateway import health
from throughway.gateway.gate import OpenGate
from throughway.gateway.health import FAILED, MISSING, HealthAuthority
from throughway.gateway.health_certificates import REVOKED
from throughway.model.audit import AuditEvent
from throughway.model.config import Computer, GatewayConfig, HealthConfig, UsersConfig
from throughway.model.errors import IPsecError, TrustError
from throughway.model.statement import HealthMode, HealthPolicy
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.kerberos import make_token
from throughway.net.radius import Login
from throughway.pki.authority import Profile, create_root, issue

CLIENT1 = Computer(account="CLIENT1$", identity="client1.corp.example.com")
NAMES = (CLIENT1.identity,)
LOGIN = Login(principal="alice@X", connection="intranet-client1", address="::1", unique_id=1)
BAD = statement(FAULTS["firewall off"].result)
HOUR = 3600.0


def config(policy: HealthPolicy) -> GatewayConfig:
    fake: Any = None
    return GatewayConfig(
        file=Path("gateway.toml"), iphttps=fake, ipsec=fake, health=HealthConfig(policy=policy)
    )


class World:
    """An authority, its clock, and whose tunnels it cut."""

    def __init__(self, policy: HealthPolicy = POLICY) -> None:
        self.now = 1_800_000_000.0
        self.cuts: list[tuple[str, str]] = []
        self.told: list[tuple[str, str, str]] = []
        self.open: tuple[TunnelStatus, ...] = ()
        self.revoked = False
        self.authority = HealthAuthority(
            config(policy), lambda *words: self.told.append(words), wall_clock=lambda: self.now
        )
        self.authority.bind(self, self.spawn)

    def computer(self, tunnel: str, remote_identity: str) -> Computer | None:
        mine = tunnel.endswith("-client1") or remote_identity == CLIENT1.identity
        return CLIENT1 if mine else None

    async def cut(self, name: str, account: str) -> None:
        self.cuts.append((name, account))

    def tunnels(self) -> tuple[TunnelStatus, ...]:
        return self.open

    async def check_computer_certificate(self, certificate: x509.Certificate) -> None:
        if self.revoked:
            raise TrustError("it was revoked", problem=REVOKED)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run(work)

    def why_not(self, login: Login = LOGIN) -> str:
        async def admit() -> None:
            await self.authority.guarding(OpenGate()).admit(login)

        try:
            asyncio.run(admit())
        except TrustError as error:
            return f"{error.problem}: {error}"
        return ""


CASES = [(mode, case) for mode, cases in ADMITTED.items() for case in cases]


@pytest.mark.parametrize(("mode", "case"), CASES)
def test_who_comes_in(mode: HealthMode, case: str) -> None:
    world = World(replace(POLICY, mode=mode, deferred_until="2100-01-01"))
    if case != "nothing":
        world.authority.register(NAMES, BAD if case == "bad" else statement())
    if case == "expired":
        world.now += POLICY.hours * HOUR
    assert world.why_not().partition(":")[0] == ("" if ADMITTED[mode][case] else MISSING)
    infrastructure = replace(LOGIN, connection="infrastructure-client1")
    assert world.why_not(infrastructure) == ""


def test_what_was_deferred_is_full_from_the_date_on() -> None:
    world = World(replace(POLICY, mode=HealthMode.DEFERRED, deferred_until="2027-01-20"))
    assert world.why_not() == ""
    world.now = datetime(2027, 1, 20, tzinfo=UTC).timestamp()
    assert "has not stated its health" in world.why_not()


def test_health_that_is_lost_ends_the_tunnel_and_is_told_once() -> None:
    world = World()
    assert world.authority.register(NAMES, statement()).until == world.now + 4 * HOUR
    assert world.cuts == []
    judged = world.authority.register(NAMES, BAD)
    assert (judged.healthy, judged.enforced, judged.until) == (False, True, 0.0)
    world.authority.register(NAMES, BAD)
    assert world.cuts[0] == ("intranet", "CLIENT1$")
    assert [(problem, peer) for _, problem, peer in world.told] == [(FAILED, CLIENT1.identity)]
    why = world.why_not()
    assert why.startswith(MISSING)
    assert "firewall" in why
    assert "ufw enable" in why
    world.authority.register(NAMES, statement())
    assert world.why_not() == ""
    (shown,) = world.authority.status()
    assert shown.healthy


def test_without_enforcement_nobody_is_cut() -> None:
    world = World(replace(POLICY, mode=HealthMode.REPORT))
    world.authority.register(NAMES, BAD)
    assert world.cuts == []
    assert not world.authority.status()[0].healthy


def test_a_stranger_is_not_judged() -> None:
    world = World()
    judged = world.authority.register(("other.example.com",), statement())
    assert "other.example.com" in judged.refused
    assert world.authority.status() == ()
    assert "no computer's" in world.why_not(replace(LOGIN, connection="intranet-other"))


def test_another_policy_makes_everybody_state_it_anew() -> None:
    world = World()
    world.authority.register(NAMES, statement())
    world.authority.reload(config(POLICY))
    assert world.why_not() == ""
    world.authority.reload(config(replace(POLICY, update_days=1)))
    assert world.why_not() != ""


def test_a_certificate_must_be_in_force() -> None:
    world = World()
    root = create_root("Root", datetime.now(UTC) - timedelta(days=100))
    for age, refused in ((0, False), (60, True)):
        now = datetime.now(UTC) - timedelta(days=age)
        world.now = datetime.now(UTC).timestamp()
        made = issue(root, Profile.COMPUTER, list(NAMES), now=now, days=30).certificate
        judged = world.authority.state(made.public_bytes(Encoding.DER), statement())
        assert bool(judged.refused) is refused
    assert world.authority.state(b"x", statement()).refused


@pytest.mark.parametrize("profile", [Profile.USER, Profile.SERVER, Profile.REGISTRAR])
def test_nobody_else_states_a_computers_health(profile: Profile) -> None:
    """TLS lets users come, too: their certificates are for clients as well."""
    world = World()
    world.now = datetime.now(UTC).timestamp()
    root = create_root("Root", datetime.now(UTC) - timedelta(days=1))
    made = issue(root, profile, list(NAMES), now=datetime.now(UTC)).certificate
    judged = world.authority.state(made.public_bytes(Encoding.DER), statement())
    assert judged.refused.startswith("the certificate of client1.corp.example.com is")
    assert world.authority.status() == ()


INTRANET = TunnelStatus(
    name="intranet",
    state=TunnelState.UP,
    remote_address="2001:db8:f1::2",
    remote_identity=CLIENT1.identity,
)


def test_who_states_its_health_no_more_loses_the_tunnel_in_time() -> None:
    world = World()
    world.authority.register(NAMES, statement())
    world.open = (INTRANET, replace(INTRANET, name="infrastructure"))
    world.now += POLICY.hours * HOUR - 1
    world.authority.look()
    assert world.cuts == []
    world.now += 1
    world.authority.look()
    assert world.cuts == [("intranet", "CLIENT1$")]
    reason, problem, peer = world.told[-1]
    assert "has not stated its health for 4 hours" in reason
    assert (problem, peer) == (MISSING, f"{CLIENT1.identity} ({INTRANET.remote_address})")


def test_another_policy_cuts_nobody_before_the_old_one_would_have() -> None:
    world = World()
    world.authority.register(NAMES, statement())
    world.open = (INTRANET,)
    world.authority.reload(config(replace(POLICY, update_days=1)))
    world.authority.look()
    assert world.cuts == []
    world.now += POLICY.hours * HOUR
    world.authority.look()
    assert world.cuts != []


def test_the_day_of_deferred_health_reloads_and_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "INTERVAL", 0.0)
    world = World(replace(POLICY, mode=HealthMode.DEFERRED, deferred_until="2027-01-20"))
    world.authority.register(NAMES, BAD)
    world.open = (INTRANET,)
    cuts: list[str] = []

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        cuts.append("cut")
        work.close()

    world.authority.bind(world, spawn)
    reloads: list[float] = []

    async def reload() -> None:
        reloads.append(world.now)

    async def scenario() -> None:
        watch = asyncio.create_task(world.authority.watch(reload))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (reloads, cuts) == ([], [])
        world.now = datetime(2027, 1, 20, tzinfo=UTC).timestamp()
        await until(lambda: bool(cuts))
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    asyncio.run(scenario())
    assert reloads == [world.now]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, HealthAuthority]]:
    domain = shared_domain()
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    authority = HealthAuthority(config(POLICY))
    users = UsersConfig(realm=REALM, keytab=domain.keytab, service=SERVICE)
    made = Site(tmp_path, users, gate=authority.guarding(OpenGate()))
    authority.bind(made.gateway, lambda work: _spawn(made, work))
    made.start_client()
    made.up()
    yield made, authority
    made.close()


def _spawn(site: Site, work: Coroutine[Any, Any, None]) -> None:
    site.world.gateway.run(work)


@pytest.mark.lab
def test_with_charon_only_the_healthy_have_the_intranet(
    site: tuple[Site, HealthAuthority], tmp_path: Path
) -> None:
    world, authority = site
    alice = User(world, "alice", tmp_path / "alice")
    with pytest.raises(IPsecError) as caught:
        alice.try_up()
    assert caught.value.problem == REFUSED_AT_CLIENT
    assert world.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, MISSING)
    world.world.gateway.run(until(lambda: bool(world.failures)))
    reason, problem, _ = world.failures[0]
    assert problem == MISSING
    assert "has not stated its health" in reason
    assert world.world.reach(SERVER)  # what mends a computer stays within reach
    authority.register(NAMES, statement())
    alice.up()
    assert len(world.at_gateway("intranet")) == 1
    world.forget_told()
    authority.register(NAMES, BAD)  # which cuts; the client tries again, and is told why
    world.world.gateway.run(until(lambda: bool(world.failures)))
    assert "firewall" in world.failures[0][0]
    assert world.at_gateway("intranet") == []
    assert len(world.at_gateway("infrastructure")) == 1


@pytest.mark.lab
def test_who_comes_in_by_charon(site: tuple[Site, HealthAuthority], tmp_path: Path) -> None:
    world, authority = site
    alice = User(world, "alice", tmp_path / "alice")
    client = world.client
    assert client is not None

    async def token() -> bytes:
        return await asyncio.to_thread(make_token, alice.ccache, SERVICE, realm=REALM)

    for mode, case in CASES:
        authority._policy = replace(POLICY, mode=mode, deferred_until="2100-01-01")
        authority._computers.clear()
        authority._clock = time.time
        if case != "nothing":
            authority.register(NAMES, BAD if case == "bad" else statement())
        if case == "expired":
            authority._clock = lambda: time.time() + POLICY.hours * HOUR
        world.forget_told()
        if ADMITTED[mode][case]:
            alice.up(token)
            assert world.recorded(AuditEvent.USER_LOGON)
        else:
            with pytest.raises(IPsecError) as caught:
                alice.try_up(token)
            assert caught.value.problem == REFUSED_AT_CLIENT
            assert world.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, MISSING)
        world.world.client.run(client.down("intranet"))
