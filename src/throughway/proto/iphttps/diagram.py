"""State diagrams for the docs, from the tables the machines run on."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

S = TypeVar("S", bound=Enum)
W = TypeVar("W", bound=Enum)


def state_diagram(transitions: Mapping[tuple[S, W], S], initial: S) -> str:
    """Return a Mermaid diagram of every transition that leads to another state."""
    lines = ["stateDiagram-v2", f"    [*] --> {_name(initial)}"]
    lines += [
        f"    {_name(before)} --> {_name(after)}: {what.name.lower().replace('_', ' ')}"
        for (before, what), after in sorted(
            transitions.items(), key=lambda item: (_place(item[0][0]), _place(item[0][1]))
        )
        if before is not after
    ]
    return "\n".join(lines) + "\n"


def _name(state: Enum) -> str:
    return state.name.title().replace("_", "")


def _place(member: Enum) -> int:
    return list(type(member)).index(member)
