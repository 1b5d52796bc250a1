"""Where outputs may begin is found in any text, also in one that nobody has printed."""

import pytest

from throughway.doctor.beginnings import Sort, candidates, content_after


def found(text: str) -> list[tuple[int, Sort]]:
    """Return the lines of the candidates, from 1."""
    return [(text.count("\n", 0, c.start) + 1, c.sort) for c in candidates(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Windows IP Configuration\n\n   Host Name . . . : A\n", [(1, Sort.ONCE)]),
        ("Windows-IP-Konfiguration\n\n   Hostname . . . : A\n", [(1, Sort.ONCE)]),
        ("Status    : Error\nSubstatus : X\n", [(1, Sort.OBJECT)]),
        ("Name  State\n----  -----\na     b\n", [(1, Sort.AGAIN)]),
        ("COMPUTER SETTINGS\n-----------------\n    CN=A\n", [(1, Sort.HEADING)]),
        ("Issuer:\n    CN=A\n    DC=b\n", [(1, Sort.OPENING)]),
        ('{\n  "a": 1\n}\nand more\n', [(1, Sort.DOCUMENT), (4, Sort.DOCUMENT)]),
        ("2026-02-01T10:31:12.1234567+01:00\nmore\n", [(1, Sort.ONCE), (2, Sort.DOCUMENT)]),
        ("=== Name ===\n\nmore\n", [(3, Sort.AGAIN)]),
        (f"a\n\n{'=' * 60}\nmore\n", [(4, Sort.AGAIN)]),
    ],
)
def test_what_may_begin_an_output(text: str, expected: list[tuple[int, Sort]]) -> None:
    assert found(text) == expected


def test_a_list_ends_where_colons_move() -> None:
    text = "A   : 1\nBcd : 2\nLonger : 3\nName   : 4\n"
    assert found(text) == [(1, Sort.OBJECT), (3, Sort.OBJECT)]


def test_a_value_of_several_paragraphs_is_within_its_object() -> None:
    value = "A    : [One]\n         a\n\n       [Two]\n         b\n"
    assert found(f"{value}Next : 1\nLast : 2\n") == [(1, Sort.OBJECT)]
    assert found(f"{value}\nNext : 1\nLast : 2\n") == [(1, Sort.OBJECT), (7, Sort.OBJECT)]


def test_a_line_above_a_ruler_is_no_heading() -> None:
    ruler = "-" * 40
    assert found(f"Name : a\nB : 1\n{ruler}\nmore\n")[1:] == [(4, Sort.AGAIN)]
    assert found(f"Ok.\n{ruler}\nmore\n") == [(3, Sort.AGAIN)]


def test_what_stands_within_a_document_begins_nothing() -> None:
    text = '[\n  {\n"Name  : x",\nWindows IP Configuration\n\n  A . . : b\n}\n]\n'
    assert found(text) == [(1, Sort.DOCUMENT)]


@pytest.mark.parametrize("text", ["", "\n", "a", "a\nb\n", "\n\n---", "=" * 100])
def test_nothing_begins_nothing(text: str) -> None:
    assert candidates(text) == []


def test_rulers_say_nothing() -> None:
    assert content_after(f"\n  \n{'-' * 30}\n\n  a", 0) == 36
    assert content_after(f"\n{'-' * 30}\n", 0) == -1
