"""docs/operate/roaming.md tells what was measured, and every move stayed within its bound."""

from pathlib import Path

from bench import roaming
from bench.roaming import Move

PAGE = Path(__file__).parent.parent.parent / "docs" / "operate" / "roaming.md"
BOUND = 3.0
"""Seconds that a move may cost where the network lets it."""


def test_the_page_has_what_was_measured() -> None:
    page = PAGE.read_text()
    moves = roaming.load()
    assert "\n".join(roaming.table(moves)) in page
    rounds = len(moves) // (len(roaming.JOURNEY) - 1)
    assert f"python -m bench.roaming --rounds {rounds}" in page


def test_every_move_is_within_its_bound() -> None:
    moves = roaming.load()
    assert [move for move in moves if move.pings > BOUND] == []


def test_gaps_begin_before_the_move_and_end_when_it_is_looked_at() -> None:
    times = [1.0, 2.0, 5.0, 5.5]
    assert roaming.longest_gap(times, 2.5, 5.5) == 3.0
    assert roaming.longest_gap(times, 5.6, 9.5) == 4.0
    assert roaming.longest_gap([], 1.0, 3.0) == 2.0


def test_a_line_has_medians_and_the_worst() -> None:
    moves = [Move("home", "hotel", pings, 2 * pings, 1, "iphttps") for pings in (0.1, 0.2, 0.9)]
    expected = "| `home` | `hotel` | 0.20 s | 0.90 s | 0.40 s | 1.80 s | 1 | iphttps |"
    assert roaming.line(moves) == expected
