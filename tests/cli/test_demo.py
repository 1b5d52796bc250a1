"""``throughway lab demo``: all of it, from nothing to nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from throughway.cli import demo as command
from throughway.lab import demo as showing
from throughway.model.errors import LabError

PROGRAM = Path(sys.executable).with_name("throughway")


@pytest.mark.lab
def test_every_step_is_seen_and_nothing_left() -> None:
    name = f"demo-test-{os.getpid()}"
    answer = subprocess.run(
        [PROGRAM, "lab", "demo", "--name", name],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for number in range(1, 12):
        assert f"[{number:>2}/11]" in answer.stdout
    assert "All 11 steps seen" in answer.stdout
    assert not Path(f"/run/throughway-lab/{name}").exists()
    assert name not in subprocess.run(["mount"], capture_output=True, text=True).stdout


def test_a_step_that_is_not_seen_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_name: str, _say: object, *, keep: bool) -> None:
        raise LabError("the page did not come")

    monkeypatch.setattr(showing, "run", fails)
    app = typer.Typer()
    command.register(app)
    answer = CliRunner().invoke(app, [])
    assert answer.exit_code == 1
    assert "the page did not come" in answer.stderr
