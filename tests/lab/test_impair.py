"""A bad line as a machine; the shim itself is in tests/scenarios/test_bad_lines.py."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.lab.impair import QUEUE_LIMIT, Impairment, Line, wire_of
from throughway.model.errors import LabError


def line(**what: float) -> Line:
    return Line(Impairment(**what), random.Random(7))


def carried(one: Line, frames: list[bytes], at: float = 0.0) -> list[bytes]:
    for number, frame in enumerate(frames):
        one.put(frame, at + number / 1000)
    return one.due(at + 1000)


FRAMES = [str(number).encode() for number in range(2000)]


def test_a_good_line_carries_all_in_order_at_once() -> None:
    one = line()
    assert carried(one, FRAMES) == FRAMES
    assert one.next_at is None


def test_delay_is_kept_to() -> None:
    one = line(delay=300)
    one.put(b"a", 10.0)
    assert one.next_at == pytest.approx(10.3)
    assert one.due(10.29) == []
    assert one.due(10.31) == [b"a"]


def test_loss_is_about_what_was_asked_for() -> None:
    one = line(loss=5)
    arrived = carried(one, FRAMES)
    assert len(arrived) + one.lost == len(FRAMES)
    assert 60 <= one.lost <= 140


def test_jitter_keeps_the_order_and_reordering_does_not() -> None:
    assert carried(line(delay=50, jitter=50), FRAMES) == FRAMES
    mixed = carried(line(delay=50, reorder=5), FRAMES)
    assert mixed != FRAMES
    assert sorted(mixed) == sorted(FRAMES)


def test_a_queue_has_an_end() -> None:
    one = line(delay=10_000)
    for _ in range(QUEUE_LIMIT + 5):
        one.put(b"x", 0.0)
    assert one.lost == 5


@pytest.mark.parametrize(
    "what", [{"loss": 101}, {"reorder": -1}, {"jitter": 5}, {"delay": 20_000}, {"loss": -0.1}]
)
def test_what_no_line_does_is_refused(what: dict[str, float]) -> None:
    with pytest.raises(LabError):
        Impairment(**what)


@given(st.floats(0, 100), st.floats(0, 500), st.floats(0, 100), st.integers(0, 200))
def test_every_frame_arrives_or_is_counted(
    loss: float, delay: float, reorder: float, number: int
) -> None:
    one = line(loss=loss, delay=delay, reorder=reorder)
    assert len(carried(one, FRAMES[:number])) + one.lost == number


def test_names_fit_the_kernel() -> None:
    assert wire_of("client1.eth0") == "client1.wire"
