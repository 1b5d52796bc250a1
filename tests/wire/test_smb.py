"""Negotiating SMB 2: what is asked, and only answers that are some."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.smb import (
    DIALECTS,
    Negotiated,
    build_negotiate,
    parse_frame,
    parse_negotiated,
)


def answer(
    *,
    status: int = 0,
    command: int = 0,
    flags: int = 1,
    dialect: int = 0x0302,
    kind: bytes = b"SMB",
) -> bytes:
    """Return a server's answer, without its frame."""
    header = b"\xfe" + kind + struct.pack("<HHIHHI", 64, 0, status, command, 1, flags)
    return header.ljust(64, b"\0") + struct.pack("<HHHH", 65, 1, dialect, 0).ljust(64, b"\0")


def test_a_request_has_the_lengths_that_it_names() -> None:
    request = build_negotiate()
    assert parse_frame(request[:4]) == len(request) - 4
    size, count = struct.unpack_from("<HH", request, 4 + 64)
    assert (request[4:8], size, count) == (b"\xfeSMB", 36, len(DIALECTS))
    assert struct.unpack(f"<{count}H", request[4 + 64 + 36 :]) == DIALECTS


def test_an_answer_names_the_dialect_or_says_why_there_is_none() -> None:
    assert parse_negotiated(answer()) == Negotiated(0, 0x0302)
    assert parse_negotiated(answer(status=0xC00000BB)) == Negotiated(0xC00000BB, 0)


@pytest.mark.parametrize(
    "data",
    [b"", answer()[:63], answer()[:66], answer(flags=0), answer(command=1), answer(kind=b"XYZ")],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_negotiated(data)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0", b"\1\0\0\x80", b"\0\xff\xff\xff", b"HTTP"])
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_frame(data)


@given(st.binary(max_size=200), st.binary(max_size=8))
def test_strangers_break_nothing(data: bytes, frame: bytes) -> None:
    for parse, given_data in ((parse_negotiated, data), (parse_frame, frame)):
        with contextlib.suppress(WireError):
            parse(given_data)
