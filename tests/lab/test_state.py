"""What is kept of a lab on disk."""

from pathlib import Path

import pytest

from throughway.lab import state
from throughway.lab.namespaces import Namespaces
from throughway.lab.state import LabState
from throughway.model.errors import LabError


def a_state() -> LabState:
    return LabState(
        name="trial",
        complete=True,
        hosts={"client1": Namespaces(123, 456)},
        places={"client1": "home"},
        services={"edge1/gateway": 7},
        unplugged=["client1"],
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state.save(a_state(), tmp_path)
    assert state.load("trial", tmp_path) == a_state()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"hosts": 1}', '{"hosts": {"a": {}}}'])
def test_a_torn_file_is_no_lab(tmp_path: Path, content: str) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "state.json").write_text(content)
    assert state.load("trial", tmp_path) is None


def test_no_lab(tmp_path: Path) -> None:
    assert state.load("trial", tmp_path) is None
    assert state.names(tmp_path / "nothing") == []


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "-a", "a" * 33, "a.b"])
def test_names_that_are_no_names(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        state.directory(name)


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "labs"
    with state.locked("trial", root):
        state.save(a_state(), root)
        assert state.names(root) == ["trial"]
        state.remove("trial", root)
    assert not root.exists()


def test_removing_one_leaves_the_other(tmp_path: Path) -> None:
    state.save(a_state(), tmp_path)
    state.save(LabState(name="other"), tmp_path)
    state.remove("trial", tmp_path)
    assert state.names(tmp_path) == ["other"]


def test_a_lab_is_built_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        state.locked("trial", tmp_path),
        pytest.raises(LabError, match="somebody else"),
        state.locked("trial", tmp_path),
    ):
        pass
    with state.locked("trial", tmp_path), state.locked("other", tmp_path):
        pass


def test_host_of_unknown_lab() -> None:
    with pytest.raises(LabError, match="throughway lab up --name nosuchlab"):
        state.host_of("nosuchlab", "client1")


def test_labs_are_for_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(LabError, match="needs root"):
        state.load("trial", tmp_path)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LabError, match="needs root"), state.locked("trial", tmp_path):
        pass
