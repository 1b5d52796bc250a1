"""Messages of EST: read back, and refused when they are none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.pki import est
from throughway.pki.authority import create_root

ROOTS = [create_root(f"Root {n}", datetime(2026, 6, 1, tzinfo=UTC)).certificate for n in range(2)]


def test_certificates_come_back() -> None:
    body = est.build_certificates(ROOTS)
    assert set(est.parse_certificates(body)) == set(ROOTS)
    assert est.parse_certificates(body.replace(b"\n", b"\r\n"))


@given(st.binary(max_size=200))
def test_garbage_is_no_answer(body: bytes) -> None:
    with pytest.raises(WireError):
        est.parse_certificates(body)
    with pytest.raises(WireError):
        est.parse_certificates(est.encode(body))


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (est.build_authorization("client1", "a-b_c"), "a-b_c"),
        ("basic OmEtYl9j", "a-b_c"),
        ("Bearer a-b_c", "a-b_c"),
        ("bearer  a-b_c ", "a-b_c"),
        ("", ""),
        ("Basic", ""),
        ("Basic %%%", ""),
        ("Basic /////w==", ""),
        ("Negotiate YII=", ""),
    ],
)
def test_tokens_are_shown_as_http_has_it(header: str, token: str) -> None:
    assert est.parse_authorization(header) == token
