"""What mends the certificates of the tunnels where Windows runs."""

from collections.abc import Mapping

from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {}
