"""Session keys in RADIUS: what is hidden is found again, and only with the secret."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.mppe import MAX_KEY, build_mppe_key, parse_mppe_key

SECRET, AUTHENTICATOR = b"a secret of both ends", bytes(range(16))


@given(st.binary(min_size=1, max_size=MAX_KEY), st.binary(min_size=2, max_size=2))
def test_there_and_back(key: bytes, salt: bytes) -> None:
    value = build_mppe_key(key, SECRET, AUTHENTICATOR, salt)
    assert value[0] & 0x80
    assert (len(value) - 2) % 16 == 0
    assert parse_mppe_key(value, SECRET, AUTHENTICATOR) == key


def test_another_secret_finds_no_key() -> None:
    key = bytes(range(16))
    value = build_mppe_key(key, SECRET, AUTHENTICATOR, b"\x80\x01")
    assert key not in value
    for secret, authenticator in ((b"other", AUTHENTICATOR), (SECRET, bytes(16))):
        try:
            assert parse_mppe_key(value, secret, authenticator) != key
        except WireError:
            continue


@given(st.binary(max_size=120))
def test_any_bytes(value: bytes) -> None:
    with contextlib.suppress(WireError):
        assert 0 < len(parse_mppe_key(value, SECRET, AUTHENTICATOR)) <= MAX_KEY


@pytest.mark.parametrize("key", [b"", bytes(MAX_KEY + 1)])
def test_what_is_no_key_is_not_built(key: bytes) -> None:
    with pytest.raises(WireError):
        build_mppe_key(key, SECRET, AUTHENTICATOR, b"\x80\x00")
