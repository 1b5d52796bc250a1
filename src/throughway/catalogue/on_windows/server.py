"""Problems of the DirectAccess server on Windows, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {}
