"""The audit's file: whole lines, rotated by size and age, safe on a full disk."""

import os
import stat
from pathlib import Path

import pytest

from throughway.net.audit_file import KEEP_DAYS, AuditFile, rotated, rotations

DAY = 86400.0


def line(at: float, text: str = "x") -> bytes:
    return b'{"at": %f, "reason": "%s"}\n' % (at, text.encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "events.jsonl"


def test_a_group_may_read_and_nobody_else(path: Path) -> None:
    file = AuditFile(path)
    file.append(line(1), 1)
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert path.read_bytes() == line(1)


def test_a_mode_that_somebody_has_widened_is_mended(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o666)
    file = AuditFile(path)
    file.append(line(1), 1)
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "passwd")
    with pytest.raises(OSError, match="symbolic links"):
        AuditFile(path).append(line(1), 1)
    assert not (tmp_path / "passwd").exists()


def test_it_is_rotated_by_size(path: Path) -> None:
    file = AuditFile(path, rotate_size=3 * len(line(1)), keep_files=2)
    for at in range(1, 9):
        file.append(line(at), at)
    file.close()
    assert [p.read_bytes() for p in rotations(path)] == [
        line(7) + line(8),
        line(4) + line(5) + line(6),
        line(1) + line(2) + line(3),
    ]
    file.append(line(9), 9)
    file.append(line(10), 10)
    file.close()
    assert len(rotations(path)) == 3
    assert line(1) not in b"".join(p.read_bytes() for p in rotations(path))


def test_it_is_rotated_by_age_also_after_a_restart(path: Path) -> None:
    file = AuditFile(path, rotate_age=7 * DAY)
    file.append(line(0), 0)
    file.append(line(6 * DAY), 6 * DAY)
    file.close()
    again = AuditFile(path, rotate_age=7 * DAY)
    again.append(line(8 * DAY), 8 * DAY)
    again.close()
    assert path.read_bytes() == line(8 * DAY)
    assert rotated(path, 1).read_bytes() == line(0) + line(6 * DAY)


def test_what_is_too_old_is_removed(path: Path) -> None:
    file = AuditFile(path, rotate_size=1)
    file.append(line(1), 1)
    file.append(line(2), 2)
    os.utime(rotated(path, 1), (1, 1))
    file.append(line(3), 1 + (KEEP_DAYS + 1) * DAY)
    file.close()
    assert not rotated(path, 2).exists()
    assert rotated(path, 1).read_bytes() == line(2)


def test_a_file_that_was_moved_away_is_begun_anew(path: Path) -> None:
    file = AuditFile(path)
    file.append(line(1), 1)
    path.rename(path.with_name("mine"))
    file.append(line(2), 2)
    file.close()
    assert path.read_bytes() == line(2)


def test_half_a_line_of_a_power_failure_ends(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(line(1) + b'{"at": 2, "rea')
    file = AuditFile(path)
    file.append(line(3), 3)
    file.close()
    assert path.read_bytes().splitlines() == [line(1)[:-1], b'{"at": 2, "rea', line(3)[:-1]]


def test_a_full_disk_takes_whole_lines_or_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuditFile(path)
    file.append(line(1), 1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    with pytest.raises(OSError, match="No space left"):
        file.append(line(2), 2)
    monkeypatch.undo()
    assert path.read_bytes() == line(1)
    file.append(line(3), 3)
    file.close()
    assert path.read_bytes() == line(1) + line(3)
