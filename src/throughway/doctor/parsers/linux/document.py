"""JSON as commands of Linux print it: read whole, with the lines on which its values stand.

And TOML as our configurations are written in it.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source

_DEEP = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]+[ \t]*\.[ \t]*){32}")
"""A key of more parts than any of ours; reading it takes time by the square of them."""


def load_toml(content: str) -> dict[str, Any]:
    """Return a configuration; :exc:`ValueError` where it is none, or none of ours."""
    if _DEEP.search(content):
        raise ValueError("a key of too many parts")
    try:
        return tomllib.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def load(evidence: Evidence, what: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the document; :exc:`ParseError` where it breaks off."""
    try:
        return json.loads(evidence.text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1) + evidence.first_line - 1
        raise ParseError(f"{what} breaks off", line) from error


def load_object(evidence: Evidence, what: str) -> dict[str, Any]:
    """Return the document, which must be an object."""
    data = load(evidence, what)
    if not isinstance(data, dict):
        raise ParseError(f"{what} is no object", evidence.first_line)
    return data


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; nothing of what is none."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def text(data: dict[str, Any], key: str) -> str:
    """Return a text, "" where there is none."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def texts(data: dict[str, Any], key: str) -> tuple[str, ...]:
    """Return the texts of a list."""
    value = data.get(key)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


class Lines:
    """Where in a document a value stands; each is found once more when it is asked for again."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._lines = list(evidence.lines())
        self._next: dict[str, int] = {}

    def of(self, key: str, value: str | None = None) -> Source:
        """Return the next line that holds the key, and the value where one is named."""
        needle = f'"{key}"' if value is None else f'"{key}": {json.dumps(value)}'
        start = self._next.get(needle, 0)
        for at in range(start, len(self._lines)):
            number, line = self._lines[at]
            if needle in line or (value and needle.replace('": ', '":') in line):
                self._next[needle] = at + 1
                return self._evidence.at(number, line)
        return self._again(needle)

    def below(self, source: Source, key: str) -> Source | None:
        """Return the line with the key within the same object, below one of its lines."""
        first = self._evidence.first_line
        at = ((source.line or first) - first) // self._evidence.step
        for number, line in self._lines[at + 1 : at + 12]:
            if f'"{key}"' in line:
                return self._evidence.at(number, line)
            if line.strip().startswith("}"):
                break
        return None

    def _again(self, needle: str) -> Source:
        for number, line in self._lines:
            if needle in line:
                return self._evidence.at(number, line)
        return self._evidence.at(self._evidence.first_line)
