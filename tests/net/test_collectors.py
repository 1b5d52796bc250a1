"""What a computer says of itself: by files and commands of a made-up one."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from throughway.model.statement import (
    CheckKind,
    CheckResult,
    CheckState,
    HealthPolicy,
    PolicyCheck,
    SubjectKind,
)
from throughway.net import collectors as module
from throughway.net.collectors import DAY, Machine, collect, filters_input, run_command

NOW = 1_800_000_000.0
UFW = """table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy drop;
		counter packets 5 bytes 300 jump ufw-before-input
	}
}"""
FIREWALLD = """table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		reject with icmpx admin-prohibited
	}
}"""
OPEN = UFW.replace("policy drop", "policy accept")
OURS = FIREWALLD.replace("firewalld", "throughway_client")
ONE_PORT = FIREWALLD.replace("reject with icmpx admin-prohibited", "tcp dport 23 drop")
FORWARD = UFW.replace("hook input", "hook forward")


def machine(root: Path, said: Mapping[str, str] | None = None) -> Machine:
    """Return a computer whose commands are known by their first word, or as a whole."""

    def command(words: Sequence[str]) -> str | None:
        known = said or {}
        return known.get(" ".join(words), known.get(words[0]))

    return Machine(root=root, command=command, clock=lambda: NOW)


def put(root: Path, name: str, content: str = "", age: float = 0.0) -> Path:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (NOW - age * DAY, NOW - age * DAY))
    return path


@pytest.mark.parametrize(
    ("ruleset", "filters"),
    [(UFW, True), (FIREWALLD, True), (OPEN, False), (OURS, False), (ONE_PORT, False),
     (FORWARD, False), ("", False)],
)  # fmt: skip
def test_rulesets(ruleset: str, filters: bool) -> None:
    assert filters_input(ruleset) is filters


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"nft": UFW}, CheckState.GOOD),
        ({"nft": OPEN}, CheckState.BAD),
        ({"nft": "", "iptables-save": "*filter\n:INPUT DROP [0:0]\nCOMMIT"}, CheckState.GOOD),
        ({"iptables-save": "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP"}, CheckState.GOOD),
        ({"iptables-save": "*filter\n:INPUT ACCEPT [0:0]"}, CheckState.BAD),
        ({}, CheckState.UNKNOWN),
    ],
)
def test_a_firewall(tmp_path: Path, said: dict[str, str], state: CheckState) -> None:
    assert module.firewall(machine(tmp_path, said)).state is state


def test_updates_are_as_old_as_their_newest_sign(tmp_path: Path) -> None:
    assert module.updates(machine(tmp_path)).state is CheckState.UNKNOWN
    put(tmp_path, "/var/lib/apt/periodic/upgrade-stamp", age=40)
    put(tmp_path, "/var/cache/dnf/last_makecache", age=3)
    found = module.updates(machine(tmp_path))
    assert (found.state, found.value) == (CheckState.GOOD, "3")


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"apt-get": "Inst a [1] (2 Debian-Security:12/stable)\nInst b [1] (2 Debian:12)"}, "1"),
        ({"apt-get": "0 upgraded"}, "0"),
        ({"dnf": "FEDORA-1 Important/Sec. a\n"}, "1"),
        ({}, ""),
    ],
)
def test_security_updates_are_counted(tmp_path: Path, said: dict[str, str], value: str) -> None:
    assert module.security_updates(machine(tmp_path, said)).value == value


def disk(root: Path, number: str, uuid: str = "", slaves: Sequence[str] = ()) -> None:
    put(root, f"/sys/dev/block/{number}/dm/uuid", uuid)
    for slave in slaves:
        below = root / f"sys/dev/block/{number}/slaves"
        below.mkdir(parents=True, exist_ok=True)
        (below / slave.replace(":", "-")).symlink_to(root / f"sys/dev/block/{slave}")


@pytest.mark.parametrize(
    ("uuids", "state"),
    [(("CRYPT-LUKS2-x", "CRYPT-LUKS2-y"), CheckState.GOOD), (("CRYPT-a", ""), CheckState.BAD)],
)
def test_a_root_on_volumes_is_encrypted_only_on_all_disks(
    tmp_path: Path, uuids: tuple[str, str], state: CheckState
) -> None:
    mounted = "1 0 0:4 / /proc rw - proc proc rw\n2 0 254:0 / / rw - ext4 /dev/x rw\n"
    put(tmp_path, "/proc/self/mountinfo", mounted)
    for number, uuid in zip(("254:1", "254:2"), uuids, strict=True):
        disk(tmp_path, number, uuid)
    disk(tmp_path, "254:0", "LVM-x", ("254:1", "254:2"))
    assert module.disk_encryption(machine(tmp_path)).state is state


def test_a_root_on_no_block_device_is_not_judged(tmp_path: Path) -> None:
    put(tmp_path, "/proc/self/mountinfo", "2 0 0:30 / / rw - overlay overlay rw\n")
    assert module.disk_encryption(machine(tmp_path)).state is CheckState.UNKNOWN


def test_an_antivirus(tmp_path: Path) -> None:
    def look(said: dict[str, str]) -> CheckResult:
        return module.antivirus(machine(tmp_path, said))

    assert look({}).state is CheckState.ABSENT
    put(tmp_path, "/usr/sbin/clamd")
    assert look({}).state is CheckState.BAD
    assert look({"systemctl": "active"}).state is CheckState.BAD
    put(tmp_path, "/var/lib/clamav/daily.cld", age=5)
    assert look({"systemctl": "active"}).value == "5"


def own(kind: SubjectKind, subject: str, value: str = "") -> HealthPolicy:
    check = PolicyCheck(name="own", kind=kind, subject=subject, value=value)
    return HealthPolicy(required=("own",), checks=(check,))


CONTENT = hashlib.sha256(b"x").hexdigest()
INSTALLED = {"dpkg-query": "installed 2.5-1"}
NEWER = INSTALLED | {"dpkg --compare-versions 2.5-1 ge 2.4": ""}


@pytest.mark.parametrize(
    ("policy", "said", "state"),
    [
        (own(SubjectKind.FILE, "/etc/x"), {}, CheckState.GOOD),
        (own(SubjectKind.FILE, "/etc/y"), {}, CheckState.BAD),
        (own(SubjectKind.FILE, "/etc"), {}, CheckState.BAD),
        (own(SubjectKind.FILE, "/etc/x", CONTENT.upper()), {}, CheckState.GOOD),
        (own(SubjectKind.FILE, "/etc/x", "0" * 64), {}, CheckState.BAD),
        (own(SubjectKind.SERVICE, "x.service"), {"systemctl": "active"}, CheckState.GOOD),
        (own(SubjectKind.SERVICE, "x.service"), {}, CheckState.BAD),
        (own(SubjectKind.PACKAGE, "x"), INSTALLED, CheckState.GOOD),
        (own(SubjectKind.PACKAGE, "x", "2.4"), NEWER, CheckState.GOOD),
        (own(SubjectKind.PACKAGE, "x", "2.6"), NEWER, CheckState.BAD),
        (own(SubjectKind.PACKAGE, "x"), {"dpkg-query": "config-files 1"}, CheckState.BAD),
        (own(SubjectKind.SYSCTL, "kernel.x", "1"), {}, CheckState.GOOD),
        (own(SubjectKind.SYSCTL, "kernel.x", "0"), {}, CheckState.BAD),
        (own(SubjectKind.SYSCTL, "kernel.y", "0"), {}, CheckState.UNKNOWN),
    ],
)
def test_checks_of_the_policy(
    tmp_path: Path, policy: HealthPolicy, said: dict[str, str], state: CheckState
) -> None:
    put(tmp_path, "/etc/x", "x")
    put(tmp_path, "/proc/sys/kernel/x", "1\n")
    (found,) = collect(policy, machine(tmp_path, said)).results
    assert found.state is state


def test_what_is_dear_can_be_left_out(tmp_path: Path) -> None:
    policy = HealthPolicy(required=(CheckKind.SECURITY_UPDATES, CheckKind.AGENT))
    assert len(collect(policy, machine(tmp_path)).results) == 2
    (found,) = collect(policy, machine(tmp_path), slow=False).results
    assert found.name == CheckKind.AGENT


def test_commands_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(module, "COMMAND_TIME", 0.05)
        assert run_command(("sleep", "60")) is None
    monkeypatch.setattr(module, "COMMAND_TIME", PATIENCE)
    assert run_command(("false",)) is None
    assert run_command(("no-such-command-here",)) is None
    assert run_command(("echo", "x")) == "x\n"
