"""Tokens: whole or nothing, once, in time, for one name; what is kept opens nothing."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import ConfigError, TrustError
from throughway.pki import tokens
from throughway.pki.authority import Profile, create_root
from throughway.pki.tokens import (
    Issuable,
    Token,
    TokenBook,
    account_password,
    build_book,
    build_token,
    digest_of,
    judge_use,
    parse_book,
    parse_token,
    pin_of,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "client1.corp.example.com"
SECRET = bytes(range(16))
TOKEN = Token(SECRET, bytes(32), NAME)


def issuable(secret: bytes = SECRET, name: str = NAME, days: int = 7) -> Issuable:
    return Issuable(
        digest=digest_of(secret),
        names=(name,),
        profile=Profile.COMPUTER,
        expires_at=(NOW + timedelta(days=days)).isoformat(),
    )


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_a_token_comes_back_whole(secret: bytes, pin: bytes) -> None:
    token = Token(secret, pin, NAME)
    assert parse_token(f" {build_token(token)}\n") == token


@given(st.one_of(st.text(max_size=200), st.binary(max_size=90).map(lambda b: b.decode("latin-1"))))
def test_what_is_no_token_is_told_so(text: str) -> None:
    with pytest.raises(TrustError, match="copy it whole") as told:
        parse_token(text)
    assert told.value.problem == tokens.UNKNOWN


def test_a_part_of_a_token_is_none() -> None:
    text = build_token(TOKEN)
    for cut in (text[:40], text[1:], text + "A" * 600, text[:-12]):
        with contextlib.suppress(TrustError):
            assert parse_token(cut).name != NAME


def test_found_in_time_and_used_by_one_key() -> None:
    book = TokenBook().added(issuable())
    token = book.find(SECRET, NOW)
    judge_use(token, "key one")
    spent = book.used(token, NOW, "key one", "0A").find(SECRET, NOW)
    judge_use(spent, "key one")
    with pytest.raises(TrustError, match="used before, on 2026-06-01") as told:
        judge_use(spent, "key two")
    assert told.value.problem == tokens.USED
    with pytest.raises(TrustError, match="does not know") as told:
        book.find(bytes(16), NOW)
    assert told.value.problem == tokens.UNKNOWN
    with pytest.raises(TrustError, match="has expired on 2026-06-08") as told:
        book.find(SECRET, NOW + timedelta(days=7))
    assert told.value.problem == tokens.EXPIRED


def test_a_newer_token_makes_an_unused_one_void() -> None:
    book = TokenBook().added(issuable()).added(issuable(b"B" * 16))
    with pytest.raises(TrustError, match="does not know"):
        book.find(SECRET, NOW)
    used = TokenBook().added(issuable())
    used = used.used(used.tokens[0], NOW, "key", "0A").added(issuable(b"B" * 16))
    assert used.find(SECRET, NOW).serial == "0A", "history stays"
    assert used.without_old(NOW + timedelta(days=30)).tokens == ()


def test_the_book_comes_back_whole_and_holds_no_secret() -> None:
    book = TokenBook().added(issuable())
    book = book.used(book.tokens[0], NOW, "key", "0A").added(issuable(b"B" * 16, "b.example"))
    data = build_book(book)
    assert parse_book(data, "tokens.json") == book
    for form in (SECRET.hex(), build_token(TOKEN), account_password(TOKEN)):
        assert form.encode() not in data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expires_at": "2026-06-01T00:00:00"}, "no time zone"),
        ({"profile": "root"}, "not one of"),
        ({"names": []}, "1 to"),
        ({"strange": 1}, "unknown key"),
    ],
)
def test_damage_is_told(change: dict[str, object], words: str) -> None:
    values = json.loads(build_book(TokenBook().added(issuable())))
    values["tokens"][0] |= change
    with pytest.raises(ConfigError, match=words):
        parse_book(json.dumps(values).encode(), "tokens.json")
    for garbage in (b"", b"[]", b'{"format": 2}'):
        with pytest.raises(ConfigError):
            parse_book(garbage, "tokens.json")


def test_both_ends_make_the_same_password_and_others_another() -> None:
    assert len(account_password(TOKEN)) == 32
    assert account_password(parse_token(build_token(TOKEN))) == account_password(TOKEN)
    assert account_password(Token(SECRET, bytes(32), "b.example")) != account_password(TOKEN)


def test_pins_tell_keys_apart() -> None:
    one, other = (create_root("Root", NOW).certificate for _ in range(2))
    assert pin_of(one) == pin_of(one) != pin_of(other)
