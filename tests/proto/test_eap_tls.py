"""Flights of TLS in fragments (RFC 5216, 2.1.5 and 3.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.proto.eap_tls import FRAGMENT, LENGTH, MAX_FLIGHT, MORE, START, Fragments


def test_it_starts_with_the_start_bit() -> None:
    assert Fragments().start() == bytes((START,)) == b"\x20"


def test_a_short_flight_is_one_packet() -> None:
    assert Fragments().send(b"hello") == b"\x00hello"
    assert Fragments().receive(b"\x00hello") == (b"hello", True)
    # RFC 5216, 3.1: a length may stand there, needed or not.
    assert Fragments().receive(bytes((LENGTH, 0, 0, 0, 5)) + b"hello") == (b"hello", True)


def test_a_long_flight_says_its_length_once_and_waits_for_acknowledgements() -> None:
    fragments = Fragments()
    flight = bytes(range(256)) * 9
    first = fragments.send(flight)
    assert first[:5] == bytes((LENGTH | MORE, 0, 0, 9, 0))
    second, whole = fragments.receive(b"\x00")
    assert (second[0], whole) == (MORE, False)
    third, whole = fragments.receive(b"\x00")
    assert (third[0], whole) == (0, False)
    assert first[5:] + second[1:] + third[1:] == flight
    assert fragments.receive(b"\x00") == (b"", True)


@given(st.binary(max_size=5 * FRAGMENT))
def test_what_is_sent_arrives(flight: bytes) -> None:
    sender, receiver = Fragments(), Fragments()
    data = sender.send(flight)
    arrived, whole = receiver.receive(data)
    while not whole:
        data, _ = sender.receive(arrived)
        arrived, whole = receiver.receive(data)
    assert arrived == flight


@pytest.mark.parametrize("data", [b"", bytes((LENGTH,)), bytes((LENGTH, 0, 0))])
def test_what_is_no_fragment(data: bytes) -> None:
    with pytest.raises(WireError):
        Fragments().receive(data)


def test_nobody_fills_the_memory() -> None:
    fragments = Fragments()
    for _ in range(MAX_FLIGHT // FRAGMENT):
        fragments.receive(bytes((MORE,)) + bytes(FRAGMENT))
    with pytest.raises(WireError, match="flight"):
        fragments.receive(bytes((MORE,)) + bytes(FRAGMENT))


def test_data_instead_of_an_acknowledgement() -> None:
    fragments = Fragments()
    fragments.send(bytes(3 * FRAGMENT))
    with pytest.raises(WireError, match="acknowledged"):
        fragments.receive(b"\x00data")
