"""Who waits for a file hears of it at once, whichever way it was written."""

import asyncio
import os
import struct
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
def test_a_change_ends_the_waiting(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("old")

    async def scenario() -> bool:
        with FileWatch(file) as watch:
            change(file)
            return await watch.wait(PATIENCE)

    assert asyncio.run(scenario())


def test_other_files_do_not(tmp_path: Path) -> None:
    async def scenario() -> tuple[bool, bool]:
        with FileWatch(tmp_path / "resolv.conf") as watch:
            (tmp_path / "hosts").write_text("")
            first = await watch.wait(0.05)
            (tmp_path / "resolv.conf").write_text("")
            return first, await watch.wait(PATIENCE)

    assert asyncio.run(scenario()) == (False, True)


def test_where_nothing_is_told_the_time_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    async def scenario(file: Path) -> bool:
        with FileWatch(file) as watch:
            return await watch.wait(0.01)

    before = set(os.listdir("/proc/self/fd"))
    assert not asyncio.run(scenario(tmp_path / "missing" / "resolv.conf"))
    assert set(os.listdir("/proc/self/fd")) == before
    monkeypatch.setattr(file_watch, "_libc", Full())
    assert not asyncio.run(scenario(tmp_path / "resolv.conf"))


def test_events_are_read_one_after_the_other() -> None:
    events = b"".join(
        struct.pack("iIII", 1, 0x80, 0, length) + name.ljust(length, b"\0")
        for name, length in ((b"hosts", 16), (b"", 0), (b"resolv.conf", 16))
    )
    assert list(names(events)) == [b"hosts", b"", b"resolv.conf"]
