"""Asking a KDC for the time: what is asked, and only answers that are exactly as they must be."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.der import (
    APPLICATION,
    CONTEXT,
    GENERAL_STRING,
    GENERALIZED_TIME,
    INTEGER,
    SEQUENCE,
    tagged,
)
from throughway.wire.kerberos import KRB_ERROR, KDCError, build_as_request, parse_error
from throughway.wire.kkdcp import AS_REQ, parse_kdc_request


def error(
    *,
    kind: bytes = bytes((KRB_ERROR,)),
    time: bytes = b"20261121204805Z",
    micro: bytes = b"\x0f\x42\x3f",
    code: bytes = b"\x06",
    realm: bytes = b"CORP.EXAMPLE.COM",
) -> bytes:
    parts = (
        (0, tagged(INTEGER, b"\x05")),
        (1, tagged(INTEGER, kind)),
        (4, tagged(GENERALIZED_TIME, time)),
        (5, tagged(INTEGER, micro)),
        (6, tagged(INTEGER, code)),
        (9, tagged(GENERAL_STRING, realm)),
    )
    content = b"".join(tagged(CONTEXT | number, value) for number, value in parts)
    return tagged(APPLICATION | KRB_ERROR, tagged(SEQUENCE, content))


def test_a_request_is_one_that_a_careful_proxy_would_pass() -> None:
    asked = parse_kdc_request(build_as_request("nobody", "CORP.EXAMPLE.COM", 2**31 - 1))
    assert (asked.kind, asked.client, asked.realm) == (AS_REQ, "nobody", "CORP.EXAMPLE.COM")
    assert asked.service == "krbtgt/CORP.EXAMPLE.COM"


def test_an_error_bears_the_clock() -> None:
    time = datetime(2026, 11, 21, 20, 48, 5, 999_999, tzinfo=UTC)
    assert parse_error(error()) == KDCError(code=6, time=time, realm="CORP.EXAMPLE.COM")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        error()[:-1],
        error() + b"\0",
        error(kind=b"\x0b"),
        error(time=b"20261341204805Z"),
        error(time=b"yesterday"),
        error(micro=b"\x0f\x42\x40"),
        error(micro=b"\xff"),
        error(code=b"\0" * 5),
        error(code=b""),
        build_as_request("nobody", "R", 1),
    ],
)
def test_what_is_no_error_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_error(data)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_nothing_else_comes_out(noise: bytes, at: int) -> None:
    good = error()
    for data in (noise, good[:at] + noise + good[at:], good[:at]):
        try:
            parse_error(data)
        except WireError:
            continue
