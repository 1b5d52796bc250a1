"""The commands about this computer as a client."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import BLOCKED, LOGGED_ON
from tests.patience import PATIENCE
from throughway.cli.client import DEFAULT_STATE, app
from throughway.client import settings
from throughway.control.codec import Command, CommandRefused, from_json
from throughway.health.chain import chain_of
from throughway.model.status import ClientSnapshot
from throughway.net import firewall, netlink, resolvconf, sit

UNITS = Path(__file__).parent.parent.parent / "packaging" / "systemd"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client.sock"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_status_for_people(path: Path) -> None:
    with FakeDaemon(status=lambda _: BLOCKED).serving(path):
        result = call("status", "--socket", str(path))
    assert result.exit_code == 1
    assert result.output.startswith("Not connected: No answer from the gateway's port\n")


def test_status_for_programs(path: Path) -> None:
    with FakeDaemon(status=lambda _: LOGGED_ON).serving(path):
        result = call("status", "--json", "--socket", str(path))
    assert result.exit_code == 0
    assert from_json(ClientSnapshot, json.loads(result.output)) == LOGGED_ON


def test_status_of_one_part(path: Path) -> None:
    snapshot = replace(LOGGED_ON, chain=chain_of(LOGGED_ON))
    with FakeDaemon(status=lambda _: snapshot).serving(path):
        shown = call("status", "link", "--socket", str(path))
        assert shown.exit_code == 0
        assert shown.stdout.startswith("link: Working properly\n")
        program = call("status", "link", "--json", "--socket", str(path))
        assert json.loads(program.stdout)["stage"] == "link"
        assert call("status", "moon", "--socket", str(path)).exit_code == 2


def test_status_without_a_daemon(path: Path) -> None:
    result = call("status", "--socket", str(path))
    assert result.exit_code == 3
    assert "systemctl start throughway-client" in result.stderr
    assert result.stdout == ""


def test_watching_ends_when_the_reader_is_gone(path: Path) -> None:
    """``| head -1``: nothing more may ever be written, so nothing would ever fail."""
    command = [sys.executable, "-m", "throughway.cli.main", "client", "status", "--watch"]
    with (
        FakeDaemon(status=lambda _: LOGGED_ON).serving(path),
        subprocess.Popen([*command, "--socket", str(path)], stdout=subprocess.PIPE) as watching,
    ):
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith(b"Connected")
        watching.stdout.close()
        try:
            assert watching.wait(PATIENCE) == 0
        finally:
            watching.kill()


def test_the_socket_can_be_named_by_the_environment(path: Path) -> None:
    with FakeDaemon(status=lambda _: LOGGED_ON).serving(path):
        environment = {"THROUGHWAY_CLIENT_SOCKET": str(path)}
        assert CliRunner().invoke(app, ["status"], env=environment).exit_code == 0


def test_refresh(path: Path) -> None:
    fake = FakeDaemon(refresh=lambda _: None)
    with fake.serving(path):
        result = call("refresh", "--socket", str(path))
    assert result.exit_code == 0
    assert fake.commands == [Command("refresh")]


def test_a_refresh_says_what_of_the_file_waits_for_a_restart(path: Path) -> None:
    answer = {"needs_restart": ["logon_users", "proxy.url"], "refused": []}
    with FakeDaemon(refresh=lambda _: answer).serving(path):
        said = call("refresh", "--socket", str(path))
        shown = call("refresh", "--json", "--socket", str(path))
    assert said.exit_code == shown.exit_code == 0
    assert "only from the next start on: logon_users, proxy.url" in said.output
    assert "systemctl restart throughway-client" in said.output
    assert json.loads(shown.stdout) == answer


def test_a_refresh_tells_the_errors_of_the_file_but_goes_on(path: Path) -> None:
    file = "/etc/throughway/client.toml"
    refused = [
        {"file": file, "key": "logon_user", "why": "is not known"},
        {"file": file, "key": "", "why": "line 3: no TOML"},
    ]
    answer = {"needs_restart": [], "refused": refused}
    with FakeDaemon(refresh=lambda _: answer).serving(path):
        said = call("refresh", "--socket", str(path))
        shown = call("refresh", "--json", "--socket", str(path))
    assert said.exit_code == shown.exit_code == 2
    assert "looks and tries again now" in said.stdout
    assert f"throughway: {file}: logon_user: is not known\n" in said.stderr
    assert f"throughway: {file}: line 3: no TOML\n" in said.stderr
    assert "goes on with the settings" in said.stderr
    assert "Mend it, then: systemctl restart throughway-client" in said.stderr
    assert json.loads(shown.stdout) == answer


def test_a_refresh_that_is_refused(path: Path) -> None:
    def refuse(_: Command) -> object:
        raise CommandRefused("not-permitted", "refresh: only root may do this")

    with FakeDaemon(refresh=refuse).serving(path):
        result = call("refresh", "--socket", str(path))
    assert result.exit_code == 1
    assert "only root" in result.stderr


def test_the_daemon_leaves_the_command_line_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda *call: executed.append(call))
    assert call("run", "--config", "/etc/other.toml").exit_code == 0
    python = sys.executable
    daemon = [python, "-m", "throughway.client", "--config", "/etc/other.toml"]
    assert executed == [(python, daemon)]


# After a crash


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What would be undone on a real machine."""
    undone: list[object] = []

    def restore(state: Path) -> bool:
        undone.append(state)
        return state != DEFAULT_STATE

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(resolvconf, "restore", restore)
    monkeypatch.setattr(firewall, "open_client", lambda: undone.append("rules"))
    monkeypatch.setattr(sit, "remove_devices", undone.extend)
    monkeypatch.setattr(netlink, "sweep_host_routes", lambda: undone.append("routes"))
    return undone


def test_reset_undoes_what_was_left(
    path: Path, undone: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "load", lambda _: SimpleNamespace(state_directory=Path("/s")))
    result = call("reset", "--socket", str(path))
    assert result.exit_code == 0
    assert undone == [Path("/s"), "rules", "sixtofour0", "routes"]
    assert result.stdout.splitlines() == [
        "resolv.conf: restored",
        "intranet prefixes: no longer held back",
    ]


def test_reset_needs_no_configuration(path: Path, undone: list[object], tmp_path: Path) -> None:
    config = str(tmp_path / "client.toml")
    result = call("reset", "--socket", str(path), "--config", config)
    assert result.exit_code == 0
    assert undone == [DEFAULT_STATE, "rules", "sixtofour0", "routes"]
    assert f"{config} cannot be used" in result.stderr
    assert "there was nothing to restore" in result.stdout


def test_reset_opens_the_intranet_though_resolv_conf_cannot_be_restored(
    path: Path, undone: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied", "/etc/resolv.conf")

    monkeypatch.setattr(resolvconf, "restore", refuse)
    result = call("reset", "--socket", str(path), "--config", str(tmp_path / "client.toml"))
    assert isinstance(result.exception, PermissionError)
    assert undone == ["rules", "sixtofour0", "routes"]


def test_reset_does_not_open_the_intranet_under_a_running_daemon(
    path: Path, undone: list[object]
) -> None:
    with FakeDaemon(status=lambda _: LOGGED_ON).serving(path):
        result = call("reset", "--socket", str(path))
    assert result.exit_code == 1
    assert "stop it first" in result.stderr
    assert undone == []


def test_reset_is_for_root(
    path: Path, undone: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert call("reset", "--socket", str(path)).exit_code == 1
    assert undone == []


def test_the_commands_of_join_are_here() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    assert {"run", "status", "refresh", "reset", "join", "leave"} <= names


@pytest.mark.parametrize("unit", ["throughway-client", "throughway-gateway"])
def test_units_start_what_there_is(unit: str) -> None:
    text = (UNITS / f"{unit}.service").read_text()
    role = unit.removeprefix("throughway-")
    start = f"ExecStart=/usr/bin/throughway {role} run --config /etc/throughway/{role}.toml\n"
    assert start in text
    for hardening in ("NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem="):
        assert hardening in text


def test_mend(path: Path) -> None:
    fake = FakeDaemon(mend=lambda _: {"part": "ike", "done": "charon was ended"})
    with fake.serving(path):
        result = call("mend", "ike", "--socket", str(path))
    assert (result.exit_code, result.output) == (0, "charon was ended\n")
    assert fake.commands == [Command("mend", {"part": "ike"})]
