"""CLOCK_BOOTTIME goes on while the computer sleeps; a busy second is no sleep."""

import asyncio
import contextlib

import pytest

from throughway.client import sleep as module


def test_each_sleep_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((5.0, 5.0, 5.005, 65.0, 65.0))
    monkeypatch.setattr(module, "SLEEP_INTERVAL", 0.01)
    told: list[float] = []

    def slept() -> float:
        try:
            return next(clock)
        except StopIteration:
            raise asyncio.CancelledError from None

    monkeypatch.setattr(module, "slept", slept)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(module.watch_sleep(told.append))
    assert told == [pytest.approx(59.995)]


def test_a_computer_has_slept_no_less_than_nothing() -> None:
    assert module.slept() >= -0.001
