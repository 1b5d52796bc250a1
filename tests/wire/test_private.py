"""What is private, and what only stands in books."""

import pytest

from throughway.wire.private import is_private


@pytest.mark.parametrize("text", ["10.0.1.1", "172.31.0.1", "192.168.0.1", "fd00::1"])
def test_private(text: str) -> None:
    assert is_private(text)


@pytest.mark.parametrize("text", ["131.107.0.2", "203.0.113.1", "2001:db8::1", "172.32.0.1", "x"])
def test_what_is_not(text: str) -> None:
    assert not is_private(text)
