"""Problems of group policy: the configuration of Windows clients and servers."""

from collections.abc import Mapping

from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {}
