"""One part of a gateway or a client by itself: a component, a check, a stage of the chain.

Shown as the console of Windows shows it: how it is; error, causes, resolution.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from throughway.catalogue import find
from throughway.cli.asking import Show, snapshot_of
from throughway.cli.status import (
    COULD_NOT_TELL,
    LABEL_WIDTH,
    PROBLEMS,
    WELL,
    View,
    commands,
    duration,
    indented,
    joined,
    paragraph,
    printable,
    row,
)
from throughway.health.chain import stage_of_check
from throughway.health.tracker import roots_inside
from throughway.model.errors import ConfigError, ThroughwayError
from throughway.model.findings import Problem
from throughway.model.status import (
    CheckStatus,
    ClientSnapshot,
    ComponentState,
    ComponentStatus,
    Condition,
    GatewaySnapshot,
    StageState,
    StageStatus,
)
from throughway.pki.fields import did_you_mean

T = TypeVar("T", ClientSnapshot, GatewaySnapshot)
Part = ComponentStatus | CheckStatus | StageStatus
"""What can be looked at by itself."""
COMPLETION_TIME = 1.0
"""Seconds that a shell waits for a daemon when it completes a name."""
_IN_WORDS: dict[str, str] = {
    ComponentState.OK: "Working properly",
    ComponentState.WARNING: "Working, with warnings",
    ComponentState.ERROR: "Not working properly",
    ComponentState.UNKNOWN: "Cannot be told",
    ComponentState.DISABLED: "Disabled",
    StageState.WAITING: "Waiting",
}
"""As the console of Windows says it."""


def exit_code_of(state: ComponentState | StageState) -> int:
    """Return 0 when well, 1 with problems; what has not been looked at cannot be told."""
    if state in {ComponentState.ERROR, ComponentState.WARNING, StageState.WAITING}:
        return PROBLEMS
    return COULD_NOT_TELL if state == ComponentState.UNKNOWN else WELL


def parts(snapshot: ClientSnapshot | GatewaySnapshot) -> dict[str, Part]:
    """Return stages, components and checks by their names; of one name, the first of these."""
    known: dict[str, Part] = {}
    for stage in snapshot.chain if isinstance(snapshot, ClientSnapshot) else ():
        known[stage.stage.replace(" ", "-")] = stage
    for component in snapshot.components:
        known.setdefault(str(component.component), component)
    for check in snapshot.checks:
        known.setdefault(check.name, check)
    return known


def part_of(snapshot: ClientSnapshot | GatewaySnapshot, name: str) -> Part:
    """Return a part by its name."""
    known = parts(snapshot)
    wanted = name.lower().replace(" ", "-")
    if wanted not in known:
        why = f"there is no such part{did_you_mean(wanted, known)}; there are {', '.join(known)}"
        raise ConfigError(name, "", why)
    return known[wanted]


def show_part(kind: type[T], name: str) -> Show[T]:
    """Return how one part of a snapshot is shown."""
    return Show(
        kind,
        lambda s, view: render_part(s, part_of(s, name), view),
        lambda s: part_of(s, name).state,
        lambda s: exit_code_of(part_of(s, name).state),
        lambda s: part_of(s, name),
    )


def completing(kind: type[T], variable: str, socket: Path) -> Callable[[str], list[str]]:
    """Return what offers the shell the names of a running daemon's parts."""

    def complete(incomplete: str) -> list[str]:
        path = Path(os.environ.get(variable, socket))
        try:
            known = parts(snapshot_of(path, kind, deadline=COMPLETION_TIME))
        except ThroughwayError:  # nothing is said while somebody types
            return []
        return [name for name in known if name.startswith(incomplete.lower())]

    return complete


def render_part(snapshot: ClientSnapshot | GatewaySnapshot, part: Part, view: View) -> str:
    """Return a part as a console does: how it is; error, causes, resolution."""
    title, checks = _title(part), _checks_of(snapshot, part)
    if isinstance(part, CheckStatus):
        lines = list(_about_check(part, view))
        codes = set(part.problems)
    else:
        says = part.detail if isinstance(part, ComponentStatus) else part.reason
        lines = [
            row("Since", view.since(part.since) or "nothing was heard of it yet", 1),
            *([row("Says", says, 1)] if says else []),
            *(["", *check_rows(checks, view)[:-1]] if checks else []),
        ]
        codes = {code for check in checks for code in check.problems}
        if isinstance(part, StageStatus):
            codes |= set(part.problems)
    known = part.conditions if isinstance(part, ComponentStatus) else ()
    shown = [problem for problem in snapshot.problems if problem.code in codes]
    shown += [problem for problem in known if problem not in shown]
    for problem in shown:
        lines += ["", *_explained(problem, view)]
    told = {problem.code for problem in snapshot.problems}
    for code in sorted(codes - told):
        lines += ["", *_untold(find(code), told)]
    return "\n".join([f"{title}: {view.paint(_IN_WORDS[part.state], part.state)}", *lines])


def _title(part: Part) -> str:
    if isinstance(part, CheckStatus):
        return part.title
    return str(part.component if isinstance(part, ComponentStatus) else part.stage)


def _checks_of(snapshot: ClientSnapshot | GatewaySnapshot, part: Part) -> list[CheckStatus]:
    """Return what a component or a stage stands on."""
    if isinstance(part, ComponentStatus):
        return [check for check in snapshot.checks if check.component is part.component]
    if isinstance(part, StageStatus):
        return [check for check in snapshot.checks if stage_of_check(check) is part.stage]
    return [part]


def _about_check(check: CheckStatus, view: View) -> Iterator[str]:
    yield row("Since", view.since(check.since) or "not looked at yet", 1)
    yield row("Found", check.detail, 1)
    if check.looked_at:
        ago, took = duration(view.now - check.looked_at), f"{check.took:.2f} s"
        yield row("Last look", f"{ago} ago, took {took}; every {duration(check.interval)}", 1)
    for number, change in enumerate(reversed(check.history)):
        label = "" if number else "History"
        words = f"{change.state:<9}{printable(change.detail)}"
        yield row(label, f"{view.at(change.at)}  {words}", 1)


def _explained(problem: Condition, view: View) -> Iterator[str]:
    """Yield a problem in the words of the console of Windows."""
    severity = view.paint(problem.severity, problem.severity)
    yield f"Error: {problem.title} [{problem.code}], {severity}, {view.since(problem.since)}"
    for line in problem.detail.splitlines():
        yield from indented(line)
    yield from _remedies(problem.cause, problem.resolution)
    yield from commands(problem, view)


def _untold(problem: Problem, told: Collection[str]) -> Iterator[str]:
    """Yield what was found and is not among the problems that are shown, and why it is not."""
    roots = sorted(roots_inside(problem) & set(told))
    why = (
        f"follows from {', '.join(roots)}"
        if roots
        else "found just now, not told of until it lasts"
    )
    yield f"Error: {problem.title} [{problem.code}], {why}"
    yield from _remedies(problem.cause, problem.resolution)


def _remedies(cause: str, resolution: str) -> Iterator[str]:
    yield from paragraph("Causes", cause)
    yield from paragraph("Resolution", resolution)


def component_row(component: ComponentStatus, view: View) -> str:
    """Return a component in one line."""
    state = view.paint(f"{component.state:<9}", component.state)
    detail = joined(view.since(component.since), printable(component.detail))
    return f"  {component.component:<{LABEL_WIDTH - 2}}{state}{detail}".rstrip()


def check_rows(checks: Sequence[CheckStatus], view: View) -> list[str]:
    """Return what the components' states stand on, one line a check."""
    if not checks:
        return []
    return ["Checks", *(check_row(check, view) for check in checks), ""]


def check_row(check: CheckStatus, view: View) -> str:
    """Return a check in one line."""
    state = view.paint(f"{check.state:<9}", check.state)
    detail = joined(view.since(check.since), printable(check.detail))
    return f"  {check.name:<{LABEL_WIDTH - 2}}{state}{detail}".rstrip()
