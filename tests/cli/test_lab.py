"""``throughway lab``: words, exit codes, completion; and one lab by the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from throughway.cli import lab as command
from throughway.cli.lab import app
from throughway.lab.topology import DIRECTACCESS

runner = CliRunner()
pytestmark = pytest.mark.xdist_group("cli-lab")
NOWHERE = "no-such-lab"


def test_help_names_every_command() -> None:
    text = runner.invoke(app, ["--help"]).output
    for name in ("up", "exec", "move", "link", "status", "down"):
        assert f" {name} " in text


def test_no_such_lab() -> None:
    status = runner.invoke(app, ["status", "--name", NOWHERE])
    assert status.exit_code == 3
    assert "There is no lab no-such-lab" in status.output
    move = runner.invoke(app, ["move", "--name", NOWHERE, "client1", "corp"])
    assert move.exit_code == 1
    assert "throughway lab up --name no-such-lab" in move.output


def test_json_says_that_there_is_none() -> None:
    answer = runner.invoke(app, ["status", "--name", NOWHERE, "--json"])
    assert answer.exit_code == 3
    assert json.loads(answer.stdout) == {"name": NOWHERE, "up": False, "hosts": []}


def test_exec_without_a_lab_is_told_from_the_commands_own_codes() -> None:
    answer = runner.invoke(app, ["exec", "--name", NOWHERE, "client1", "--", "true"])
    assert answer.exit_code == 125
    assert "throughway lab up" in answer.output


def test_a_name_that_is_none() -> None:
    answer = runner.invoke(app, ["status", "--name", "../etc"])
    assert answer.exit_code == 1
    assert "cannot name a lab" in answer.output


def test_link_takes_up_and_down_only() -> None:
    assert runner.invoke(app, ["link", "client1", "sideways"]).exit_code == 2


def test_transports_are_known_ones() -> None:
    answer = runner.invoke(app, ["transports", "client1", "pigeon"])
    assert answer.exit_code == 2
    assert "'iphttps'" in answer.output
    nowhere = runner.invoke(app, ["transports", "--name", NOWHERE, "client1", "iphttps"])
    assert nowhere.exit_code == 1
    assert "throughway lab up --name no-such-lab" in nowhere.output


def test_a_client_is_kept_to_a_transport_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    class Standing:
        def require(self) -> "Standing":
            return self

        def where(self, client: str) -> str:
            return "home"

        def allow_transports(self, client: str, *kinds: str) -> None:
            done.append((client, *kinds))

        def runs_client(self, client: str) -> bool:
            return client == "client1"

        def stop_client(self, client: str) -> None:
            done.append("stop")

        def start_client(self, client: str) -> None:
            done.append("start")

    monkeypatch.setattr(command, "_lab", lambda name: Standing())
    assert "uses iphttps." in runner.invoke(app, ["transports", "client1", "iphttps"]).output
    assert "whatever is best" in runner.invoke(app, ["transports", "client2"]).output
    assert done == [("client1", "iphttps"), "stop", "start", ("client2",)]


def test_completion() -> None:
    assert command._hosts("cl") == ["client1", "client2"]
    assert "switch" in command._hosts("")
    assert command._mobile("") == ["client1", "client2"]
    assert command._places("") == [place.name for place in DIRECTACCESS.places]


def throughway(*arguments: str, name: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("throughway")
    return subprocess.run(
        [program, "lab", *arguments],
        env={**os.environ, "THROUGHWAY_LAB": name, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    chosen = f"c{os.getpid()}"
    try:
        built = throughway("up", "--no-gateway", "--no-join", name=chosen)
        assert built.returncode == 0, built.stderr
        assert "hosts (" in built.stdout
        assert f"throughway lab exec --name {chosen} client1 -- curl" in built.stdout
        yield chosen
    finally:
        throughway("down", name=chosen)


@pytest.mark.lab
def test_commands_run_in_hosts(name: str) -> None:
    answer = throughway("exec", "client1", "--", "sh", "-c", "hostname; exit 7", name=name)
    assert (answer.returncode, answer.stdout) == (7, "client1\n")
    options = throughway("exec", "client1", "ip", "--name", name=name)
    assert 'try "ip -help"' in options.stderr  # an option of ip, not of ours
    assert throughway("exec", "nobody", "true", name=name).returncode == 125


@pytest.mark.lab
def test_moving(name: str) -> None:
    moved = throughway("move", "client1", "corp", name=name)
    assert moved.stdout == "client1 is now plugged into the intranet.\n"
    page = throughway("exec", "client1", "--", "curl", "http://app1.corp.example.com/", name=name)
    assert "Welcome to the intranet" in page.stdout
    assert throughway("link", "client1", "down", name=name).returncode == 0
    assert "corp, cable pulled" in throughway("status", name=name).stdout
    assert throughway("link", "client1", "up", name=name).returncode == 0
    assert throughway("move", "client1", "home", name=name).returncode == 0
    refused = throughway("move", "dc1", "home", name=name)
    assert refused.returncode == 1
    assert "dc1 does not move" in refused.stderr


@pytest.mark.lab
def test_status(name: str) -> None:
    answer = throughway("status", "--json", name=name)
    assert answer.returncode == 0
    status = json.loads(answer.stdout)
    assert status["up"] is True
    client = next(host for host in status["hosts"] if host["name"] == "client1")
    assert client["place"] == "home"
    assert client["addresses"] == ["192.168.137.101/24"]
    table = throughway("status", name=name).stdout
    assert "131.107.0.2/24" in table


@pytest.mark.lab
def test_up_twice(name: str) -> None:
    again = throughway("up", name=name)
    assert again.returncode == 1
    assert f"throughway lab down --name {name}" in again.stderr


@pytest.mark.lab
def test_down_twice(name: str) -> None:
    other = f"{name}-other"
    assert throughway("down", name=other).stdout == f"There was no lab {other}.\n"
