"""One-time codes: the vectors of RFC 6238, and what counts when, and only once."""

import base64

import pytest

from tests.smart_cards import ALICE
from throughway.model.errors import ConfigError
from throughway.pki.totp import (
    FAILURES_FOR,
    MAX_FAILURES,
    Device,
    DeviceBook,
    build_book,
    check,
    make_device,
    parse_book,
)

SEED = b"12345678901234567890"
# RFC 6238, appendix B: time, and the codes of SHA-1, SHA-256 and SHA-512.
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
NOW = 1_700_000_010.0
DEVICE = make_device(ALICE, SEED)
BOOK = DeviceBook(devices=(DEVICE,))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector[0]))
def test_the_vectors_of_rfc_6238(vector: tuple[int, str, str, str]) -> None:
    at, *codes = vector
    # Appendix B's seeds are as long as the hash.
    for (name, length), code in zip(
        (("SHA1", 20), ("SHA256", 32), ("SHA512", 64)), codes, strict=True
    ):
        seed = base64.b32encode((SEED * 4)[:length]).decode()
        device = Device(principal=ALICE, secret=seed, algorithm=name, digits=8)
        assert device.code(at) == code
        book, refused = check(DeviceBook(devices=(device,)), ALICE, code, at)
        assert refused is None
        assert book.devices[0].last == at // 30


def judged(book: DeviceBook, code: str, now: float) -> tuple[DeviceBook, str]:
    book, refused = check(book, ALICE, code, now)
    return book, "" if refused is None else refused.problem


@pytest.mark.parametrize(
    ("off", "problem"),
    [
        (0, ""),
        (-30, ""),
        (30, ""),
        (-90, "one-time-code-clock"),
        (90, "one-time-code-clock"),
        (600, "one-time-code-clock"),
        (1200, "one-time-code-wrong"),
    ],
)
def test_clocks_that_differ(off: float, problem: str) -> None:
    book, why = judged(BOOK, DEVICE.code(NOW + off), NOW)
    assert why == problem
    assert book.devices[0].failures == bool(problem)


def test_the_words_say_which_way_the_clock_is_wrong() -> None:
    _, refused = check(BOOK, ALICE, DEVICE.code(NOW + 90), NOW)
    assert "90 s ahead of the gateway's" in str(refused)


def test_a_code_counts_once_and_so_does_none_before_it() -> None:
    book, why = judged(BOOK, DEVICE.code(NOW), NOW)
    assert why == ""
    assert judged(book, DEVICE.code(NOW), NOW + 1)[1] == "one-time-code-used"
    assert judged(book, DEVICE.code(NOW - 30), NOW)[1] == "one-time-code-used"
    assert judged(book, DEVICE.code(NOW + 30), NOW)[1] == ""


def test_guessing_is_stopped_for_a_while() -> None:
    book = BOOK
    for _ in range(MAX_FAILURES):
        book, why = judged(book, "000000", NOW)
        assert why == "one-time-code-wrong"
    assert judged(book, DEVICE.code(NOW), NOW)[1] == "one-time-code-too-many"
    later = NOW + FAILURES_FOR
    book, why = judged(book, "000000", later)
    assert (why, book.devices[0].failures) == ("one-time-code-wrong", 1)
    assert judged(book, DEVICE.code(later), later)[1] == ""


def test_who_has_no_device() -> None:
    _, refused = check(BOOK, "bob@CORP.EXAMPLE.COM", "000000", NOW)
    assert refused is not None
    assert refused.problem == "one-time-code-unknown-user"


@pytest.mark.parametrize(
    "code", ["", "abc", "12345", "1234567", "\uff11\uff12\uff13\uff14\uff15\uff16", "\0"]
)
def test_what_is_no_code(code: str) -> None:
    assert judged(BOOK, code, NOW)[1] == "one-time-code-wrong"


def test_the_book_is_kept() -> None:
    book, _ = judged(BOOK, DEVICE.code(NOW), NOW)
    assert parse_book(build_book(book), "codes.json") == book
    assert book.without(ALICE.lower()).devices == ()
    assert len(book.added(DEVICE).devices) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"format": 1, "devices": [{}]}',
        b'{"format": 1, "devices": [{"principal": "a@B", "secret": "AAAA"}]}',
        b'{"format": 1, "devices": [{"principal": "a@B", "secret": "!!"}]}',
    ],
)
def test_a_damaged_book(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_book(data, "codes.json")


def test_what_devices_read() -> None:
    assert DEVICE.uri("corp.example.com") == (
        "otpauth://totp/corp.example.com%3Aalice%40CORP.EXAMPLE.COM"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=corp.example.com"
        "&algorithm=SHA1&digits=6&period=30"
    )
