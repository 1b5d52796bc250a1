"""Who waits for a file hears of it at once, whichever way it was written."""

import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from throughway.net import file_watch
from throughway.net.file_watch import FileWatch, names


def replace(file: Path) -> None:
    beside = file.with_name("beside")
    beside.write_text("new")
    beside.replace(file)


@pytest.mark.parametrize(
    "change", [lambda file: file.write_text("new"), replace, lambda file: file.unlink()]
)
def test_a_change_is_told(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file, touched = tmp_path / "resolv.conf", threading.Event()
    file.write_text("old")
    with FileWatch(file, touched.set):
        change(file)
        assert touched.wait(PATIENCE)


def test_other_files_are_not(tmp_path: Path) -> None:
    """The kernel tells one after the other: the first thing that is told is the file's own."""
    file, seen, touched = tmp_path / "resolv.conf", [], threading.Event()

    def told() -> None:
        seen.append(file.exists())
        touched.set()

    with FileWatch(file, told):
        (tmp_path / "hosts").write_text("")
        file.write_text("")
        assert touched.wait(PATIENCE)
    assert False not in seen


def test_nothing_is_left_open_and_nothing_is_told_any_more(tmp_path: Path) -> None:
    file, told = tmp_path / "resolv.conf", list[bool]()
    before, threads = set(os.listdir("/proc/self/fd")), threading.active_count()
    with FileWatch(file, lambda: told.append(True)):
        pass
    file.write_text("")
    assert set(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads
    assert told == []


def test_where_the_kernel_tells_nothing_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    before = set(os.listdir("/proc/self/fd"))
    with FileWatch(tmp_path / "missing" / "resolv.conf", pytest.fail):
        pass
    monkeypatch.setattr(file_watch, "_libc", Full())
    with FileWatch(tmp_path / "resolv.conf", pytest.fail):
        (tmp_path / "resolv.conf").write_text("")
    assert set(os.listdir("/proc/self/fd")) == before


def test_events_are_read_one_after_the_other() -> None:
    events = b"".join(
        struct.pack("iIII", 1, 0x80, 0, length) + name.ljust(length, b"\0")
        for name, length in ((b"hosts", 16), (b"", 0), (b"resolv.conf", 16))
    )
    assert list(names(events)) == [b"hosts", b"", b"resolv.conf"]
