"""DER by hand: what is built is read again, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.der import CONTEXT, OCTETS, SEQUENCE, fields, read, tagged, whole


@given(st.binary(max_size=300), st.binary(max_size=9))
def test_what_is_built_is_read(content: bytes, rest: bytes) -> None:
    assert read(tagged(OCTETS, content) + rest) == (OCTETS, content, rest)
    assert whole(tagged(OCTETS, content), OCTETS) == content


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65_535, 65_536])
def test_every_form_of_length(size: int) -> None:
    assert whole(tagged(SEQUENCE, bytes(size)), SEQUENCE) == bytes(size)


@pytest.mark.parametrize(
    "data", [b"", b"\x04", b"\x04\x02a", b"\x04\x80", b"\x04\x84\0\0\0\1a", b"\x04\x82\1"]
)
def test_what_ends_early_or_cannot_be(data: bytes) -> None:
    with pytest.raises(WireError):
        read(data)


def test_fields_come_once_and_in_order() -> None:
    one, two = tagged(CONTEXT | 1, b"a"), tagged(CONTEXT | 2, b"b")
    assert fields(one + two) == {1: b"a", 2: b"b"}
    for wrong in (two + one, one + one, tagged(OCTETS, b"a")):
        with pytest.raises(WireError):
            fields(wrong)
