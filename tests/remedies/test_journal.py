"""The journal: whole, private, and one at a time."""

import stat
from pathlib import Path

import pytest

from throughway.model.errors import ConfigError, ControlError
from throughway.remedies.journal import FILE, LENGTH, Change, Journal


def change(run: str, words: str = "step") -> Change:
    return Change(run, "clock-skew", "client", words, "sysctl", {"old": {"a": "1"}, "made": {}})


def test_it_is_ours_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "fix")
    assert journal.changes() == ()
    journal.add(change("1"))
    assert stat.S_IMODE((tmp_path / "fix").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "fix" / FILE).stat().st_mode) == 0o600
    assert Journal(tmp_path / "fix").changes() == (change("1"),)


def test_one_command_is_undone_as_a_whole_from_its_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for run, words in (("1", "a"), ("2", "b"), ("2", "c")):
        journal.add(change(run, words))
    assert [each.words for each in journal.last()] == ["c", "b"]
    journal.remove(journal.last())
    assert [each.words for each in journal.last()] == ["a"]


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(LENGTH + 3):
        journal.add(change(str(number)))
    assert len(journal.changes()) == LENGTH
    assert journal.changes()[0].run == "3"


@pytest.mark.parametrize("text", ["", "{}x", '[{"run": 1}]', "[1]", "[" * 100_000])
def test_a_file_that_is_broken_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / FILE
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=FILE):
        Journal(tmp_path).changes()


def test_a_file_that_others_can_write_is_not_obeyed(tmp_path: Path) -> None:
    Journal(tmp_path).add(change("1"))
    (tmp_path / FILE).chmod(0o666)
    with pytest.raises(ConfigError, match="secret"):
        Journal(tmp_path).changes()


def test_only_one_changes_the_machine(tmp_path: Path) -> None:
    first, second = Journal(tmp_path), Journal(tmp_path)
    with first.alone(), pytest.raises(ControlError, match="another"), second.alone():
        pass
    with Journal(tmp_path).alone():
        pass
