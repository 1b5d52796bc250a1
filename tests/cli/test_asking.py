"""What the commands share: errors to exit codes, one look or many."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import BLOCKED, INFRASTRUCTURE_ONLY, LOGGED_ON
from throughway.cli.asking import Show, exit_codes, snapshot_of
from throughway.cli.status import client_exit_code, client_gist, render_client
from throughway.control.codec import Command, CommandRefused
from throughway.model.errors import (
    ConfigError,
    ControlError,
    Stage,
    ThroughwayError,
    TransportError,
)
from throughway.model.status import ClientSnapshot

SHOW = Show(ClientSnapshot, render_client, client_gist, client_exit_code)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client.sock"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("f", "k", "w"), 2),
        (CommandRefused("busy", "later"), 1),
        (ControlError("not running"), 3),
        (ThroughwayError("failed"), 1),
        (TransportError(Stage.TLS, "x", problem="clock-skew"), 1),
    ],
)
def test_errors_become_exit_codes(
    error: ThroughwayError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as exit_, exit_codes():
        raise error
    assert exit_.value.exit_code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"throughway: {error}\n")
    assert ("Resolution: Set the clock" in captured.err) == (
        "clock" in getattr(error, "problem", "")
    )


def test_what_only_root_may_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    several = (
        ConfigError("f", "key", "x cannot be read: Permission denied"),
        ConfigError("f", "url", "is missing"),
    )
    with pytest.raises(typer.Exit), exit_codes():
        raise ConfigError("f", "", "2 things", several)
    said = [line.endswith("; run as root") for line in capsys.readouterr().err.splitlines()]
    assert said == [True, False]


def test_every_error_of_a_configuration_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    several = tuple(ConfigError("gateway.toml", key, "is missing") for key in ("a", "b", "c"))
    with pytest.raises(typer.Exit) as exit_, exit_codes():
        raise ConfigError("gateway.toml", "", "3 errors", several)
    assert exit_.value.exit_code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"throughway: gateway.toml: {key}: is missing" for key in "abc"
    ]


def test_a_daemon_of_another_version_is_not_guessed_at(path: Path) -> None:
    with (
        FakeDaemon(status=lambda _: {"connection": "connected"}).serving(path),
        pytest.raises(ControlError, match="another version"),
    ):
        snapshot_of(path, ClientSnapshot)


def watch(
    path: Path,
    looks: list[object],
    monkeypatch: pytest.MonkeyPatch,
    *,
    as_json: bool = False,
) -> int:
    """Watch a daemon that gives these answers, one a look; then the user interrupts."""
    left = list(looks)

    def status(_: Command) -> object:
        look = left.pop(0)
        if isinstance(look, Exception):
            raise look
        return look

    def sleep(_: float) -> None:
        if not left:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    with FakeDaemon(status=status).serving(path):
        return SHOW.watch(path, as_json=as_json)


def headlines(output: str) -> list[str]:
    return [line for line in output.splitlines() if "onnected" in line]


def test_a_pipe_gets_what_changed(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = replace(BLOCKED, taken_at=BLOCKED.taken_at + 1)
    code = watch(path, [BLOCKED, later, INFRASTRUCTURE_ONLY, LOGGED_ON], monkeypatch)
    assert code == 0
    assert headlines(capsys.readouterr().out) == [
        "Not connected: No answer from the gateway's port",
        "Connected remotely: infrastructure only; log on for the intranet",
        "Connected remotely: infrastructure and intranet, alice@CORP.EXAMPLE.COM",
    ]


def test_a_program_gets_a_line_a_change(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = watch(path, [LOGGED_ON, LOGGED_ON, BLOCKED], monkeypatch, as_json=True)
    assert code == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["connection"] for line in lines] == ["connected-remotely", "error"]


def test_a_daemon_that_is_restarted_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = watch(path, [LOGGED_ON, ControlError("stopping"), LOGGED_ON], monkeypatch)
    out = capsys.readouterr().out
    assert code == 0
    assert "stopping" in out
    assert len(headlines(out)) == 2


def test_a_terminal_is_kept_current(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    watch(path, [LOGGED_ON, LOGGED_ON], monkeypatch)
    assert len(headlines(capsys.readouterr().out)) == 2
