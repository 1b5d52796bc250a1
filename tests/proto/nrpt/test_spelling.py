"""The case of letters, drawn by lot."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.proto.nrpt.spelling import same_but_for_case, spelled

NAME = b"\3www\7Example\3net\0"


@given(st.integers(0, 2 ** (8 * len(NAME)) - 1))
def test_only_the_case_of_letters_changes(number: int) -> None:
    new = spelled(NAME, lambda bits: number)
    assert new.lower() == NAME.lower()
    assert same_but_for_case(new + b"\0\1\0\1", NAME + b"\0\1\0\1")


def test_every_letter_may_be_either() -> None:
    assert spelled(NAME, lambda bits: 0) == NAME.lower()
    assert spelled(NAME, lambda bits: (1 << bits) - 1) == NAME.upper()


def test_what_is_no_letter_stays() -> None:
    name = b"\6_x-1@[\1{\0"
    assert spelled(name, lambda bits: (1 << bits) - 1) == b"\6_X-1@[\1{\0"


def test_types_are_not_letters() -> None:
    assert not same_but_for_case(NAME + b"\0A\0\1", NAME + b"\0a\0\1")
