"""What nobody uses goes back; seen in a process of its own, whose memory nobody else uses."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from throughway.control import memory

BETWEEN = """
from throughway.control.memory import give_back
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if "RssAnon" in line)
blocks = [b"x" * size for _ in range(400) for size in (100_000, 600)]
pinned = blocks[1::2]
del blocks
before = resident()
give_back()
print(before - resident())
"""

CYCLE = """
import gc, weakref
from throughway.control.memory import give_back
class Transport:
    pass
gc.disable()
one = Transport()
one.itself = one
there = weakref.ref(one)
del one
give_back()
print("gone" if there() is None else "there")
"""


def run(script: str) -> str:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_free_between_small_blocks_is_given_back() -> None:
    assert int(run(BETWEEN)) > 20_000


def test_what_holds_only_itself_is_gone() -> None:
    assert run(CYCLE) == "gone"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_libc", SimpleNamespace())
    memory.give_back()
