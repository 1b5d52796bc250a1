"""One connection, segment by segment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.proto.flows.tcp import KEPT_BYTES, MAXIMUM_PENDING, Connection, Direction, Side
from throughway.wire.transport import TCPSegment

SYN, ACK, FIN, RST = 2, 16, 1, 4


def segment(
    sequence: int, payload: bytes = b"", flags: int = ACK, length: int | None = None
) -> TCPSegment:
    size = len(payload) if length is None else length
    return TCPSegment(50000, 443, sequence % (1 << 32), 0, flags, 1024, payload, size)


def opened() -> Connection:
    connection = Connection(b"c", 50000, b"s", 443, 1, 0.0)
    connection.receive(segment(99, flags=SYN), Side.CLIENT, 0.0, 1)
    connection.receive(segment(499, flags=SYN | ACK), Side.SERVER, 0.1, 2)
    connection.receive(segment(100), Side.CLIENT, 0.2, 3)
    return connection


def test_from_the_first_to_the_last() -> None:
    connection = opened()
    connection.receive(segment(100, b"hello"), Side.CLIENT, 0.3, 4)
    connection.receive(segment(500, b"answer"), Side.SERVER, 0.4, 5)
    connection.receive(segment(506, flags=FIN | ACK), Side.SERVER, 0.5, 6)
    assert not connection.closed
    connection.receive(segment(105, b"!", flags=FIN | ACK), Side.CLIENT, 0.6, 7)
    assert connection.closed
    flow = connection.result()
    assert (flow.attempts, flow.answered, flow.established) == (1, True, True)
    assert (flow.client_data, flow.server_data) == (b"hello!", b"answer")
    assert (flow.sent, flow.received) == (6, 6)
    assert (flow.finished_by, flow.reset_by) == (Side.SERVER, None)
    assert (flow.first_packet, flow.last_packet, flow.ended) == (1, 7, 0.6)


def test_nobody_answers() -> None:
    connection = Connection(b"c", 50000, b"s", 443, 1, 0.0)
    for number, at in enumerate((0.0, 0.0001, 1.0, 3.0), 1):
        connection.receive(segment(99, flags=SYN), Side.CLIENT, at, number)
    flow = connection.result()
    assert (flow.attempts, flow.answered, flow.established) == (3, False, False)


def test_refused() -> None:
    connection = Connection(b"c", 50000, b"s", 443, 1, 0.0)
    connection.receive(segment(99, flags=SYN), Side.CLIENT, 0.0, 1)
    connection.receive(segment(0, flags=RST | ACK), Side.SERVER, 0.1, 2)
    flow = connection.result()
    assert connection.closed
    assert (flow.answered, flow.reset_by) == (False, Side.SERVER)


def test_a_syn_with_another_number_is_another_connection() -> None:
    connection = opened()
    assert not connection.is_new(segment(99, flags=SYN), Side.CLIENT)
    assert connection.is_new(segment(7, flags=SYN), Side.CLIENT)
    assert connection.is_new(segment(99, flags=SYN), Side.SERVER)
    assert not connection.is_new(segment(7, flags=SYN | ACK), Side.SERVER)


def test_retransmissions_take_time() -> None:
    direction = Direction()
    direction.begin(0)
    direction.receive(segment(0, b"abc"), 1.0)
    direction.receive(segment(0, b"abc"), 1.001)
    assert direction.retransmissions == 0
    direction.receive(segment(0, b"abc"), 1.5)
    direction.receive(segment(2, b"c"), 3.0)
    assert (direction.retransmissions, bytes(direction.data)) == (1, b"abc")


def test_a_gap_ends_what_is_kept() -> None:
    direction = Direction()
    direction.begin(0)
    direction.receive(segment(0, b"abc", length=9), None)
    direction.receive(segment(9, b"def"), None)
    assert (bytes(direction.data), direction.full, direction.reached) == (b"abc", True, 12)


def test_without_its_beginning_nothing_is_kept() -> None:
    direction = Direction()
    direction.receive(segment(1000, b"middle"), None)
    assert (bytes(direction.data), direction.full, direction.reached) == (b"", True, 6)


def test_what_waits_has_a_limit() -> None:
    direction = Direction()
    direction.begin(0)
    for number in range(MAXIMUM_PENDING + 9):
        direction.receive(segment(10 + number, b"x"), None)
    assert direction.kept == MAXIMUM_PENDING
    direction.receive(segment(0, b"y" * 10), None)
    assert direction.kept == len(direction.data) == 10 + MAXIMUM_PENDING


@pytest.mark.parametrize("first", [0, (1 << 32) - 70_000, (1 << 32) - 5])
def test_numbers_wrap(first: int) -> None:
    direction = Direction()
    direction.begin(first)
    for number in range(100):
        direction.receive(segment(first + 1000 * number, bytes(1000)), None)
    assert direction.reached == 100_000
    assert len(direction.data) == KEPT_BYTES
    direction.pass_over((first + 5_000_000) % (1 << 32))
    assert direction.reached == 5_000_000


@given(st.binary(min_size=1, max_size=200), st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_order_gives_the_same(data: bytes, chance: object, size: int) -> None:
    pieces = [(at, data[at : at + size]) for at in range(0, len(data), size)]
    pieces = pieces[:MAXIMUM_PENDING]
    chance.shuffle(pieces)  # type: ignore[attr-defined]
    direction = Direction()
    direction.begin(77)
    for at, piece in pieces:
        direction.receive(segment(77 + at, piece), None)
    assert direction.data == b"".join(piece for _, piece in sorted(pieces))
