"""Evidence in a language that nobody knows: each label is an invented word.

It is read by the form and the place of its values, or said to be unreadable; of nothing that the
original does not say anything is made. The same where lines have changed places, too.
"""

import re
from collections.abc import Callable
from functools import cache
from random import Random

import pytest

from tests.fuzz.test_copies import Files, codes, examined, originals
from throughway.doctor.sources.cutting import cut
from throughway.model.evidence import Evidence

_LABEL = re.compile(
    r"^(?P<lead>[ \t]*)(?P<label>[^\W\d_][^:\n>\\\[{]{1,70}?)(?P<rest>[ \t.]*:(?:[ \t].*)?)$"
)
_PROMPT = re.compile(r"^[ \t]*(?:PS |[A-Za-z]:\\|\[[^\]]+\]: PS|netsh|\$ )|://")
_SYLLABLES = ("ba", "ko", "ri", "tu", "ne", "ly", "so", "wa", "zu", "mi", "ho", "fe", "qa", "xi")
_ALPHABETS: dict[str, Callable[[str], str]] = {
    "Latin": str,
    "Greek": lambda text: text.translate({c: c - 97 + 0x3B1 for c in range(97, 123)}),
    "Cyrillic": lambda text: text.translate({c: c - 97 + 0x430 for c in range(97, 123)}),
    "Hangul": lambda text: text.translate({c: (c - 97) * 28 + 0xAC00 for c in range(97, 123)}),
}


@cache
def invented(label: str, alphabet: str) -> str:
    """Return words that stand for this label wherever it stands."""
    random = Random(label.strip().lower())
    words = ("".join(random.choices(_SYLLABLES, k=max(1, len(w) // 2))) for w in label.split())
    return str(_ALPHABETS[alphabet](" ".join(words)))


def in_no_language(text: str, alphabet: str) -> str:
    return "\n".join(_of_line(line, alphabet) for line in text.split("\n"))


def _of_line(line: str, alphabet: str) -> str:
    match = None if _PROMPT.search(line) else _LABEL.match(line)
    if match is None:
        return line
    return match["lead"] + invented(match["label"], alphabet) + match["rest"]


def permuted(text: str, seed: int) -> str:
    """Let the lines with labels that stand together change their places."""
    random = Random(seed)
    lines: list[str] = []
    run: list[str] = []
    for line in [*text.split("\n"), None]:
        if line is not None and _LABEL.match(line) and not _PROMPT.search(line):
            run.append(line)
            continue
        random.shuffle(run)
        lines += run
        run = []
        if line is not None:
            lines.append(line)
    return "\n".join(lines)


@cache
def outputs() -> tuple[tuple[Files, set[str]], ...]:
    """Return the output of each command alone: what another explains is lost with its labels."""
    texts = dict.fromkeys(
        (name.rpartition("/")[2], f"C:\\>{part.command}\n" * bool(part.command) + part.text)
        for files in originals()
        for name, text in files
        for part in cut(Evidence(name, text))
    )
    return tuple((((name, text),), codes(examined(((name, text),)))) for name, text in texts)


@pytest.mark.parametrize("alphabet", _ALPHABETS)
def test_nothing_is_misread_below_invented_labels(alphabet: str) -> None:
    for ((name, text),), found in outputs():
        changed = examined(((name, in_no_language(text, alphabet)),))
        assert codes(changed) - found == set(), text


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_misread_when_lines_change_places_as_well(seed: int) -> None:
    for ((name, text),), found in outputs():
        changed = examined(((name, permuted(in_no_language(text, "Latin"), seed)),))
        assert codes(changed) - found == set(), text
