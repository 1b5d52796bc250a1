"""What mends the finding out of the location where Windows runs."""

from collections.abc import Mapping

from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {}
