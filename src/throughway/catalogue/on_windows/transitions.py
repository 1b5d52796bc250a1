"""Problems of Teredo, 6to4 and ISATAP."""

from collections.abc import Mapping

from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {}
