"""Steps on a real kernel's settings, in a network of their own."""

from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.remedies.world import FakeMachine
from throughway.remedies.known import FORWARDING, IPV6
from throughway.remedies.machine import ThisMachine
from throughway.remedies.steps import LEFTOVERS, NOTHING, Case, Kept, Reset, Run, undo


def _settings(machine: ThisMachine, key: str) -> dict[str, str | None]:
    return {name: machine.get(f"net.ipv6.conf.{name}.{key}") for name in machine.interfaces()}


def _forwarding() -> None:
    run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "far")
    machine = ThisMachine()
    machine.set("net.ipv6.conf.all.forwarding", "0")
    machine.set("net.ipv6.conf.far.forwarding", "1")
    before = _settings(machine, "forwarding"), _settings(machine, "accept_ra")
    case = Case(machine, interfaces=("lan",))
    kept = FORWARDING.keep(case)
    FORWARDING.do(case)
    assert set(_settings(machine, "forwarding").values()) == {"1"}
    assert machine.get("net.ipv6.conf.lan.accept_ra") == "2"
    assert FORWARDING.commands(case) == ()
    assert "net.ipv6.conf.all.forwarding=0" in undo(kept, case)
    assert (_settings(machine, "forwarding"), _settings(machine, "accept_ra")) == before


@pytest.mark.lab
def test_forwarding() -> None:
    in_namespace(_forwarding)


def _ipv6() -> None:
    run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "far")
    run("ip", "link", "add", "iphttps.0", "type", "veth", "peer", "name", "other")
    machine = ThisMachine()
    machine.set("net.ipv6.conf.iphttps/0.disable_ipv6", "1")
    case = Case(machine, interfaces=("iphttps.0", "absent"))
    assert IPV6.commands(case) == ("sysctl -w net.ipv6.conf.iphttps/0.disable_ipv6=0",)
    machine.set("net.ipv6.conf.all.disable_ipv6", "1")
    kept = IPV6.keep(case)
    IPV6.do(case)
    assert set(_settings(machine, "disable_ipv6").values()) == {"0", None}
    assert IPV6.commands(case) == ()
    undo(kept, case)
    assert machine.get("net.ipv6.conf.all.disable_ipv6") == "1"
    assert machine.get("net.ipv6.conf.lan.disable_ipv6") == "1"


@pytest.mark.lab
def test_ipv6() -> None:
    in_namespace(_ipv6)


def test_a_command_has_nothing_to_be_undone() -> None:
    machine = FakeMachine()
    step, case = Run("start it", ("throughway", "gateway", "mend", "ike")), Case(machine)
    assert step.commands(case) == ("throughway gateway mend ike",)
    assert step.keep(case) == Kept(NOTHING)
    step.do(case)
    assert machine.done == ["throughway gateway mend ike"]
    assert undo(step.keep(case), case) == ""


def test_a_reset_keeps_what_is_there(tmp_path: Path) -> None:
    machine = FakeMachine()
    step, case = Reset("put it back"), Case(machine, client_state=tmp_path)
    assert step.commands(case) == ("throughway client reset",)
    assert step.keep(case).kind == LEFTOVERS
    step.do(case)
    assert machine.done == ["throughway client reset"]
