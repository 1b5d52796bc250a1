"""The text format that Prometheus reads (version 0.0.4): families of samples, one sample a line.

Written by hand: the client daemon has no room for a library that keeps registries, and all of
our figures are in snapshots already.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(StrEnum):
    """What a family's values mean."""

    GAUGE = "gauge"
    """Goes up and down."""
    COUNTER = "counter"
    """Only grows, until the process begins anew; its name ends with ``_total``."""
    SUMMARY = "summary"
    """``NAME_sum`` and ``NAME_count`` of what was observed."""


@dataclass(slots=True)
class Family:
    """Samples of one name; ``add`` as many as there are, none is fine."""

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    samples: list[tuple[str, tuple[tuple[str, str], ...], float]] = field(default_factory=list)
    """Suffix of the name, labels, value."""

    def add(self, value: float, **labels: str) -> "Family":
        """Add a sample; return the family."""
        self.samples.append(("", tuple(labels.items()), value))
        return self

    def observed(self, total: float, count: int, **labels: str) -> "Family":
        """Add the two samples of a summary; return the family."""
        own = tuple(labels.items())
        self.samples += [("_sum", own, total), ("_count", own, count)]
        return self


def build_exposition(families: Iterable[Family]) -> bytes:
    """Return everything as Prometheus reads it."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for suffix, labels, value in family.samples:
        inner = ",".join(f'{key}="{_escaped(text, quoted=True)}"' for key, text in labels)
        yield f"{family.name}{suffix}{f'{{{inner}}}' if inner else ''} {_number(value)}\n"


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quoted else text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
