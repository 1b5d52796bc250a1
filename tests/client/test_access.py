"""What the client makes of what its parts tell; the parts themselves run in the scenarios."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_uplink import config
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.client import access as module
from throughway.client.access import Access
from throughway.client.audit import ClientAudit
from throughway.client.certificates import CertificateKeeper
from throughway.client.operations import Operations
from throughway.client.plan import Observed, Wanted, wanted
from throughway.client.transports import Transports
from throughway.control import memory
from throughway.health.tracker import Tracker
from throughway.model.errors import (
    ConfigError,
    IPsecError,
    NetworkLeftError,
    Stage,
    TransportError,
)
from throughway.model.findings import Component, Severity
from throughway.model.status import (
    ClientSnapshot,
    ComponentState,
    Connection,
    Location,
    TransportKind,
    TunnelState,
)
from throughway.net import firewall
from throughway.net.audit import AuditLog
from throughway.net.netlink import NetworkState
from throughway.net.registration import Registration
from throughway.proto.iphttps.client import State

NLS = POLICY.nls_urls[0]


def silent() -> ClientAudit:
    """Return an audit that writes nowhere."""
    return ClientAudit(config(Path("/nowhere")), AuditLog(None, None, side="client"))


def keeper(folder: Path) -> CertificateKeeper:
    async def nothing() -> None:
        pass

    return CertificateKeeper(config(folder), Tracker(time.time), nothing)


def after(folder: Path, happened: Callable[[Access], None]) -> ClientSnapshot:
    """Return the snapshot of an access that was not started, after something happened."""

    async def scenario() -> ClientSnapshot:
        bugs: list[str] = []
        access = Access(
            config(folder),
            POLICY,
            # A minute between two looks: what must last before it is shown has lasted.
            Tracker(itertools.count(1_800_000_000.0, 60.0).__next__),
            ccache=folder / "user.ccache",
            audit=silent(),
            certificates=keeper(folder),
            on_bug=lambda what, error: bugs.append(f"{what}: {error!r}"),
        )
        happened(access)
        snapshot = await access.snapshot()
        assert bugs == []
        return snapshot

    return asyncio.run(scenario())


def codes(snapshot: ClientSnapshot) -> set[str]:
    return {problem.code for problem in snapshot.problems}


def test_before_anything_is_known_it_is_not_connected(tmp_path: Path) -> None:
    snapshot = after(tmp_path, lambda access: None)
    assert snapshot.connection is Connection.CONNECTING
    assert snapshot.location is Location.UNKNOWN
    assert {tunnel.state for tunnel in snapshot.tunnels} == {TunnelState.DOWN}
    assert snapshot.policy_version == POLICY.version


def test_why_the_link_is_down_is_a_problem_until_it_is_up(tmp_path: Path) -> None:
    error = TransportError(
        Stage.TLS, "other root", windows_code=0x800B0109, problem="iphttps-cert-untrusted-root"
    )

    def failed(access: Access) -> None:
        access._link_changed(State.LINK_DOWN, error)

    def mended(access: Access) -> None:
        failed(access)
        access._link_changed(State.LINK_UP, None)

    assert codes(after(tmp_path, failed)) == {"iphttps-cert-untrusted-root"}
    assert codes(after(tmp_path, mended)) == set()


def test_without_a_network_nobody_else_is_blamed(tmp_path: Path) -> None:
    """A name that cannot be resolved when the cable is out is no fault of the public DNS."""
    error = TransportError(Stage.RESOLVE, "no server", problem="iphttps-name-unresolvable")

    def unplugged(access: Access) -> None:
        access._located = True
        access._link_changed(State.LINK_DOWN, error)

    def plugged(access: Access) -> None:
        access._located = True
        access._monitor.state = NetworkState(frozenset({("eth0", "192.0.2.1")}), frozenset())
        access._link_changed(State.LINK_DOWN, error)

    assert codes(after(tmp_path, unplugged)) == {"internet-down"}
    assert codes(after(tmp_path, plugged)) == {"iphttps-name-unresolvable"}


def row(snapshot: ClientSnapshot, component: Component) -> ComponentState:
    return next(row.state for row in snapshot.components if row.component is component)


def test_a_link_that_went_with_its_network_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does what IP-HTTPS was stand; where it is not needed nobody hears of it."""
    chosen: list[TransportKind | None] = [None]
    monkeypatch.setattr(Transports, "chosen", property(lambda _transports: chosen[-1]))
    left = NetworkLeftError(Stage.LINK, "the address is gone")

    def carried_away(access: Access) -> None:
        access._located = True
        access._monitor.state = NetworkState(frozenset({("eth0", "192.0.2.1")}), frozenset())
        access._link_changed(State.LINK_UP, None)
        access._link_changed(State.LINK_DOWN, left)

    def unplugged(access: Access) -> None:
        carried_away(access)
        access._monitor.state = NetworkState(frozenset(), frozenset())
        access._link_changed(State.LINK_DOWN, left)

    def not_needed(access: Access) -> None:
        chosen.append(TransportKind.NATIVE)
        access._way_changed()
        carried_away(access)
        reset = TransportError(Stage.LINK, "reset", problem="iphttps-connection-reset")
        access._link_changed(State.LINK_DOWN, reset)

    moved = after(tmp_path, carried_away)
    assert codes(moved) == set()
    assert row(moved, Component.IPHTTPS) is ComponentState.UNKNOWN
    assert codes(after(tmp_path, unplugged)) == {"internet-down"}
    elsewhere = after(tmp_path, not_needed)
    assert codes(elsewhere) == set()
    assert row(elsewhere, Component.IPHTTPS) is ComponentState.DISABLED


def test_after_a_change_of_the_way_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 0.0)
    monkeypatch.setattr(Transports, "chosen", property(lambda _transports: TransportKind.NATIVE))

    async def scenario(access: Access) -> None:
        given = asyncio.Event()
        monkeypatch.setattr(memory, "give_back", given.set)
        access._way_changed()
        async with asyncio.timeout(PATIENCE):
            await given.wait()

    live(tmp_path, scenario)


def test_a_certificate_that_is_none_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise ConfigError("", "key", "computer.crt and computer.key are no certificate")

    async def scenario() -> ClientSnapshot:
        tracker, told = Tracker(time.time), asyncio.Event()
        tracker.subscribe(lambda _: told.set())
        access = Access(
            config(tmp_path),
            POLICY,
            tracker,
            ccache=tmp_path / "user.ccache",
            audit=silent(),
            certificates=keeper(tmp_path),
            on_bug=lambda what, error: None,
        )
        reconciling = asyncio.ensure_future(access._reconcile_forever())
        await told.wait()
        reconciling.cancel()
        return await access.snapshot()

    monkeypatch.setattr(Access, "_reconcile", refuse)
    snapshot = asyncio.run(asyncio.wait_for(scenario(), PATIENCE))
    assert codes(snapshot) == {"iphttps-no-usable-cert"}
    assert snapshot.problems[0].detail.startswith("key: computer.crt")


def test_a_location_server_with_a_bad_certificate_is_a_problem(tmp_path: Path) -> None:
    bad = TransportError(Stage.TLS, "expired", problem="iphttps-cert-expired")
    absent = TransportError(Stage.RESOLVE, "no such name", problem="iphttps-name-unresolvable")
    assert "nls-certificate-invalid" in codes(after(tmp_path, lambda a: a._probed(NLS, bad)))
    assert codes(after(tmp_path, lambda a: a._probed(NLS, absent))) == set()


def test_a_tunnel_that_fails_says_why(tmp_path: Path) -> None:
    def refused(access: Access) -> None:
        access._tunnels.failed("infrastructure", "refused", "ipsec-computer-account-refused")

    def unexplained(access: Access) -> None:
        access._tunnels.failed("infrastructure", "no answer", "")

    def told(access: Access) -> None:
        words = IPsecError("the gateway says: in no group", problem="access-group-missing")
        access._tunnels._explained("infrastructure", words)

    (condition,) = after(tmp_path, told).problems
    assert (condition.code, condition.severity) == ("access-group-missing", Severity.CRITICAL)
    assert codes(after(tmp_path, refused)) == {"ipsec-computer-account-refused"}
    assert codes(after(tmp_path, unexplained)) == {"ipsec-infrastructure-tunnel-down"}


def test_that_a_name_could_not_be_registered_is_old_without_a_tunnel(tmp_path: Path) -> None:
    name = Registration(
        name="client1.example.com",
        addresses=("2001:db8::7",),
        servers=("2001:db8::53",),
        principal="CLIENT1$@EXAMPLE.COM",
        password_file="",
    )
    code = "client-name-not-registered"

    def once(access: Access) -> None:
        access._registrar.failures += 1
        access._registered(name, TransportError(Stage.CONNECT, "no answer", problem=code))

    def failed(access: Access) -> None:
        once(access)
        once(access)

    def down(access: Access) -> None:
        failed(access)
        access._register_name()

    assert codes(after(tmp_path, once)) == set()
    assert codes(after(tmp_path, failed)) == {code}
    assert codes(after(tmp_path, down)) == set()


def test_silent_dns_servers_are_looked_at_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(Operations, "names_changed", lambda _: looked.append("dns"))
    servers = ("2001:db8:c0:1::10",)
    assert codes(after(tmp_path, lambda access: access._dns_changed(False, servers))) == set()
    assert codes(after(tmp_path, lambda access: access._dns_changed(True, servers))) == set()
    assert looked == ["dns", "dns"]


def test_names_are_held_while_the_way_is_coming(tmp_path: Path) -> None:
    async def scenario() -> TunnelState:
        access = Access(
            config(tmp_path),
            POLICY,
            Tracker(time.time),
            ccache=tmp_path / "user.ccache",
            audit=silent(),
            certificates=keeper(tmp_path),
            on_bug=lambda what, error: None,
        )
        return access._way_to_names()

    assert asyncio.run(scenario()) is TunnelState.CONNECTING


def test_a_transport_that_fails_is_no_problem_while_another_one_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = TransportError(Stage.LINK, "taken", problem="teredo-adapter-missing")

    def alone(access: Access) -> None:
        access._transport_failed(TransportKind.TEREDO, missing)

    def beside(access: Access) -> None:
        monkeypatch.setattr(Transports, "chosen", TransportKind.IPHTTPS)
        alone(access)

    assert codes(after(tmp_path, alone)) == {"teredo-adapter-missing"}
    assert codes(after(tmp_path, beside)) == set()


def test_waking_up_is_a_change_of_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[NetworkState] = []

    def woke(access: Access) -> None:
        monkeypatch.setattr(access, "_network_changed", changes.append)
        access._woke_up(3600.0)
        assert changes == [], "before the network was seen there is nothing to see anew"
        access._located = True
        access._woke_up(3600.0)

    after(tmp_path, woke)
    assert changes == [NetworkState(frozenset(), frozenset())]


OUTSIDE = wanted(Observed(location=Location.OUTSIDE))


class Walls:
    """Stands for the kernel: remembers in which order what was closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.closed: list[tuple[str, ...]] = []
        monkeypatch.setattr(
            firewall, "close_client", lambda wall: self.closed.append(wall.prefixes)
        )


@pytest.fixture
def walls(monkeypatch: pytest.MonkeyPatch) -> Walls:
    return Walls(monkeypatch)


def live(
    folder: Path, scenario: Callable[[Access], Awaitable[None]], bugs: list[str] | None = None
) -> None:
    async def whole() -> None:
        access = Access(
            config(folder),
            POLICY,
            Tracker(time.time),
            ccache=folder / "user.ccache",
            audit=silent(),
            certificates=keeper(folder),
            on_bug=lambda what, error: (bugs if bugs is not None else []).append(what),
        )
        await scenario(access)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE))


def test_names_stay_in_when_the_transports_cannot_be_mended(
    tmp_path: Path, walls: Walls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_device() -> None:
        raise TransportError(Stage.LINK, "no device")

    async def scenario(access: Access) -> None:
        access._names.set_situation(effective=False, intranet=TunnelState.DOWN)  # inside, so far
        monkeypatch.setattr(access._transports, "start", lambda: None)
        monkeypatch.setattr(access._transports, "mend", no_device)
        with pytest.raises(TransportError):
            await access._reconcile(OUTSIDE)
        assert access._names._effective
        assert walls.closed

    live(tmp_path, scenario)


def test_iphttps_is_not_blamed_while_a_better_transport_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[TransportKind | None] = [None]
    monkeypatch.setattr(Transports, "chosen", property(lambda _transports: chosen[-1]))
    error = TransportError(Stage.CONNECT, "no answer", problem="iphttps-port-blocked")

    def carried(access: Access, kind: TransportKind | None) -> None:
        chosen.append(kind)
        access._way_changed()

    def blocked(access: Access) -> None:
        access._link_changed(State.LINK_DOWN, error)
        carried(access, TransportKind.NATIVE)
        access._link_changed(State.LINK_DOWN, error)

    def alone(access: Access) -> None:
        blocked(access)
        carried(access, None)
        access._link_changed(State.LINK_DOWN, error)

    assert codes(after(tmp_path, blocked)) == set()
    assert codes(after(tmp_path, alone)) == {"iphttps-port-blocked"}


def test_who_may_have_left_is_held_back_at_once(tmp_path: Path, walls: Walls) -> None:
    async def scenario(access: Access) -> None:
        access._names.set_situation(effective=False, intranet=TunnelState.DOWN)
        access._location_changed(Location.INSIDE, "nls")
        assert not walls.closed
        access._location_changed(Location.UNKNOWN, "moved")
        assert len(walls.closed) == 1
        assert access._names._effective

    live(tmp_path, scenario)


def test_rules_that_cannot_be_made_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_wall: firewall.ClientFirewall) -> None:
        raise firewall.FirewallError("nft: no such kernel")

    monkeypatch.setattr(firewall, "close_client", refuse)
    snapshot = after(tmp_path, lambda a: a._location_changed(Location.OUTSIDE, "no nls"))
    assert "firewall-rules-missing" in codes(snapshot)


def test_new_prefixes_are_closed_before_their_names_are_known(tmp_path: Path, walls: Walls) -> None:
    more = "2001:db8:ffff::/48"
    intranet = replace(POLICY.intranet, prefixes=(*POLICY.intranet.prefixes, more))

    async def scenario(access: Access) -> None:
        access._lines.draw()
        closed: list[bool] = []
        access._names.update_policy = lambda policy: closed.append(  # type: ignore[method-assign]
            more in walls.closed[-1]
        )
        await access.update_policy(replace(POLICY, version=99, intranet=intranet))
        assert closed == [True]

    live(tmp_path, scenario)


def test_after_a_bug_the_next_change_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[None] = []
    bugs: list[str] = []
    again = asyncio.Event()

    async def broken(_access: Access, _plan: Wanted) -> None:
        rounds.append(None)
        if len(rounds) == 1:
            raise KeyError("bug")
        again.set()

    async def scenario(access: Access) -> None:
        reconciling = asyncio.ensure_future(access._reconcile_forever())
        while not bugs:  # noqa: ASYNC110 - a list knows no event
            await asyncio.sleep(0)
        access._wake()
        await again.wait()
        reconciling.cancel()

    monkeypatch.setattr(Access, "_reconcile", broken)
    live(tmp_path, scenario, bugs)
    assert bugs == ["a step of the client"]
