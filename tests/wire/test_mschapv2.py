"""EAP-MSCHAPv2 as one reads it who passes it on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.mschapv2 import (
    FAILURE,
    RESPONSE,
    parse_failure_code,
    parse_opcode,
    parse_response_name,
)


def response(name: bytes, *, length: int | None = None, size: int = 49) -> bytes:
    whole = 54 + len(name)
    head = bytes((RESPONSE, 7)) + (whole if length is None else length).to_bytes(2, "big")
    return head + bytes((size,)) + bytes(49) + name


def test_the_name_of_a_response() -> None:
    assert parse_response_name(response(b"CORP\\CLIENT1$")) == "CORP\\CLIENT1$"
    assert parse_response_name(response(b"CLIENT1$") + b"padding") == "CLIENT1$"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        response(b""),
        response(b"A", length=60),
        response(b"A", size=50),
        response(b"\xff"),
        response(b"A" * 300),
        b"\x03" + response(b"A")[1:],
    ],
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_response_name(data)


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    for parse in (parse_opcode, parse_response_name):
        try:
            parse(data)
        except WireError:
            continue
    assert parse_failure_code(data) >= 0


@pytest.mark.parametrize(
    ("text", "code"),
    [(b"E=691 R=0 C=00 V=3 M=no", 691), (b"E=647", 647), (b"", 0), (b"E=x", 0), (b"R=0 E=1", 0)],
)
def test_the_number_of_a_failure(text: bytes, code: int) -> None:
    assert parse_failure_code(bytes((FAILURE, 1, 0, 9)) + text) == code
