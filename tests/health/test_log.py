"""What the logs let through."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.catalogue import find
from throughway.health import log_limit
from throughway.health.log import (
    MAXIMUM_VALUE,
    MORE,
    bound,
    configure,
    left_out,
    logger,
    set_level,
    tell_change,
)
from throughway.health.tracker import Tracker
from throughway.model.config import LogLevel


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
    configure(LogLevel.DEBUG)
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


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("radius: secret=hunter2, port=1812", "radius: secret=(not logged), port=1812"),
        ("http://user:hunter2@proxy:3128/ refuses", "http://(not logged)@proxy:3128/ refuses"),
        ("got Authorization: Basic aHVudGVyMjpodW50ZXIy", "got Authorization: Basic (not logged)"),
        ("https://da.example.com:443/IPHTTPS", "https://da.example.com:443/IPHTTPS"),
        ("token 'card' is gone", "token 'card' is gone"),
    ],
)
def test_no_secret_within_a_sentence(said: str, kept: str) -> None:
    assert bound(None, "info", {"reason": said}) == {"reason": kept}


def test_no_private_key_within_a_sentence() -> None:
    text = "cannot parse -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
    assert bound(None, "info", {"reason": text})["reason"] == "cannot parse (not logged)"


def test_the_level_can_be_changed_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    own = logger("link")
    configure(LogLevel.ERROR)
    own.warning("quiet")
    set_level(LogLevel.WARNING)
    own.warning("loud")
    printed = capsys.readouterr().err
    assert "quiet" not in printed
    assert "loud" in printed


def test_an_output_takes_what_standard_error_need_not_have(
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken: list[Mapping[str, Any]] = []

    def output(event: Mapping[str, Any]) -> bool:
        taken.append(dict(event))
        return bool(event["event"] == "spared")

    configure(output=output)
    logger("link").info("spared", peer="p")
    logger("link").info("printed")
    assert [one["event"] for one in taken] == ["spared", "printed"]
    assert (taken[0]["level"], taken[0]["component"], taken[0]["peer"]) == ("info", "link", "p")
    printed = capsys.readouterr().err
    assert "spared" not in printed
    assert "printed" in printed
    configure()


def test_a_problem_is_as_loud_as_it_is_bad(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogLevel.WARNING)
    tracker = Tracker(lambda: 1.0)
    tracker.subscribe(lambda change: tell_change(logger("client"), change))
    tracker.set(find("clock-skew"), "7 minutes")
    tracker.clear(find("clock-skew"))
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "code=clock-skew" in printed


def test_what_flaps_does_not_flood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand changes of one problem are some lines, and silence no other problem."""
    monkeypatch.setattr(log_limit.Limiter, "length", 3600.0)

    async def flap() -> None:
        configure()
        for number in range(10_000):
            logger("gateway").info("problem", code="clock-skew", detail=str(number))
        logger("gateway").info("problem", code="dc-unreachable")

    asyncio.run(flap())
    printed = capsys.readouterr().err
    assert printed.count("code=clock-skew") == log_limit.BURST
    assert printed.count("code=dc-unreachable") == 1
    assert left_out() == 10_000 - log_limit.BURST


def test_the_count_is_told_though_nothing_more_comes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def flood() -> None:
        told = asyncio.Event()

        def output(event: Mapping[str, Any]) -> bool:
            if event["event"] == MORE:
                told.set()
            return False

        monkeypatch.setattr(log_limit.Limiter, "length", 0.05)
        configure(output=output)
        # However slow this machine is, some of these come within one window.
        while not left_out():
            for _ in range(2 * log_limit.BURST):
                logger("gateway").warning("client refused", peer="p", problem="clock-skew")
        await told.wait()

    asyncio.run(flood())
    assert MORE in capsys.readouterr().err
    configure()


def test_a_daemon_holds_nothing_that_is_for_consoles() -> None:
    code = (
        "import sys, throughway.health.log\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'rich', 'pygments'}))\n"
        "import rich; print(rich.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nrich\n"
