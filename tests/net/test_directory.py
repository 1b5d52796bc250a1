"""Asking a real Active Directory, by Kerberos and sealed; and what may go wrong on the way."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.directory_world import (
    COMPUTER_FAULTS,
    RULES,
    USER_FAULTS,
    Fault,
    broken,
    directory_config,
    reachable_directory,
)
from tests.ipsec_world import shared_world
from tests.patience import PATIENCE
from throughway.model.config import DirectoryConfig
from throughway.model.errors import ThroughwayError, TransportError
from throughway.net import directory as module
from throughway.net.directory import Directory, parse_answer
from throughway.proto.access import Answer, Withheld, group_words, judge_computer, judge_user

CONFIG = DirectoryConfig(domain="corp.example.com", keytab=Path("/none"), principal="EDGE1$")
NOW = 1_800_000_000.0


def asked(config: DirectoryConfig, *names: str, computers_of: tuple[str, ...] = ()) -> Answer:
    """Ask the shared directory from the gateway."""

    async def scenario() -> Answer:
        directory = Directory(config)
        try:
            return await directory.ask(names, group_words(RULES), computers_of=computers_of)
        finally:
            await directory.close()

    return shared_world().gateway.run(scenario())


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reachable_directory(monkeypatch, tmp_path)


@pytest.mark.lab
@pytest.mark.usefixtures("reachable")
def test_accounts_and_nested_groups_in_one_question() -> None:
    answer = asked(directory_config(), "alice", "bob", "client1$", "*", "CLIENT2$", "nobody")
    assert answer.server == "dc1.corp.example.com"
    assert set(answer.accounts) == {"alice", "bob", "client1$", "client2$"}
    # bob is in DA Sales in DA Staff in DA Users, CLIENT2$ in DA Laptops in DA Computers.
    assert judge_user(answer, "bob", "CLIENT2$", RULES, NOW) == ("",)
    assert judge_computer(answer, "CLIENT2$", RULES, NOW) is None


@pytest.mark.lab
@pytest.mark.usefixtures("reachable")
def test_all_computers_of_a_group() -> None:
    answer = asked(directory_config(), computers_of=("DA Computers",))
    assert set(answer.accounts) == {"client1$", "client2$"}


@pytest.mark.lab
@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("fault", USER_FAULTS, ids=str)
def test_what_is_wrong_with_a_user(fault: Fault) -> None:
    with broken("carol", fault):
        answer = asked(directory_config(), "carol", "CLIENT1$")
    verdict = judge_user(answer, "carol", "CLIENT1$", RULES, NOW)
    assert isinstance(verdict, Withheld)
    assert verdict.problem == fault.problem


@pytest.mark.lab
@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("fault", COMPUTER_FAULTS, ids=str)
def test_what_is_wrong_with_a_computer(fault: Fault) -> None:
    with broken("CLIENT1$", fault):
        answer = asked(directory_config(), "CLIENT1$")
    verdict = judge_computer(answer, "CLIENT1$", RULES, NOW)
    assert verdict is not None
    assert verdict.problem == fault.problem


@pytest.mark.lab
@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"principal": "nobody"}, "directory-credentials-refused"),
        ({"keytab": Path("/nonexistent")}, "directory-credentials-refused"),
        ({"servers": ("nowhere.corp.example.com",)}, "directory-unreachable"),
    ],
)
def test_what_can_be_wrong_with_the_asking(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ThroughwayError) as caught:
        asked(directory_config(**changes), "alice")
    assert getattr(caught.value, "problem", "") == problem


def asked_of(monkeypatch: pytest.MonkeyPatch, script: str) -> Answer:
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", script))

    async def scenario() -> Answer:
        directory = Directory(CONFIG)
        try:
            return await directory.ask(["a"], [])
        finally:
            await directory.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.stdin.readline()", "has ended"),
        ("import sys; sys.stdin.readline(); print('junk', flush=True); input()", "JSONDecodeError"),
        ("import sys; sys.stdin.readline(); print('[]', flush=True); input()", "no table"),
        ("import time; time.sleep(60)", "in time"),
    ],
)
def test_a_process_that_fails_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.4 if reason == "in time" else PATIENCE)
    with pytest.raises(TransportError, match=reason) as caught:
        asked_of(monkeypatch, script)
    assert caught.value.problem == "directory-unreachable"


def test_an_answer() -> None:
    group = {"name": "G", "dn": "CN=G", "sid": "S-1", "groups": ["CN=H"]}
    account = group | {
        "name": "Alice",
        "control": 512,
        "computed": 0,
        "expires": 0,
        "primary_group": 513,
        "host_name": "",
        "workstations": [],
    }
    answer = parse_answer({"groups": [group], "accounts": [account], "server": "dc1"})
    assert answer.account("ALICE") is not None
    assert answer.groups[0].groups == {"cn=h"}
