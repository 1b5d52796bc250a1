"""Links that come up and stand still, and what is made of it."""

import pytest

from throughway.model.errors import Stage, TransportError
from throughway.proto.iphttps.client import WAIT_TIMEOUT_CODE
from throughway.proto.iphttps.stalls import PROBLEM, SHORT, Stalls

SILENT = TransportError(Stage.LINK, "silent", windows_code=WAIT_TIMEOUT_CODE, problem="x")
SLOW_TLS = TransportError(Stage.TLS, "no answer", windows_code=WAIT_TIMEOUT_CODE, problem="y")
BLOCKED = TransportError(Stage.CONNECT, "no answer", windows_code=WAIT_TIMEOUT_CODE, problem="x")
RESET = TransportError(Stage.LINK, "reset", windows_code=0x2746, problem="z")


@pytest.mark.parametrize("first", [SILENT, SLOW_TLS])
def test_two_in_a_row_ask_for_small_segments(first: TransportError) -> None:
    stalls = Stalls()
    assert stalls.judged(first, 10) is first
    assert not stalls.small
    stalls.came_up(11)
    assert stalls.judged(SILENT, 17) is SILENT
    assert stalls.small
    stalls.came_up(18)
    assert stalls.found().problem == PROBLEM


@pytest.mark.parametrize("between", [BLOCKED, RESET])
def test_what_is_blocked_or_reset_is_no_matter_of_size(between: TransportError) -> None:
    stalls = Stalls()
    for error in (SILENT, between, SILENT):
        assert stalls.judged(error, 10) is error
    assert not stalls.small


def test_a_link_that_has_lasted_begins_anew() -> None:
    stalls = Stalls()
    stalls.judged(SILENT, 10)
    stalls.came_up(11)
    stalls.judged(SILENT, 12 + SHORT)
    assert not stalls.small


def test_where_small_ones_stand_still_too_it_was_not_the_size() -> None:
    stalls = Stalls()
    for now in (10, 20):
        stalls.judged(SILENT, now)
    assert stalls.small
    stalls.judged(SILENT, 30)
    assert not stalls.small
    stalls.judged(SILENT, 40)
    assert not stalls.small
