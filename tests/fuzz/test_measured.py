"""What is too slow is found, on whatever machine; a slow machine is not."""

import gc
import math

import pytest

from tests import measured


def test_what_takes_longer_than_it_may_is_found() -> None:
    def several() -> None:
        for _ in range(12):
            measured.fixed()

    assert measured.seconds(several, 2 * measured.PACE) > 2 * measured.PACE


def test_a_slow_machine_is_not_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = measured.PACE / 10
    monkeypatch.setattr(measured, "PACE", measured.PACE / 100)
    # This one may be slow indeed, and what is tried here is the proportion.
    monkeypatch.setattr(measured, "HOPELESS", math.inf)
    assert measured.seconds(measured.fixed, limit) < limit


def test_what_never_ends_is_not_done_again() -> None:
    times = []
    measured.seconds(lambda: times.append(measured.fixed()), 1e-6)
    assert len(times) == 1


def test_garbage_is_collected_afterwards() -> None:
    measured.seconds(lambda: None, 1)
    assert gc.isenabled()
