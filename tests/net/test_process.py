"""Processes that are recorded, found again, and not mistaken for others."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from throughway.net.process import death_of, end, end_recorded, record, started_at, write_private

Process = subprocess.Popen[bytes]


@pytest.fixture
def sleeper() -> Iterator[Process]:
    process = subprocess.Popen(("sleep", "600"))
    yield process
    process.kill()
    process.wait()


def test_a_recorded_process_is_ended(tmp_path: Path, sleeper: Process) -> None:
    file = tmp_path / "pid"
    record(file, sleeper)
    assert end_recorded(file)
    assert sleeper.wait(PATIENCE) == -15
    assert not file.exists()
    assert not end_recorded(file)


def test_another_process_with_the_same_number_is_left_alone(
    tmp_path: Path, sleeper: Process
) -> None:
    file = tmp_path / "pid"
    file.write_text(f"{sleeper.pid} {int(started_at(sleeper.pid)) - 1}\n")
    assert not end_recorded(file)
    assert sleeper.poll() is None


@pytest.mark.parametrize("text", ["", "1", "x y", "999999999 5", "1 2 3"])
def test_a_record_that_says_nothing_is_no_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pid"
    file.write_text(text)
    assert not end_recorded(file)


def test_a_process_that_will_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughway.net.process.STOP_TIMEOUT", 0.1)
    script = "trap '' TERM; echo; sleep 600"
    process = subprocess.Popen(("sh", "-c", script), stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        end(process)
    assert process.returncode == -9
    os.killpg(process.pid, 9)


def test_a_death_is_noticed(sleeper: Process) -> None:
    async def scenario() -> None:
        died = death_of(sleeper)
        assert not died.is_set()
        sleeper.terminate()
        async with asyncio.timeout(PATIENCE):
            await died.wait()

    asyncio.run(scenario())


def test_private_files_are_private_also_when_they_were_not(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_private_files_are_not_written_through_links(tmp_path: Path) -> None:
    """Beside charon's socket, where charon may make files, it could lead us to a file of ours."""
    file, ours = tmp_path / "charon.pid", tmp_path / "gateway.key"
    ours.write_text("key")
    file.symlink_to(ours)
    write_private(file, "new")
    assert ours.read_text() == "key"
    assert not file.is_symlink()
    assert file.read_text() == "new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_record_of_somebody_else_ends_nobody(tmp_path: Path, sleeper: Process) -> None:
    file = tmp_path / "pid"
    record(file, sleeper)
    os.chown(file, 65534, 65534)
    assert not end_recorded(file)
    assert sleeper.poll() is None
