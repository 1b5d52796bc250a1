"""What a rule is: a function of facts whose parameters are its dependencies.

``X``
    required; the rule is asked once for each X of the host.
``X | None``
    optional; the first X there is. Several kinds may stand there: ``X | Y | None``.
``tuple[X, ...]``
    all of them; () when there is none, and that is no missing answer.

The host itself is a fact (:class:`throughway.model.facts.base.Host`) and always there. A rule
returns a Finding, or None, or a tuple of Findings.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from throughway.model.evidence import Platform, Role
from throughway.model.facts.base import Fact, Host
from throughway.model.findings import Finding, Problem

Check = Callable[..., Finding | tuple[Finding, ...] | None]


class Want(Enum):
    """How many facts a parameter takes."""

    EACH = auto()
    FIRST = auto()
    ALL = auto()


@dataclass(frozen=True, slots=True)
class Need:
    """One parameter of a rule."""

    name: str
    want: Want
    kinds: tuple[type[Fact], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check, the problems it looks for, and on which machines."""

    problems: tuple[Problem, ...]
    check: Check
    role: Role | None = None
    """CLIENT: not on what is known to be a server; SERVER: only on what is known to be one."""
    platform: Platform | None = Platform.WINDOWS
    """None: on any, as what a capture shows is the same wherever it was taken."""

    def is_for(self, host: Host) -> bool:
        """Whether to ask it on that host."""
        if self.platform not in {None, host.platform}:
            return False
        return self.role in {None, host.role} or (self.role is Role.CLIENT and host.role is None)

    def needs(self) -> tuple[Need, ...]:
        """Return what the check's parameters ask for."""
        return _needs(self.check)


def everywhere(*rules: Rule) -> tuple[Rule, ...]:
    """Return rules that are for machines of any platform."""
    return tuple(replace(rule, platform=None) for rule in rules)


@cache
def _needs(check: Check) -> tuple[Need, ...]:
    hints = get_type_hints(check)
    return tuple(_need(name, hints[name]) for name in inspect.signature(check).parameters)


def _need(name: str, hint: Any) -> Need:  # noqa: ANN401 - annotations are anything
    if get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        return Need(name, Want.ALL, get_args(kind) or (kind,))
    options = get_args(hint) or (hint,)
    kinds = tuple(option for option in options if option is not NoneType)
    return Need(name, Want.FIRST if NoneType in options else Want.EACH, kinds)
