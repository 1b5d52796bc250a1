"""Limits of file descriptors, as the kernel has them for this process."""

import resource
from collections.abc import Iterator

import pytest

from throughway.model.errors import ConfigError
from throughway.net.descriptors import LEAST_HALF_OPEN, RESERVE, free_beside, require


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
