"""Files: read with a clear word, written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from throughway.model.errors import ConfigError
from throughway.net import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_reading_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 11)
    os.mkfifo(tmp_path / "pipe")
    assert files.read_file(tmp_path / "big", 11) == b"x" * 11
    with pytest.raises(ValueError, match="does not exist"):
        files.read_file(tmp_path / "none")
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        files.read_file(tmp_path / "big", 10)
    with pytest.raises(ValueError, match=r"cannot be read|not a file"):
        files.read_file(tmp_path)
    with pytest.raises(ValueError, match="not a file"):
        files.read_file(tmp_path / "pipe")


def test_errors_name_the_file(tmp_path: Path) -> None:
    """write(2) to a full disk does not, open(2) does already."""
    kept = Path("kept")
    with pytest.raises(OSError, match="No space left on device: 'kept'"), files.naming(kept):
        Path("/dev/full").write_text("x" * 10_000)
    with pytest.raises(OSError, match="/no/such"), files.naming(kept):
        Path("/no/such").write_text("")


@pytest.mark.parametrize(
    ("mode", "good"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o660, False)]
)
def test_a_secret_is_for_its_owner(tmp_path: Path, mode: int, good: bool) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    if good:
        assert files.read_secret(path) == b"secret"
    else:
        with pytest.raises(ValueError, match="chmod 0600"):
            files.read_secret(path)


def test_a_secret_of_somebody_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    whole = path.stat()
    assert files.exposure(whole) == ""
    theirs = os.stat_result((*whole[:4], 12345, *whole[5:]))
    assert files.exposure(theirs) == "it belongs to uid 12345: chown root:"


def test_writing_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.write_atomically(path, b"one", 0o600)
    before = path.stat().st_ino
    files.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.stat().st_ino != before
    assert names(tmp_path) == ["f"]


def test_writing_a_new_file_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.write_atomically(path, b"one", overwrite=False)
    with pytest.raises(FileExistsError):
        files.write_atomically(path, b"two", overwrite=False)
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["f"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    files.write_atomically(path, b"one")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["f"]


def test_a_secret_is_never_readable_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    replace = os.replace

    def look(source: str, target: Path) -> None:
        modes.append(stat.S_IMODE(Path(source).stat().st_mode))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    monkeypatch.setattr(os, "umask", lambda mask: mask)
    files.write_atomically(tmp_path / "key", b"secret", 0o600)
    assert modes == [0o600]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a = [", "is not TOML"),
        (b"\xff", "is not UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply|not TOML"),
    ],
)
def test_toml_errors_name_the_file(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=why) as caught:
        files.read_toml(path)
    assert caught.value.file == str(path)
    for mark in (b"", b"\xef\xbb\xbf"):  # some editors begin every file with a byte order mark
        path.write_bytes(mark + b'a = "b"')
        assert files.read_toml(path) == {"a": "b"}
