"""A flood of refusals is counted, and hides nobody."""

from throughway.proto.flood import EVERYBODY, WINDOW, FloodGate, LeftOut


def test_a_source_is_recorded_a_few_times_and_then_counted() -> None:
    gate = FloodGate(per_source=3)
    assert [gate.admits("192.0.2.1", 1.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert gate.due(2.0) == ()
    assert gate.due(1.0 + WINDOW) == (LeftOut("192.0.2.1", 2),)
    assert gate.due(1.0 + WINDOW) == ()
    assert gate.admits("192.0.2.1", 2.0 + WINDOW)


def test_what_was_left_out_is_told_before_a_source_begins_anew() -> None:
    gate = FloodGate(per_source=1)
    gate.admits("a", 0.0)
    gate.admits("a", 1.0)
    assert not gate.admits("a", WINDOW + 5)
    assert gate.due(WINDOW + 5) == (LeftOut("a", 2),)


def test_one_source_hides_no_other() -> None:
    gate = FloodGate(per_source=3)
    for _ in range(1000):
        gate.admits("192.0.2.1", 1.0)
    assert gate.admits("198.51.100.7", 1.0)


def test_all_together_have_a_limit_too() -> None:
    gate = FloodGate(per_source=3, total=10)
    admitted = sum(gate.admits(f"source {n}", 1.0) for n in range(50))
    assert admitted == 10
    assert gate.admits("later", 1.0 + WINDOW)
    assert sum(left.count for left in gate.due(1.0 + WINDOW)) == 40


def test_memory_has_a_limit_and_nothing_is_forgotten() -> None:
    gate = FloodGate(per_source=1, max_sources=10)
    for n in range(100):
        gate.admits(f"source {n}", 1.0)
        gate.admits(f"source {n}", 1.0)
    left = gate.due(1.0, everything=True)
    assert LeftOut(EVERYBODY, 90) in left
    assert sum(one.count for one in left) == 100
