"""Folders that take no more."""

from pathlib import Path

from throughway.catalogue.host import FILES_NOT_WRITABLE
from throughway.health.checking import Found
from throughway.health.folders import unwritable


def test_a_folder_with_room(tmp_path: Path) -> None:
    assert list(unwritable((tmp_path,), 1)) == []


def test_a_folder_that_is_gone_or_without_room(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    full, missing = unwritable((tmp_path, gone), 1 << 62)
    assert full.problem is FILES_NOT_WRITABLE
    assert full.detail.startswith(f"{tmp_path}: ")
    assert full.detail.endswith(" KiB are left")
    words = f"{gone}: No such file or directory"
    assert missing == Found(FILES_NOT_WRITABLE, words, str(gone))
