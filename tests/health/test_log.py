"""What the logs let through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.health.log import MAXIMUM_VALUE, bound, configure, logger


def test_one_event_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    logger("link").info("session opened", peer="2001:db8::1\nforged line", bytes=5)
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert 'event="session opened"' in printed
    assert "component=link" in printed
    assert "bytes=5" in printed


def test_debug_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    logger("link").debug("detail")
    assert capsys.readouterr().err == ""
    configure(debug=True)
    logger("link").debug("detail")
    assert "detail" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["password", "token", "nt_hash", "session_key"])
def test_no_secret(key: str) -> None:
    assert bound(None, "info", {key: "hunter2"}) == {key: "(not logged)"}


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=MAXIMUM_VALUE * 2)))
def test_values_are_bounded_and_printable(event: dict[str, str]) -> None:
    for value in bound(None, "info", dict(event)).values():
        assert len(value) <= MAXIMUM_VALUE + 1
        assert value.isprintable()
