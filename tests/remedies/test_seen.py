"""What holds here: told by daemons, and seen where none runs."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import GATEWAY, LOGGED_ON, condition
from tests.remedies.world import CHARON, FORWARDING, FakeMachine
from throughway.model.findings import Component
from throughway.model.status import CheckStatus, ComponentState
from throughway.remedies import leftovers
from throughway.remedies.remedy import Host
from throughway.remedies.seen import Surroundings

DISABLED = "net.ipv6.conf.all.disable_ipv6"


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a client has left on the machine of the tests."""
    monkeypatch.setattr(leftovers, "names", lambda _state: False)
    monkeypatch.setattr(leftovers, "rules", lambda: False)


def around(tmp_path: Path, machine: FakeMachine | None = None) -> Surroundings:
    return Surroundings(
        machine or FakeMachine(),
        {host: tmp_path / f"{host}.sock" for host in Host},
        {host: tmp_path / f"{host}.toml" for host in Host},
        tmp_path,
    )


def test_a_gateway_tells_its_problems_and_what_follows_from_them(tmp_path: Path) -> None:
    check = CheckStatus(
        name="ike",
        title="IKE daemon",
        component=Component.IPSEC,
        state=ComponentState.ERROR,
        since=1.0,
        detail="it hangs",
        problems=(CHARON,),
    )
    snapshot = replace(GATEWAY, problems=(condition(FORWARDING, "it is 0"),), checks=(check,))
    fake = FakeDaemon(status=lambda _: snapshot, look=lambda _: None)
    surroundings = around(tmp_path)
    with fake.serving(surroundings.sockets[Host.GATEWAY]):
        seen = surroundings.look(now=True)
        surroundings.look()
    assert [command.name for command in fake.commands] == ["look", "status", "status"]
    told = {(held.problem.code, held.host, held.detail) for held in seen.held}
    assert told == {(FORWARDING, Host.GATEWAY, "it is 0"), (CHARON, Host.GATEWAY, "it hangs")}
    assert seen.daemons[Host.GATEWAY].runs
    names = tuple(worker.interface for worker in snapshot.workers)
    assert seen.daemons[Host.GATEWAY].interfaces == names
    assert not seen.daemons[Host.CLIENT].runs
    assert "not running" in seen.daemons[Host.CLIENT].why


def test_a_client_tells_its_problems(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    snapshot = replace(LOGGED_ON, problems=(condition(CHARON),))
    fake = FakeDaemon(status=lambda _: snapshot)
    with fake.serving(surroundings.sockets[Host.CLIENT]):
        seen = surroundings.look(now=True)
    assert [held.problem.code for held in seen.held] == [CHARON]
    assert snapshot.link.interface in seen.daemons[Host.CLIENT].interfaces


def test_a_daemon_that_refuses_runs(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    with FakeDaemon().serving(surroundings.sockets[Host.CLIENT]):
        daemon = surroundings.look().daemons[Host.CLIENT]
    assert daemon.runs
    assert daemon.why


def test_a_daemon_that_hangs_runs(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(surroundings.sockets[Host.GATEWAY]))
        listener.listen()
        daemon = surroundings.look(deadline=0.05).daemons[Host.GATEWAY]
    assert daemon.runs
    assert "does not answer" in daemon.why


def test_a_computer_that_is_neither_has_no_problems(tmp_path: Path) -> None:
    assert around(tmp_path, FakeMachine({DISABLED: "1"})).look().held == ()


@pytest.mark.parametrize("host", Host)
def test_ipv6_is_looked_at_without_a_daemon(tmp_path: Path, host: Host) -> None:
    surroundings = around(tmp_path, FakeMachine({DISABLED: "1"}))
    surroundings.configs[host].touch()
    (held,) = surroundings.look().held
    assert (held.problem.code, held.host) == ("ipv6-disabled", host)
    assert DISABLED in held.detail


def test_what_a_killed_client_has_left_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "names", lambda _state: True)
    monkeypatch.setattr(leftovers, "rules", lambda: True)
    surroundings = around(tmp_path)
    codes = {held.problem.code for held in surroundings.look().held}
    assert codes == {"nrpt-stale-rule", "firewall-rules-stale"}
    with FakeDaemon(status=lambda _: replace(LOGGED_ON, problems=())).serving(
        surroundings.sockets[Host.CLIENT]
    ):
        assert surroundings.look().held == ()
