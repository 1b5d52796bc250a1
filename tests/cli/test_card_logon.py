"""Logging on with a smart card: what is said, and where the PIN goes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import INFRASTRUCTURE_ONLY, LOGGED_ON
from throughway.cli.login import register
from throughway.control.codec import Command, CommandRefused

if TYPE_CHECKING:
    from throughway.model.status import ClientSnapshot

ALICE = LOGGED_ON.user
CARD = {
    "principal": ALICE,
    "card": "Alice's card",
    "subject": "alice",
    "tries": "",
    "last_try": False,
    "asks_itself": False,
}
PIN = "471108"
app = typer.Typer()
register(app)


class Daemon(FakeDaemon):
    def __init__(self, offered: dict[str, object], refusal: CommandRefused | None = None) -> None:
        self.got: list[Command] = []
        snapshots: list[ClientSnapshot] = [INFRASTRUCTURE_ONLY]

        def offer(command: Command) -> object:
            if refusal is not None:
                raise refusal
            return offered

        def log_on(command: Command) -> object:
            self.got.append(command)
            if command.text("pin") not in (PIN, ""):
                raise CommandRefused("smart-card-pin-wrong", "one try is left")
            snapshots.append(LOGGED_ON)
            return True

        super().__init__(
            **{"smart-card": offer, "login-smart-card": log_on, "status": lambda _: snapshots[-1]}
        )


def login(path: Path, *arguments: str, pin: str = PIN) -> Result:
    read, write = os.pipe()
    os.write(write, f"{pin}\n".encode())
    os.close(write)
    try:
        words = ("login", "--socket", str(path), "--smart-card", "--pin-fd", str(read))
        return CliRunner().invoke(app, [*words, "--wait", "5", *arguments])
    finally:
        os.close(read)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client.sock"


def test_the_pin_goes_to_the_daemon_and_nowhere_else(path: Path) -> None:
    daemon = Daemon(CARD)
    with daemon.serving(path):
        result = login(path)
    assert result.exit_code == 0, result.output
    [command] = daemon.got
    assert (command.text("principal"), command.text("pin")) == (ALICE, PIN)
    assert PIN not in result.output
    assert PIN not in repr(command)
    assert "Alice's card" in result.output


def test_a_wrong_pin_is_presented_once_and_said(path: Path) -> None:
    daemon = Daemon(CARD)
    with daemon.serving(path):
        result = login(path, pin="0000")
    assert result.exit_code == 1
    assert len(daemon.got) == 1
    assert "one try is left" in result.output
    assert "Log on again with the right PIN" in result.output


def test_the_last_try_is_used_only_when_told_to(path: Path) -> None:
    daemon = Daemon(CARD | {"last_try": True, "tries": "one try is left"})
    with daemon.serving(path):
        refused = login(path)
        assert (refused.exit_code, daemon.got) == (1, [])
        assert "--last-try" in refused.output
        assert login(path, "--last-try").exit_code == 0


def test_an_empty_pin_is_not_presented(path: Path) -> None:
    daemon = Daemon(CARD)
    with daemon.serving(path):
        assert login(path, pin="").exit_code == 2
    assert daemon.got == []


def test_a_reader_with_keys_asks_itself(path: Path) -> None:
    daemon = Daemon(CARD | {"asks_itself": True})
    with daemon.serving(path):
        result = login(path)
    assert result.exit_code == 0, result.output
    assert "at the reader's keys" in result.output
    assert daemon.got[0].text("pin") == ""


def test_what_is_missing_is_said_with_its_remedy(path: Path) -> None:
    daemon = Daemon(CARD, CommandRefused("smart-card-missing", "no smart card is in the reader"))
    with daemon.serving(path):
        result = login(path)
    assert result.exit_code == 1
    assert "no smart card is in the reader" in result.output
    assert "Insert the card" in result.output
