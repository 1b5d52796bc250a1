"""One-time codes at the command line: asked for, handed over, asked for again."""

import os
from pathlib import Path

import pytest

from tests.cli.daemons import FakeDaemon
from throughway.cli.code_logon import log_on
from throughway.control.codec import Command, CommandRefused
from throughway.model.errors import ConfigError

ALICE = "alice@CORP.EXAMPLE.COM"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client.sock"


def descriptor(text: str) -> int:
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    return read


class Daemon(FakeDaemon):
    def __init__(self, rounds: int) -> None:
        self.got: list[tuple[str, str]] = []

        def take(command: Command) -> object:
            self.got.append((command.text("code"), command.text("state")))
            if command.text("code") == "wrong":
                raise CommandRefused("one-time-code-wrong", "not the code")
            number = len(self.got)
            return {"challenge": "More", "state": str(number)} if number <= rounds else None

        super().__init__(**{"login-code": take})


def test_a_code_and_what_the_server_asks_besides(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = descriptor("2468\n135790\nleft\n")
    daemon = Daemon(rounds=1)
    with daemon.serving(path):
        log_on(path, ALICE, "ccache", read)
    assert daemon.got == [("2468", ""), ("135790", "1")]
    # What belongs to the next question is still there.
    assert os.read(read, 100) == b"left\n"
    os.close(read)
    told = capsys.readouterr().out
    assert "the server asks: More" in told
    assert "2468" not in told


def test_a_wrong_code_is_not_repeated(path: Path) -> None:
    read = descriptor("wrong\nwrong\n")
    daemon = Daemon(rounds=0)
    with daemon.serving(path), pytest.raises(CommandRefused, match="not the code"):
        log_on(path, ALICE, "ccache", read)
    os.close(read)
    assert len(daemon.got) == 1


def test_a_server_that_never_has_enough(path: Path) -> None:
    read = descriptor("1\n" * 10)
    with Daemon(rounds=99).serving(path), pytest.raises(ConfigError, match="asked 5 times"):
        log_on(path, ALICE, "ccache", read)
    os.close(read)


def test_no_code_at_all(path: Path) -> None:
    read = descriptor("")
    with pytest.raises(ConfigError, match="no more codes"):
        log_on(path, ALICE, "ccache", read)
    os.close(read)
    with pytest.raises(ConfigError, match="cannot be read"):
        log_on(path, ALICE, "ccache", read)
