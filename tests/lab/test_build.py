"""Steps that report themselves; building whole worlds is in test_lab."""

import threading

import pytest

from tests.patience import PATIENCE
from throughway.lab import build
from throughway.model.errors import LabError


def test_a_step_is_reported_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((10.0, 11.5))
    monkeypatch.setattr("throughway.lab.build.time.monotonic", lambda: next(moments))
    lines: list[str] = []
    with build.step(lines.append, "hosts"):
        assert lines == []
    assert lines == ["hosts (1.5 s)"]


def test_a_failed_step_is_not_reported() -> None:
    lines: list[str] = []
    with pytest.raises(LabError), build.step(lines.append, "hosts"):
        raise LabError("no")
    assert lines == []


def test_tasks_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=PATIENCE)
    with build.concurrently() as tasks:
        for name in ("one", "two", "three"):
            tasks.call(build.silent, name, meeting.wait)


def test_the_failure_of_a_task_is_raised_after_the_others_have_ended() -> None:
    ended: list[str] = []

    def fail() -> None:
        raise LabError("the second")

    def both() -> None:
        with build.concurrently() as tasks:
            tasks.call(build.silent, "fails", fail)
            tasks.call(build.silent, "works", ended.append, "yes")

    with pytest.raises(LabError, match="the second"):
        both()
    assert ended == ["yes"]


def test_tearing_down_what_is_not_there() -> None:
    assert not build.tear_down("no-such-lab")
