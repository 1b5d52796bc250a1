"""What stands in place of a word, a number or a row of hexadecimal digits.

The same thing is always replaced by the same thing, of the same length, so that columns stay where
they are and what was equal stays equal. Without the key nobody finds the way back by trying.
"""

import random
from hashlib import blake2b

_VOWELS = "aeiou"
_CONSONANTS = "bdfgklmnprstvz"
_HEXADECIMAL = "0123456789abcdef"
_ATTEMPTS = 50
"""How often another word is tried when one is taken; very short words run out."""


class Pseudonyms:
    """Replacements under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32).digest()
        self._words: dict[str, str] = {}
        self._taken: set[str] = set()

    def word(self, text: str) -> str:
        """Return a word of the same length, written as large and small."""
        small = text.lower()
        if small not in self._words:
            self._words[small] = self._new_word(small)
        new = self._words[small]
        if text.isupper():
            return new.upper()
        return new.capitalize() if text[:1].isupper() else new

    def digits(self, text: str) -> str:
        """Return a decimal number of as many digits that does not begin with 0."""
        source = self._random("digits", text)
        first = "123456789" if len(text) < 10 else "123"  # 32 bits hold no more
        return source.choice(first) + "".join(source.choice("0123456789") for _ in text[1:])

    def hexadecimal(self, text: str) -> str:
        """Return other hexadecimal digits; blanks, colons and dashes between them stay."""
        source = self._random("hex", "".join(c for c in text.lower() if c in _HEXADECIMAL))
        small = "".join(
            source.choice(_HEXADECIMAL) if c in _HEXADECIMAL else c for c in text.lower()
        )
        return small.upper() if text.upper() == text else small

    def permuted(self, value: int, choices: tuple[int, ...], context: str) -> int:
        """Return which of the choices stands for one of them, there."""
        shuffled = list(choices)
        self._random("permuted", f"{context}/{choices[0]}-{len(choices)}").shuffle(shuffled)
        return shuffled[choices.index(value)]

    def _new_word(self, small: str) -> str:
        for attempt in range(_ATTEMPTS):
            source = self._random("word", f"{small}/{attempt}")
            new = "".join(
                source.choice(_VOWELS if place % 2 else _CONSONANTS) for place in range(len(small))
            )
            if new not in self._taken and new != small:
                break
        self._taken.add(new)
        return new

    def _random(self, purpose: str, text: str) -> random.Random:
        digest = blake2b(f"{purpose}:{text}".encode("utf-8", "replace"), key=self._key).digest()
        return random.Random(digest)
