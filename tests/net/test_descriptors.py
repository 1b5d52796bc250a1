"""Limits of file descriptors, as the kernel has them for this process."""

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest

from throughway.model.errors import ConfigError
from throughway.net.descriptors import (
    LEAST_HALF_OPEN,
    RESERVE,
    Spare,
    free_beside,
    require,
)


@pytest.fixture
def limit() -> Iterator[int]:
    """Of which the tests use some."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2000, before[1]))
    yield 2000
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_fits(limit: int) -> None:
    most = limit - LEAST_HALF_OPEN - RESERVE
    require(most)
    with pytest.raises(ConfigError) as caught:
        require(most + 1, "gateway.toml")
    assert caught.value.key == "iphttps.max_sessions"
    assert "LimitNOFILE" in str(caught.value)
    assert "2000" in str(caught.value)


def test_what_is_left_for_those_that_have_asked_for_nothing(limit: int) -> None:
    assert free_beside(1000) == limit - 1000 - RESERVE
    assert free_beside(limit) == LEAST_HALF_OPEN


def test_no_limit_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: endless)
    require(1_000_000)
    assert free_beside(10_000) > 100_000


def test_what_is_kept_is_given_up_when_no_more_can_be_opened_and_taken_back_then(
    limit: int,
) -> None:
    spare = Spare()
    opened: list[int] = []
    try:
        assert spare.look() == ""
        with contextlib.suppress(OSError):
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        assert spare.look() == f"{limit} may be open, and none is left"
        os.close(os.open(os.devnull, os.O_RDONLY))  # now there is room
        assert spare.look().endswith(f" of {limit} are open")
        while opened:
            os.close(opened.pop())
        assert spare.look() == ""
        assert spare._kept
    finally:
        for descriptor in opened:
            os.close(descriptor)
        spare.release()
