"""`throughway fix`: shown, asked, done, undone."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import GATEWAY, condition
from tests.remedies.world import CHARON, FORWARDING
from throughway.cli import fix as module
from throughway.cli.main import app
from throughway.model.status import GatewaySnapshot
from throughway.remedies import machine
from throughway.remedies.remedy import Host

WELL = replace(GATEWAY, problems=(), checks=())


class World:
    """A gateway whose daemon looks at files in the place of the kernel's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.codes: tuple[str, ...] = ()
        """Problems beside forwarding."""
        for interface in ("all", *(worker.interface for worker in GATEWAY.workers)):
            settings = folder / "proc" / "net" / "ipv6" / "conf" / interface
            settings.mkdir(parents=True)
            (settings / "forwarding").write_text("0")
        self.fake = FakeDaemon(status=lambda _: self.snapshot(), look=lambda _: None)

    @property
    def forwarding(self) -> Path:
        return self.folder / "proc" / "net" / "ipv6" / "conf" / "all" / "forwarding"

    def snapshot(self) -> GatewaySnapshot:
        off = (FORWARDING,) if self.forwarding.read_text() == "0" else ()
        codes = (*off, *self.codes)
        return replace(WELL, problems=tuple(condition(code, f"seen: {code}") for code in codes))

    def call(self, *arguments: str, stdin: str = "") -> Result:
        options = ["--state", str(self.folder), "--gateway", str(self.folder / "gateway.sock")]
        options += ["--client", str(self.folder / "client.sock")]
        return CliRunner().invoke(app, ["fix", *arguments, *options], input=stdin)

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = json.loads(self.call(*arguments, "--json").output)[
            "results"
        ]
        return results


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path)

    def this(environment: dict[str, str]) -> machine.ThisMachine:
        return machine.ThisMachine(environment, settings=tmp_path / "proc")

    monkeypatch.setattr(module, "ThisMachine", this)
    monkeypatch.setattr(module, "CONFIGS", {host: tmp_path / f"{host}.toml" for host in Host})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with made.fake.serving(tmp_path / "gateway.sock"):
        yield made


def test_commands_by_hand_have_the_values_of_the_deployment(world: World) -> None:
    world.codes = ("iphttps-cert-name-mismatch",)
    answer = world.call("iphttps-cert-name-mismatch", "--dry-run")
    assert "throughway pki issue gateway da.example.com " in answer.output
    (result,) = world.json("iphttps-cert-name-mismatch", "--dry-run")
    assert "da.example.com" in result["by_hand"][0]


def test_a_resolution_is_wrapped(world: World) -> None:
    world.codes = ("access-computer-unknown",)
    answer = world.call("access-computer-unknown", "--dry-run")
    assert max(map(len, answer.output.splitlines())) <= 100


def test_the_list(world: World) -> None:
    world.codes = ("clock-skew",)
    answer = world.call()
    assert answer.exit_code == 1
    assert "sysctl -w net.ipv6.conf.all.forwarding=1" in answer.output
    assert "none that is safe" in answer.output
    assert "timedatectl set-ntp true" in answer.output
    assert world.forwarding.read_text() == "0"


def test_a_dry_run_does_nothing(world: World) -> None:
    answer = world.call(FORWARDING, "--dry-run")
    assert answer.exit_code == 1
    assert "sysctl -w net.ipv6.conf.all.forwarding=1" in answer.output
    assert world.forwarding.read_text() == "0"
    assert not (world.folder / "fix" / "journal.json").exists()


def test_no_is_no(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "confirm", lambda _question: False)
    answer = world.call(FORWARDING)
    assert answer.exit_code == 1
    assert "Nothing was done." in answer.output
    assert world.forwarding.read_text() == "0"


def test_where_nobody_can_be_asked_the_answer_is_no(world: World) -> None:
    assert world.call(FORWARDING, stdin="y\n").exit_code == 1
    assert world.forwarding.read_text() == "0"


def test_it_is_mended_once_and_undone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "confirm", lambda _question: True)
    answer = world.call(FORWARDING)
    assert answer.exit_code == 0, answer.output
    assert f"{FORWARDING}: mended, and verified" in answer.output
    assert world.forwarding.read_text() == "1"
    again = world.call(FORWARDING, "--yes")
    assert (again.exit_code, again.output) == (
        0,
        f"Nothing to do: {FORWARDING} does not hold here.\n",
    )
    shown = world.call("--undo", "--dry-run")
    assert "sysctl -w net.ipv6.conf.all.forwarding=0" in shown.output
    assert world.forwarding.read_text() == "1"
    assert world.call("--undo").exit_code == 0
    assert world.forwarding.read_text() == "0"
    assert world.call("--undo").output == "Nothing to undo.\n"


def test_all_mends_what_can_be_and_tells_the_rest(world: World) -> None:
    world.codes = ("clock-skew",)
    answer = world.call("--all", "--yes")
    assert answer.exit_code == 1
    assert f"{FORWARDING}: mended, and verified" in answer.output
    assert "clock-skew: left: no safe remedy" in answer.output
    assert world.forwarding.read_text() == "1"


def test_a_failure_is_told_with_what_is_left(world: World) -> None:
    """This daemon knows no command ``mend``."""
    world.codes = (CHARON,)
    answer = world.call(CHARON, "--yes")
    assert answer.exit_code == 1
    assert f"{CHARON}: NOT mended: throughway gateway mend ike: " in answer.output
    assert "Resolution:" in answer.output
    assert world.fake.commands[-1].arguments == {"part": "ike"}


def test_for_programs(world: World) -> None:
    world.codes = ("clock-skew",)
    planned = world.json("--all", "--dry-run")
    assert {(r["code"], r["outcome"]) for r in planned} == {
        (FORWARDING, "planned"),
        ("clock-skew", "no-remedy"),
    }
    assert all(set(r) >= {"host", "detail", "commands", "resolution", "by_hand"} for r in planned)
    (done,) = world.json(FORWARDING, "--yes")
    assert (done["outcome"], done["commands"]) == (
        "mended",
        ["sysctl -w net.ipv6.conf.all.forwarding=1"],
    )
    undone = json.loads(world.call("--undo", "--yes", "--json").output)
    assert [change["code"] for change in undone["changes"]] == [FORWARDING]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("no-such-code", "--yes"), "is no problem's code"),
        (("clock-skwe", "--yes"), "did you mean 'clock-skew'?"),
        ((FORWARDING, "--all"), "name no code beside it"),
        ((FORWARDING, "--undo"), "name no code"),
        ((FORWARDING, "--json"), "give --yes or --dry-run"),
    ],
)
def test_what_makes_no_sense(world: World, arguments: tuple[str, ...], why: str) -> None:
    answer = world.call(*arguments)
    assert answer.exit_code == 2
    assert why in answer.stderr
    assert world.forwarding.read_text() == "0"


def test_only_root_changes_anything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    answer = world.call(FORWARDING, "--yes")
    assert answer.exit_code == 1
    assert "only root" in answer.stderr
    assert world.call(FORWARDING, "--dry-run").exit_code == 1
    assert world.forwarding.read_text() == "0"


def test_where_nobody_can_be_asked_it_cannot_be_told(tmp_path: Path) -> None:
    options = ["--gateway", str(tmp_path / "g.sock"), "--client", str(tmp_path / "c.sock")]
    answer = CliRunner().invoke(app, ["fix", "--state", str(tmp_path), *options])
    assert answer.exit_code == 3
    assert "is not running" in answer.stderr


def test_a_shell_completes_what_holds_and_can_be_mended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.codes = ("clock-skew", CHARON)
    for daemon in ("gateway", "client"):
        monkeypatch.setenv(f"THROUGHWAY_{daemon.upper()}_SOCKET", f"{world.folder}/{daemon}.sock")
    assert module._complete("") == [FORWARDING, CHARON]
    assert module._complete("ips") == [CHARON]
