"""Lines of ``label : value``, as netsh, ipconfig and many others print them.

Labels are translated, padded with blanks or with dots, and may lose their blanks in a copy; so
readers go by the form of the value and the place of the line, and by labels only where they know
them in all languages.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from throughway.model.evidence import Evidence, Source

_COLON = re.compile("[:\uff1a]")
_LEADERS = " .\t\u00b7\u3002"
_RULE = re.compile(r"[ \t]*[-=_\u2500\u2550]{3,}[ \t\-=_\u2500\u2550]*$")
GROUP_POLICY = re.compile(r"[ \t]*\((?:Group Policy|\u7ec4\u7b56\u7565|[^()]*GPO[^()]*)\)$", re.I)
"""The remark behind a value that a group policy has set; netsh leaves it in English."""


class Line(NamedTuple):
    """One line; ``label`` is "" where it has none, and ``value`` then the whole."""

    number: int
    indent: int
    label: str
    value: str
    text: str

    def source(self, evidence: Evidence) -> Source:
        """Return where it stands."""
        return evidence.at(self.number, self.text)


def read(evidence: Evidence) -> Iterator[Line]:
    """Yield every line that is not blank and no ruled line."""
    for number, text in evidence.lines():
        if text and not text.isspace() and not is_rule(text):
            yield split(number, text)


def split(number: int, text: str) -> Line:
    """Take a line apart at its first colon that is no part of a URL or an address."""
    stripped = text.strip()
    indent = len(text) - len(text.lstrip())
    match = _COLON.search(stripped)
    if match is None or stripped.startswith("//", match.end()) or match.start() == 0:
        return Line(number, indent, "", stripped, text)
    label = stripped[: match.start()].rstrip(_LEADERS)
    return Line(number, indent, label, stripped[match.end() :].strip(" \t`"), text)


def is_rule(text: str) -> bool:
    """Whether the line is a row of dashes under a heading."""
    return text.lstrip()[:3] in {"---", "===", "___", "\u2500" * 3, "\u2550" * 3} and bool(
        _RULE.match(text)
    )


def without_remark(value: str) -> tuple[str, bool]:
    """Take "(Group Policy)" off a value; return whether it was there."""
    if not value.endswith(")"):
        return value, False
    shorter = GROUP_POLICY.sub("", value)
    return shorter, shorter != value
