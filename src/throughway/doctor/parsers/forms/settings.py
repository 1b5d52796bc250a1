"""Short lists of settings as netsh prints them for 6to4 and ISATAP: ``label : word or host``.

The words are not translated. Which setting a line is, its label says in the languages that are
known; in others its place in the output of the command does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from throughway.doctor.parsers.forms import labelled
from throughway.model.evidence import Evidence, Source

_WORDS = frozenset({"default", "enabled", "disabled", "automatic"})
_HOST = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,20}\.?$")
_DEFAULT = " (default)"


class Setting(NamedTuple):
    """The value of one line, in lower case."""

    value: str
    by_policy: bool
    source: Source


def read(
    evidence: Evidence,
    labels: Sequence[tuple[str, re.Pattern[str]]],
    places: Mapping[str, Sequence[str]],
) -> dict[str, Setting]:
    """Return the settings by name: by their labels, else by their places in that command's output.

    ``places`` has the last word of the command for a key, the names in their order for a value.
    """
    found: dict[str, Setting] = {}
    said = f"{evidence.command} {evidence.file.rpartition('/')[2]}".lower()
    order = next((names for word, names in places.items() if word in said), ())
    for place, (line, setting) in enumerate(_settings(evidence)):
        by_label = next((name for name, label in labels if label.search(line.label)), "")
        name = by_label or (order[place] if place < len(order) else "")
        if name:
            found.setdefault(name, setting)
    return found


def _settings(evidence: Evidence) -> Iterator[tuple[labelled.Line, Setting]]:
    for line in labelled.read(evidence):
        value, by_policy = labelled.without_remark(line.value)
        value = value.lower().removesuffix(_DEFAULT).strip()
        if line.label and (value in _WORDS or _HOST.match(value)):
            yield line, Setting(value, by_policy, line.source(evidence))
