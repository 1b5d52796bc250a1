"""Who may use the gateway: judged at logon, again while he is in, and cut when it is over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.directory_world import (
    COMPUTER_FAULTS,
    CUT_COMPUTERS,
    CUT_USERS,
    USER_FAULTS,
    Fault,
    broken,
    directory_config,
    reachable_directory,
)
from tests.ipsec_world import (
    APPLICATION,
    CLIENT,
    ENDPOINTS,
    INFRASTRUCTURE_PREFIX,
    INTRANET_PREFIX,
    PASSWORDS,
    REALM,
    SERVER,
    SERVICE,
    Site,
    shared_domain,
    shared_world,
    until,
)
from tests.patience import PATIENCE
from throughway.control.lifecycle import end_task
from throughway.gateway import access as module
from throughway.gateway.access import AccessControl
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent
from throughway.model.config import (
    AccessRule,
    Computer,
    DirectoryConfig,
    GatewayConfig,
    IPHTTPSServerConfig,
    IPsecServerConfig,
    UsersConfig,
)
from throughway.model.errors import IPsecError, Stage, ThroughwayError, TransportError, TrustError
from throughway.model.findings import Component
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.access_wall import removal
from throughway.net.esp import ESPSupport
from throughway.net.kerberos import get_ticket, make_token_apart
from throughway.net.radius import Login
from throughway.proto.access import Account, Answer, Group, Withheld

CLIENT1 = Computer(account="CLIENT1$", identity="client1.corp.example.com", nt_hash=Path("x"))
CORP = "2001:db8:c0:2::/64"
RULES = (AccessRule(computers=("C",), users=("U",), prefixes=(CORP,)),)
ALICE = f"alice@{REALM}"


def account(name: str, group: str, **more: object) -> Account:
    control = 0x1000 if name.endswith("$") else 0x200
    values = {"control": control, "groups": frozenset((f"cn={group}".casefold(),))} | more
    return Account(name=name, **values)  # type: ignore[arg-type]


class FakeDirectory:
    """A directory that a test changes; ``None`` in the place of its accounts: out of reach."""

    def __init__(self) -> None:
        self.accounts: list[Account] | None = [account("CLIENT1$", "C"), account("alice", "U")]
        self.asked: list[set[str]] = []

    async def ask(
        self, accounts: Iterable[str], groups: Iterable[str], *, computers_of: Iterable[str] = ()
    ) -> Answer:
        self.asked.append(set(accounts))
        await asyncio.sleep(0)
        if self.accounts is None:
            raise TransportError(Stage.CONNECT, "no route", problem="directory-unreachable")
        wanted = {name.casefold() for name in self.asked[-1]}
        found = {
            a.name.casefold(): a
            for a in self.accounts
            if a.name.casefold() in wanted or (computers_of and a.computer)
        }
        there = tuple(Group(name=g, dn=f"CN={g}") for g in groups if g != "Missing")
        return Answer(accounts=found, groups=there, server="dc1")

    async def close(self) -> None:
        """Nothing is open."""


class FakeIPsec:
    """charon with the tunnels that a test says are up."""

    esp: ESPSupport | None = None

    def __init__(self) -> None:
        self.up: list[TunnelStatus] = []
        self.cuts: list[tuple[str, str]] = []
        self._loaded: tuple[Computer, ...] = ()

    def loaded(self) -> tuple[Computer, ...]:
        return self._loaded

    def tunnels(self) -> tuple[TunnelStatus, ...]:
        return tuple(self.up)

    def computer(self, tunnel: str, remote_identity: str) -> Computer | None:
        return CLIENT1 if "client1" in f"{tunnel}{remote_identity}" else None

    async def refresh(self) -> None:
        """What is up is up."""

    async def cut(self, name: str, account: str) -> None:
        self.cuts.append((name, account))
        self.up = [t for t in self.up if t.name != name]

    async def reload(
        self, computers: tuple[Computer, ...], *, config: IPsecServerConfig | None = None
    ) -> tuple[str, ...]:
        self._loaded = computers
        return ()


class Gate:
    """An AccessControl between a fake directory and a fake charon, looked at by hand."""

    def __init__(self, config: GatewayConfig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        self.directory, self.ipsec = FakeDirectory(), FakeIPsec()
        self.tracker = Tracker(lambda: self.now, (Component.AUTHORISER, Component.DOMAIN))
        self.told: list[tuple[str, str, str]] = []
        self.access = AccessControl(
            config,
            self.tracker,
            lambda *told: self.told.append(told),
            asker=self.directory,
            wall_clock=lambda: self.now,
        )
        self.walls: list[str] = []
        monkeypatch.setattr("throughway.net.firewall.apply", self.walls.append)
        monkeypatch.setattr("throughway.net.access_wall.standing", lambda: bool(self.walls))

    async def log_on(self, principal: str = ALICE, tunnel: str = "intranet") -> None:
        login = Login(
            principal=principal, connection=f"{tunnel}-client1", address=CLIENT, unique_id=1
        )
        await self.access.admit(login)
        self.ipsec.up.append(
            TunnelStatus(
                name=tunnel,
                state=TunnelState.UP,
                remote_address=CLIENT,
                remote_identity=CLIENT1.identity,
                account=principal,
                prefixes=(INTRANET_PREFIX,),
            )
        )

    async def look(self) -> None:
        await self.access._look()

    def problems(self) -> set[str]:
        return {condition.code for condition in self.tracker.current()}


def config_of(folder: Path, **directory: object) -> GatewayConfig:
    values: dict[str, object] = {
        "domain": REALM.lower(),
        "keytab": folder / "keytab",
        "principal": "EDGE1$",
        **directory,
    }
    return GatewayConfig(
        file=folder / "gateway.toml",
        iphttps=IPHTTPSServerConfig(
            url="https://da.example.com:443/IPHTTPS",
            listen=(),
            certificate=folder / "x",
            key=folder / "x",
            prefix="2001:db8:da:1000::/64",
        ),
        ipsec=IPsecServerConfig(
            identity="da.example.com",
            certificate=folder / "x",
            key=folder / "x",
            ca=folder / "x",
            infrastructure_endpoint=ENDPOINTS[0],
            intranet_endpoint=ENDPOINTS[1],
            infrastructure_prefixes=(INFRASTRUCTURE_PREFIX,),
            intranet_prefixes=(INTRANET_PREFIX,),
        ),
        computers=(CLIENT1,),
        directory=DirectoryConfig(**values),  # type: ignore[arg-type]
        access=RULES,
    )


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(config_of(tmp_path), monkeypatch)


@asynccontextmanager
async def started(gate: Gate) -> AsyncIterator[Gate]:
    """A gate after its first look, whose further ones the test makes itself."""
    gate.access._ipsec = gate.ipsec
    await gate.look()
    yield gate
    await gate.access.stop()


def test_before_the_directory_has_answered_nobody_may_come(gate: Gate) -> None:
    assert gate.access.computers == ()
    withheld = gate.access.withheld(CLIENT1.identity)
    assert withheld is not None
    assert withheld.problem == "directory-unreachable"


def test_a_computer_that_nothing_names_is_told_so(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            withheld = gate.access.withheld("client9.corp.example.com")
            assert withheld is not None
            assert withheld.problem == "access-computer-unknown"
            assert "client9.corp.example.com is neither" in withheld.reason
            assert gate.access.withheld("") is None

    asyncio.run(scenario())


@pytest.mark.parametrize("directory", [True, False])
def test_a_gateway_that_admits_nobody_says_so(
    directory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path)
    if not directory:
        config = replace(config, directory=None, access=())
    gate = Gate(replace(config, computers=()), monkeypatch)

    async def scenario() -> None:
        await gate.access.start(gate.ipsec)
        if directory:
            await gate.look()
        assert "access-nobody-admitted" in gate.problems()
        await gate.access.reload(config, gate.ipsec)
        assert gate.access.computers == (CLIENT1,)
        assert "access-nobody-admitted" not in gate.problems()
        stranger = gate.access.withheld("client9.corp.example.com")
        assert stranger is not None
        assert stranger.problem == "access-computer-unknown"
        assert gate.access.withheld("CLIENT1.corp.example.com") is None
        await gate.access.stop()

    asyncio.run(scenario())


def test_a_user_is_granted_what_his_rules_say(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            assert gate.ipsec.loaded() == (CLIENT1,)
            await gate.log_on()
            assert gate.access._grants.granted == {CLIENT: (CORP,)}
            [shown] = gate.access.shown(gate.ipsec.tunnels())
            assert shown.prefixes == (CORP,)
            await gate.look()
            assert gate.ipsec.cuts == []
            assert gate.problems() == set()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("principal", "problem"),
    [
        ("nobody@" + REALM, "access-account-unknown"),
        ("CLIENT1$@" + REALM, "access-account-unknown"),
        ("alice@OTHER.EXAMPLE.COM", "access-realm-unknown"),
        ("bob@" + REALM, "access-group-missing"),
    ],
)
def test_who_may_not_is_told_why_to_the_audit(gate: Gate, principal: str, problem: str) -> None:
    async def scenario() -> None:
        assert gate.directory.accounts is not None
        gate.directory.accounts.append(account("bob", "Other"))
        async with started(gate):
            with pytest.raises(TrustError) as caught:
                await gate.log_on(principal)
            assert caught.value.problem == problem
            assert gate.access._grants.granted == {}

    asyncio.run(scenario())


def test_the_infrastructure_tunnel_is_the_computer_s_alone(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            with pytest.raises(TrustError) as caught:
                await gate.log_on(ALICE, "infrastructure")
            assert caught.value.problem == "ipsec-account-certificate-mismatch"

    asyncio.run(scenario())


def test_a_wall_that_was_wiped_stands_again_before_the_next_look(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GUARD_INTERVAL", 0.01)

    async def scenario() -> None:
        async with started(gate):
            await gate.log_on()
            watching = asyncio.create_task(gate.access._pause(PATIENCE))
            gate.walls.clear()
            await until(lambda: bool(gate.walls))
            assert CORP in gate.walls[0], "with all that is granted"
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(scenario())


def test_a_user_who_loses_his_group_is_cut_and_told_of(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            await gate.log_on()
            gate.directory.accounts = [account("CLIENT1$", "C"), account("alice", "Other")]
            await gate.look()
            assert gate.ipsec.cuts == [("intranet", "CLIENT1$")]
            [(reason, problem, peer)] = gate.told
            assert problem == "access-group-missing"
            assert "intranet tunnel was ended: alice is in no group" in reason
            assert peer == f"{CLIENT1.identity} ({CLIENT})"
            assert gate.problems() == {"access-group-missing"}
            gate.now += module.GRANT_WAIT
            await gate.look()
            assert gate.access._grants.granted == {}

    asyncio.run(scenario())


def test_a_computer_that_is_disabled_loses_everything(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            await gate.log_on("CLIENT1$@" + REALM, "infrastructure")
            gate.directory.accounts = [account("CLIENT1$", "C", control=0x1002)]
            await gate.look()
            assert gate.ipsec.loaded() == ()
            assert gate.told[0][1] == "access-account-disabled"
            assert gate.problems() == {"access-account-disabled", "access-nobody-admitted"}
            withheld = gate.access.withheld("CLIENT1.corp.example.com")
            assert withheld is not None
            assert withheld.reason == "CLIENT1$ is disabled in the directory"
            # And back.
            gate.directory.accounts = [account("CLIENT1$", "C")]
            await gate.look()
            assert gate.ipsec.loaded() == (CLIENT1,)
            assert gate.problems() == set()

    asyncio.run(scenario())


def test_a_user_who_was_cut_and_comes_in_again_is_told_of_no_more(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            await gate.log_on()
            good = gate.directory.accounts or []
            name = ALICE.partition("@")[0]
            gate.directory.accounts = [
                replace(one, control=one.control | 2) if one.name == name else one for one in good
            ]
            await gate.look()
            assert gate.problems() == {"access-account-disabled"}
            gate.directory.accounts = good
            await gate.log_on(ALICE.upper())
            assert gate.problems() == set()

    asyncio.run(scenario())


def test_prefixes_follow_the_rules_without_a_cut(gate: Gate, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(gate):
            await gate.log_on()
            wider = replace(config_of(tmp_path), access=(AccessRule(),))
            await gate.access.reload(wider, gate.ipsec)
            await gate.look()
            assert gate.access._grants.granted == {CLIENT: (INTRANET_PREFIX,)}
            assert gate.ipsec.cuts == []

    asyncio.run(scenario())


def test_the_last_answer_holds_for_a_while_and_then_nobody_is_in(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            await gate.log_on()
            gate.directory.accounts = None
            gate.now += 3000
            await gate.look()
            assert gate.problems() == {"directory-unreachable"}
            await gate.log_on()
            with pytest.raises(TrustError) as caught:
                await gate.log_on("bob@" + REALM)
            assert caught.value.problem == "directory-unreachable"
            gate.now += 1000
            await gate.look()
            assert gate.problems() == {"directory-answers-stale"}
            assert gate.ipsec.loaded() == ()
            assert ("intranet", "CLIENT1$") in gate.ipsec.cuts
            gate.directory.accounts = [account("CLIENT1$", "C"), account("alice", "U")]
            await gate.look()
            assert gate.problems() == set()
            assert gate.ipsec.loaded() == (CLIENT1,)

    asyncio.run(scenario())


def test_many_who_log_on_at_once_are_few_questions(gate: Gate) -> None:
    async def scenario() -> None:
        gate.directory.accounts = [account("CLIENT1$", "C")]
        gate.directory.accounts += [account(f"u{i}", "U") for i in range(200)]
        async with started(gate):
            await asyncio.gather(*(gate.log_on(f"u{i}@{REALM}") for i in range(200)))
        assert len(gate.directory.asked) <= 4

    asyncio.run(scenario())


def test_who_comes_in_while_a_question_is_under_way_is_not_cut(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(gate):
            look = asyncio.create_task(gate.look())
            await gate.log_on()
            await look
            assert gate.ipsec.cuts == []
            assert gate.access._grants.granted == {CLIENT: (CORP,)}

    asyncio.run(scenario())


def test_computers_of_the_groups_may_come_without_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config_of(tmp_path, enrol=True), computers=())
    gate = Gate(config, monkeypatch)

    async def scenario() -> None:
        gate.directory.accounts = [
            account("CLIENT1$", "C", host_name="Client1.corp.example.com"),
            account("CLIENT2$", "C"),
            account("CLIENT3$", "Other"),
            account("BAD NAME$", "C"),
            # Who takes another's name gets nothing by it.
            account("THIEF$", "C", host_name="client1.corp.example.com"),
        ]
        async with started(gate):
            assert {(c.account, c.identity) for c in gate.ipsec.loaded()} == {
                ("CLIENT1$", "client1.corp.example.com"),
                ("CLIENT2$", "client2.corp.example.com"),
            }
            gate.directory.accounts = [account("CLIENT2$", "C")]
            await gate.look()
            assert [c.account for c in gate.ipsec.loaded()] == ["CLIENT2$"]
            withheld = gate.access.withheld("client1.corp.example.com")
            assert withheld is not None
            assert withheld.problem == "access-account-unknown"

    asyncio.run(scenario())


def test_a_group_that_is_not_there_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (*RULES, AccessRule(users=("Missing",)))
    gate = Gate(replace(config_of(tmp_path), access=rules), monkeypatch)

    async def scenario() -> None:
        async with started(gate):
            assert gate.problems() == {"access-group-unknown"}

    asyncio.run(scenario())


def test_a_radius_server_that_is_away_is_a_problem_until_it_answers(gate: Gate) -> None:
    error = TransportError(Stage.CONNECT, "no answer", problem="radius-server-unreachable")
    gate.access.relayed(error)
    assert gate.problems() == {"radius-server-unreachable"}
    gate.access.relayed(None)
    assert gate.problems() == set()


def test_without_a_directory_who_is_configured_may_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(replace(config_of(tmp_path), directory=None, access=()), monkeypatch)

    async def scenario() -> None:
        await gate.access.start(gate.ipsec)
        assert gate.access.computers == (CLIENT1,)
        await gate.log_on("anybody@ANYWHERE")
        assert gate.directory.asked == []
        await gate.access.stop()
        assert gate.walls == []

    asyncio.run(scenario())


def test_what_a_killed_daemon_has_left_does_not_stay_without_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(replace(config_of(tmp_path), directory=None, access=()), monkeypatch)
    gate.walls.append("left")
    asyncio.run(gate.access.start(gate.ipsec))
    assert gate.walls[1:] == [removal()]


# With charon on both ends, and a real directory


class DirectorySite(Site):
    """A gateway that asks the shared directory."""

    def __init__(self, folder: Path, rules: tuple[AccessRule, ...]) -> None:
        self.access: AccessControl | None = None
        users = UsersConfig(realm=REALM, keytab=shared_domain().keytab, service=SERVICE)
        super().__init__(folder, users, gate=self)
        self.tracker = Tracker(lambda: 0.0, (Component.AUTHORISER, Component.DOMAIN))
        config = replace(
            config_of(folder),
            computers=self.deployment.computers(1, 2),
            directory=directory_config(),
            access=rules,
            ipsec=self.deployment.server(),
        )
        self.access = AccessControl(config, self.tracker, self.cut)
        self.world.gateway.run(self.access.start(self.gateway))
        self.wait(lambda: len(self.control._loaded) == 2)

    def cut(self, reason: str, problem: str, peer: str) -> None:
        self.audit.cut(reason, problem, peer)
        self.failures.append((reason, problem, peer))

    async def admit(self, login: Login) -> None:
        await self.control.admit(login)

    def withheld(self, identity: str) -> Withheld | None:
        return self.control.withheld(identity)

    def relayed(self, error: ThroughwayError | None) -> None:
        self.control.relayed(error)

    @property
    def control(self) -> AccessControl:
        assert self.access is not None
        return self.access

    def wait(self, condition: Callable[[], bool]) -> None:
        self.world.gateway.run(until(condition))

    def log_on(self, user: str, ccache: Path) -> None:
        """Log a user on whose ticket is there already; who is refused does not try again."""

        async def token() -> bytes:
            return await make_token_apart(ccache, SERVICE)

        self.try_user(f"{user}@{REALM}", token)

    def close(self) -> None:
        self.stop_client()
        self.world.gateway.run(self.control.stop())
        super().close()


def tickets(folder: Path, *users: str) -> dict[str, Path]:
    """Get tickets, while the accounts are good."""
    for user in users:
        shared_world().corp.call(get_ticket, f"{user}@{REALM}", PASSWORDS[user], folder / user)
    return {user: folder / user for user in users}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DirectorySite]:
    reachable_directory(monkeypatch, tmp_path)
    rules = (
        AccessRule(computers=("DA Computers",), users=("DA Users",), prefixes=(CORP,)),
        AccessRule(computers=("DA Laptops",)),
    )
    (tmp_path / "site").mkdir()
    site = DirectorySite(tmp_path / "site", rules)
    yield site
    site.close()


@pytest.mark.lab
def test_a_user_reaches_his_prefixes_and_no_others(site: DirectorySite, tmp_path: Path) -> None:
    world = site.world
    ccaches = tickets(tmp_path, "alice")
    site.start_client()
    site.up()
    assert world.reach(SERVER) == CLIENT
    site.log_on("alice", ccaches["alice"])
    assert world.reach(APPLICATION) == CLIENT
    outside = "2001:db8:c0:3::80"
    for host, command in ((world.corp, "add"), (world.gateway, "add")):
        what = f"{outside}/128 dev gw0" if host is world.corp else ""
        if what:
            host.ip(f"address {command} {what} nodad")
    world.gateway.ip(f"route add {outside}/128 via {SERVER}")
    try:
        # charon's selectors would lead there; the wall does not.
        assert world.reach(outside, 1.0) == ""
        # What the rules do not say would go again with the next look.
        world.gateway.run(end_task(site.control._loop))
        site.world.gateway.run(site.control._grants.grant(CLIENT, (INTRANET_PREFIX,)))
        assert world.reach(outside) == CLIENT
    finally:
        world.gateway.ip(f"route del {outside}/128")
        world.corp.ip(f"address del {outside}/128 dev gw0")


@pytest.mark.lab
@pytest.mark.parametrize("fault", CUT_USERS, ids=str)
def test_a_user_who_loses_his_right_is_cut(
    site: DirectorySite, tmp_path: Path, fault: Fault
) -> None:
    ccaches = tickets(tmp_path, "carol")
    site.start_client()
    site.up()
    site.log_on("carol", ccaches["carol"])
    with broken("carol", fault):
        site.wait(lambda: bool(site.failures))
        reason, problem, _peer = site.failures[0]
        assert problem == fault.problem
        assert reason.startswith("the intranet tunnel was ended: ")
        ended = site.recorded(AuditEvent.MAIN_MODE_ENDED)
        assert (ended.tunnel, ended.problem) == ("intranet", fault.problem)
        # She tries again at once, with a ticket that is still good, and is refused.
        site.wait(lambda: "carol@CORP" in site.failures[-1][0])
        assert site.failures[-1][1] == fault.problem
        site.wait(lambda: any(p == "ipsec-user-refused" for *_, p in site.client_failures))
        assert site.world.reach(APPLICATION, 0.3) == ""
        assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
@pytest.mark.parametrize("fault", CUT_COMPUTERS, ids=str)
def test_a_computer_that_loses_its_right_is_cut(site: DirectorySite, fault: Fault) -> None:
    site.start_client()
    site.up()
    with broken("CLIENT1$", fault):
        site.wait(lambda: bool(site.failures))
        assert site.failures[0][1] == fault.problem
        assert site.recorded(AuditEvent.MAIN_MODE_ENDED).problem == fault.problem
        site.wait(lambda: len(site.failures) > 1)
        assert site.failures[-1][1] == fault.problem, "and why it does not come in again"
        unspecified = "ipsec-auth-failure-unspecified"
        site.wait(lambda: any(p == unspecified for *_, p in site.client_failures))
        assert site.world.reach(SERVER, 0.3) == ""
    site.wait_client("infrastructure", TunnelState.UP)
    assert site.world.reach(SERVER) == CLIENT


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectorySite]:
    """One gateway and one client for all faults."""
    folder = tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as patched:
        reachable_directory(patched, folder)
        (folder / "site").mkdir()
        rules = (AccessRule(computers=("DA Computers",), users=("DA Users", "DA Sales")),)
        site = DirectorySite(folder / "site", rules)
        yield site
        site.close()


@pytest.mark.lab
def test_users_who_may_and_who_may_not(guarded: DirectorySite, tmp_path: Path) -> None:
    site = guarded
    ccaches = tickets(tmp_path, "carol")
    site.start_client()
    site.up()
    assert site.client is not None
    for fault in (None, *sorted(USER_FAULTS, key=lambda fault: fault.deleted)):
        site.forget_told()
        if fault is None:
            site.log_on("carol", ccaches["carol"])
            assert site.recorded(AuditEvent.USER_LOGON).user == f"carol@{REALM}"
        else:
            with broken("carol", fault), pytest.raises(IPsecError) as caught:
                site.log_on("carol", ccaches["carol"])
            assert caught.value.problem == "ipsec-user-refused"
            site.wait(lambda: bool(site.failures))
            assert site.failures[0][1] == fault.problem
            assert site.refused_as() == (AuditEvent.EXTENDED_MODE_FAILED, fault.problem)
        site.world.client.run(site.client.down("intranet"))
    site.stop_client()


@pytest.mark.lab
@pytest.mark.parametrize("fault", COMPUTER_FAULTS, ids=str)
def test_a_computer_that_may_not_is_refused(guarded: DirectorySite, fault: Fault) -> None:
    site = guarded
    site.forget_told()
    with broken("CLIENT1$", fault):
        site.wait(lambda: len(site.control._loaded) == 1)
        assert site.refusal() == (fault.problem, "ipsec-auth-failure-unspecified")
        assert site.refused_as() == (AuditEvent.MAIN_MODE_FAILED, fault.problem)
    site.wait(lambda: len(site.control._loaded) == 2)
