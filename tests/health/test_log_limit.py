"""Floods and flaps: what passes, what is counted, and what is said of it."""

from throughway.health.log_limit import (
    AFTER,
    BURST,
    LONGEST,
    MAX_KINDS,
    WINDOW,
    LeftOut,
    Limiter,
)


def event(code: str = "clock-skew", **fields: str) -> dict[str, str]:
    return {"component": "gateway", "event": "problem", "level": "info", "code": code, **fields}


def run(limiter: Limiter, seconds: range) -> tuple[int, list[LeftOut]]:
    """Let one event come each second; return how many passed, and what was told."""
    passed, told = 0, []
    for now in seconds:
        told += limiter.due(float(now))
        passed += limiter.take(event(detail=str(now)), float(now))
    return passed, told


def test_few_lines_pass_as_they_come() -> None:
    limiter = Limiter()
    assert all(limiter.take(event(), float(now)) for now in range(BURST))
    assert limiter.due(WINDOW) == []
    assert limiter.timer_at() is None


def test_more_are_counted_and_told_with_the_last_of_them() -> None:
    limiter = Limiter()
    for number in range(BURST + 5):
        limiter.take(event(detail=str(number)), 0.0)
    assert limiter.timer_at() == WINDOW
    assert limiter.due(WINDOW - 1) == []
    [told] = limiter.due(WINDOW)
    assert (told.count, told.seconds) == (5, WINDOW)
    assert told.last["detail"] == str(BURST + 4)
    assert limiter.left_out == 5
    assert limiter.timer_at() is None


def test_a_day_of_flapping_makes_some_lines_an_hour() -> None:
    passed, told = run(Limiter(), range(86400))
    windows = 86400 / LONGEST + 5
    assert passed <= BURST + AFTER * windows
    assert len(told) <= windows
    counted = sum(one.count for one in told)
    assert 86400 - LONGEST <= passed + counted <= 86400


def test_a_quiet_window_makes_it_new() -> None:
    limiter = Limiter()
    for _ in range(BURST + 5):
        limiter.take(event(), 0.0)
    limiter.due(WINDOW)
    assert limiter.due(WINDOW + 2 * WINDOW) == []
    assert all(limiter.take(event(), 4 * WINDOW) for _ in range(BURST))


def test_kinds_do_not_silence_each_other() -> None:
    limiter = Limiter()
    for _ in range(BURST * 2):
        limiter.take(event(), 0.0)
    assert limiter.take(event("dc-unreachable"), 0.0)
    assert limiter.take(event() | {"event": "problem is over"}, 0.0)
    assert limiter.take(event() | {"worker": "1"}, 0.0)


def test_who_is_refused_makes_no_kind_of_his_own() -> None:
    limiter = Limiter()
    passed = sum(limiter.take(event(peer=f"p{n}", reason=f"r{n}"), 0.0) for n in range(1000))
    assert passed == BURST


def test_memory_is_bounded() -> None:
    limiter = Limiter()
    for number in range(MAX_KINDS * 3):
        limiter.take(event(f"code-{number}"), 0.0)
    assert len(limiter._windows) == MAX_KINDS
