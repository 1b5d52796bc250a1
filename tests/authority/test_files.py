"""Files of the directory belong to whom it belongs."""

import os
from pathlib import Path

import pytest

from throughway.authority.files import Kept, give_to_owner, locked, write_new
from throughway.model.errors import ConfigError


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    write_new(file, b"one", force=False)
    with pytest.raises(ConfigError, match="--force overwrites"):
        write_new(file, b"two", force=False)
    write_new(file, b"two", 0o600, force=True)
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_root_writes_the_service_can_read(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(tmp_path, 64123, 64124)
    write_new(tmp_path / "file", b"", 0o600, force=True)
    give_to_owner(tmp_path, tmp_path / "file")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (64123, 64124)


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_a_file_is_read_again_only_when_it_is_another_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    reads: list[str] = []

    def read(path: Path) -> str:
        reads.append(path.name)
        return path.read_text() if path.exists() else "nothing"

    kept = Kept(read)
    assert [kept.get(file), kept.get(file)] == ["nothing", "nothing"]
    for text in ("one", "two"):
        write_new(file, text.encode(), force=True)
        assert [kept.get(file), kept.get(file)] == [text, text]
    assert len(reads) == 4
    write_new(file, b"three", force=True)
    kept.put(file, "three")
    assert kept.get(file) == "three"
    assert len(reads) == 4
