"""Who encrypts, and what a gateway needs around it."""

import ipaddress
import stat
from pathlib import Path

import pytest

from tests.ipsec_world import Host
from throughway.model.config import ESPMode
from throughway.model.errors import IPsecError
from throughway.net import esp


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that stands for all of PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_kernel_that_takes_the_state_encrypts(commands: Path) -> None:
    script(commands / "ip", f'echo "$@" >> {commands}/log')
    assert esp.detect_esp().mode is ESPMode.KERNEL
    added, deleted = (commands / "log").read_text().splitlines()
    assert added.startswith("xfrm state add")
    assert deleted.startswith("xfrm state delete")


def test_a_kernel_that_refuses_does_not(commands: Path) -> None:
    script(commands / "ip", 'echo "RTNETLINK answers: Protocol not supported" >&2; exit 2')
    support = esp.detect_esp()
    assert support.mode is ESPMode.LIBIPSEC
    assert "Protocol not supported" in support.reason


def test_a_kernel_that_is_demanded_and_refuses_is_an_error(commands: Path) -> None:
    script(commands / "ip", "exit 2")
    with pytest.raises(IPsecError, match="esp = kernel"):
        esp.detect_esp(ESPMode.KERNEL)


def test_user_space_can_be_demanded(commands: Path) -> None:
    script(commands / "ip", f"touch {commands}/asked")
    assert esp.detect_esp(ESPMode.LIBIPSEC).mode is ESPMode.LIBIPSEC
    assert not (commands / "asked").exists()


def test_without_ip_there_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ip: No such file" in esp.detect_esp().reason


@pytest.mark.lab
def test_rules_come_and_go() -> None:
    host = Host()
    try:
        address = "2001:db8::1"
        for _ in range(2):  # as after a daemon that was killed
            host.call(esp.keep_outer_addresses, [address])
        rules = host.command("ip", "-6", "rule")
        assert rules.count(f"219:\tfrom {address} lookup main") == 1
        host.call(esp.release_outer_addresses, [address])
        assert address not in host.command("ip", "-6", "rule")
    finally:
        host.close()


@pytest.mark.lab
def test_local_addresses_are_those_of_the_namespace() -> None:
    host = Host()
    try:
        host.ip("address add 2001:db8::7/128 dev lo")
        addresses = host.call(esp.local_addresses)
        assert ipaddress.IPv6Address("2001:db8::7") in addresses
    finally:
        host.close()


@pytest.mark.lab
def test_rules_that_another_program_removed_are_added_again() -> None:
    host = Host()
    try:
        assert not host.call(esp.restore_rules), "nothing leads into a tunnel yet"
        host.ip("link add tunnel type veth peer name other")
        host.ip("link set tunnel up")
        host.ip("-6 route add 2001:db8:1::/64 dev tunnel table 220")
        assert host.call(esp.restore_rules, ["2001:db8::1"])
        rules = host.command("ip", "-6", "rule")
        assert "220:\tnot from all fwmark 0x42 lookup 220" in rules
        assert "219:\tfrom 2001:db8::1 lookup main" in rules
        assert not host.call(esp.restore_rules, ["2001:db8::1"])
        assert host.command("ip", "-6", "rule") == rules
    finally:
        host.close()
