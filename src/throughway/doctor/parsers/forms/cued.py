"""Patterns of lines, each tried only where something stands without which it cannot match.

To try dozens of patterns at each line of a text takes a hundred times longer than to look for
dozens of words in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """A line with which something begins, perhaps with lines below it."""

    pattern: re.Pattern[str]
    """Matches from the beginning of the line on."""
    cues: tuple[str, ...]
    """One of them stands in what it matches, in lower case."""
    below: tuple[int, ...] = (0,)
    """How many lines below the first one the cue may begin."""


class Heads:
    """Several of them; what matches at one place is the first that does."""

    def __init__(self, *heads: Head) -> None:
        """Take them in this order."""
        self._heads = heads
        self._by_cue: dict[str, list[int]] = {}
        for number, head in enumerate(heads):
            for cue in head.cues:
                self._by_cue.setdefault(cue, []).append(number)

    def finditer(self, text: str, lowered: str) -> Iterator[re.Match[str]]:
        """Yield the matches from above to below; within one of them none begins."""
        found: dict[int, re.Match[str]] = {}
        there = [cue for cue in self._by_cue if cue in lowered]
        tried = sorted((number, cue) for cue in there for number in self._by_cue[cue])
        for number, cue in tried:
            head = self._heads[number]
            for start in _starts(lowered, cue, head.below):
                if start not in found and (match := head.pattern.match(text, start)):
                    found[start] = match
        end = 0
        for start in sorted(found):
            if start >= end:
                yield found[start]
                end = found[start].end()


def _starts(lowered: str, cue: str, below: tuple[int, ...]) -> Iterator[int]:
    """Yield the beginnings of lines that stand so far above a cue and are not empty."""
    at = lowered.find(cue)
    while at >= 0:
        line = lowered.rfind("\n", 0, at) + 1
        for lines in below:
            start = _above(lowered, line, lines) if lines else line
            if start >= 0 and lowered[start] != "\n":
                yield start
        end = lowered.find("\n", at + 1)
        at = lowered.find(cue, end) if end >= 0 else -1


def _above(text: str, line: int, lines: int) -> int:
    """Return where the line so far above that one begins; -1 when there is none."""
    for _ in range(lines):
        if not line:
            return -1
        line = text.rfind("\n", 0, line - 1) + 1
    return line


def lowered(text: str) -> str:
    """Return the text in lower case, each character at its place."""
    lower = text.lower()
    # The one letter that becomes two.
    return lower if len(lower) == len(text) else text.replace("\u0130", "i").lower()
