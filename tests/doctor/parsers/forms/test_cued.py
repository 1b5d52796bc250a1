"""What is tried only where a cue stands finds what a search for all patterns would find."""

import random
import re

import pytest

from throughway.doctor.parsers.forms.cued import Head, Heads, lowered

HEADS = (
    Head(re.compile(r"[^\n:]{1,20}\n-{3,}$", re.MULTILINE), ("---",), (1,)),
    Head(re.compile(r"Name: \w+\n(?:\w+\n){0,2}END", re.MULTILINE), ("name: ",)),
    Head(re.compile(r"(?:x\n)?(?:y\n)?END$", re.MULTILINE), ("end",), (0, 1, 2)),
    Head(re.compile(r"Server[ ]{0,2}:|Serveur :", re.MULTILINE), ("server", "serveur")),
    Head(re.compile(r"\w+\nURL", re.MULTILINE), ("\nurl",)),
)
WHOLE = re.compile(rf"^(?:{'|'.join(head.pattern.pattern for head in HEADS)})", re.MULTILINE)
LINES = (
    "Name: a",
    "END",
    "---",
    "----",
    "x",
    "y",
    "Server:",
    "Serveur :",
    "URL",
    "",
    "\u0130",
    "b",
)


def test_what_is_found_is_what_one_pattern_finds() -> None:
    source = random.Random(7)
    known = Heads(*HEADS)
    for _ in range(2000):
        text = "\n".join(source.choices(LINES, k=source.randint(0, 12)))
        found = [match.span() for match in known.finditer(text, lowered(text))]
        assert found == [match.span() for match in WHOLE.finditer(text)], text


@pytest.mark.parametrize("text", ["\u0130a B", "Stra\u00dfe", "\u03a3\u03a3", ""])
def test_each_character_keeps_its_place(text: str) -> None:
    assert len(lowered(text)) == len(text)


def test_many_cues_in_one_line_cost_no_more_than_one() -> None:
    text = "server " * 50_000
    assert [match.span() for match in Heads(*HEADS).finditer(text, text)] == []
    assert [m.span() for m in Heads(*HEADS).finditer(f"{text}\nServer:", f"{text}\nserver:")] == [
        (len(text) + 1, len(text) + 8)
    ]
