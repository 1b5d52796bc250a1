"""Who makes way for whom, over all workers."""

from throughway.gateway.occupancy import REVOKED, Occupancy
from throughway.model.status import SessionStatus


def session(number: int, fingerprint: str = "a", serial: str = "") -> SessionStatus:
    return SessionStatus(
        id=number, peer="192.0.2.1:1", since=0.0, fingerprint=fingerprint, serial=serial
    )


def test_the_oldest_make_way() -> None:
    dropped: list[tuple[int, int]] = []
    occupancy = Occupancy(lambda worker, number, _: dropped.append((worker, number)))
    occupancy.opened(0, session(1), 1)
    occupancy.opened(0, session(2, "b"), 1)
    occupancy.opened(0, session(3, ""), 1)
    occupancy.opened(1, session(1, ""), 1)
    assert dropped == []
    occupancy.opened(1, session(1), 1)
    assert dropped == [(0, 1)]
    occupancy.closed(0, session(1))
    occupancy.opened(0, session(4), 2)
    assert dropped == [(0, 1)]
    occupancy.opened(0, session(5), 2)
    assert dropped == [(0, 1), (1, 1)]


def test_zero_allows_any_number_and_what_is_gone_counts_not() -> None:
    dropped: list[tuple[int, int]] = []
    occupancy = Occupancy(lambda worker, number, _: dropped.append((worker, number)))
    for number in range(4):
        occupancy.opened(number % 2, session(number), 0)
    occupancy.ended(0)
    occupancy.closed(1, session(1))
    occupancy.closed(1, session(9))
    occupancy.opened(0, session(7), 2)
    assert dropped == []
    occupancy.ended(1)
    occupancy.closed(0, session(7))
    occupancy.opened(0, session(8), 1)
    assert dropped == []


def test_what_is_revoked_ends() -> None:
    dropped: list[tuple[int, int, str]] = []
    occupancy = Occupancy(lambda *told: dropped.append(told))
    occupancy.opened(0, session(1, "a", "1A"), 0)
    occupancy.opened(1, session(1, "a", "1A"), 0)
    occupancy.opened(1, session(2, "b", "2B"), 0)
    occupancy.opened(1, session(3, "c"), 0)
    occupancy.revoke(frozenset())
    assert dropped == []
    occupancy.revoke({"1A", "77"})
    assert dropped == [(0, 1, REVOKED), (1, 1, REVOKED)]
