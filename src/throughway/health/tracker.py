"""Live health: which problems of the catalogue hold now, and what they say of the whole.

Components of a daemon speak to the tracker; the snapshot reads it. A component is *unknown* until
it has spoken once, a disabled component is never red, and a problem that follows from another one
that holds is not shown beside it: only the root cause is. Nothing here knows what is being tracked.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from throughway import catalogue
from throughway.catalogue.host import BUG
from throughway.model.errors import IPsecError, Stage, ThroughwayError, TransportError
from throughway.model.findings import Component, Problem, Severity
from throughway.model.status import ComponentState, ComponentStatus, Condition

MAX_CONDITIONS = 64
"""What a person could read; an attacker who makes problems must not make memory."""
MAX_DETAIL = 500
"""Characters; details may quote what a peer sent."""
HISTORY_LENGTH = 256
"""Changes that are remembered."""

WAY_IN = frozenset(
    {
        *(Component.INTERNET, Component.IPHTTPS, Component.TEREDO, Component.SIXTOFOUR),
        *(Component.IPSEC, Component.FIREWALL),
    }
)
"""What clients come by."""
BEHIND = frozenset({Component.NAMES, Component.DOMAIN, Component.LOCATION})
"""What a client looks at through its tunnels, and a gateway from its own place: how clients come
says nothing of that there."""

SEVERITY_ORDER = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
STATE_OF = {
    Severity.CRITICAL: ComponentState.ERROR,
    Severity.WARNING: ComponentState.WARNING,
    Severity.INFO: ComponentState.OK,
}
STATE_ORDER = (
    ComponentState.ERROR,
    ComponentState.WARNING,
    ComponentState.UNKNOWN,
    ComponentState.OK,
    ComponentState.DISABLED,
)
BY_STAGE = {
    Stage.RESOLVE: "iphttps-name-unresolvable",
    Stage.CONNECT: "iphttps-port-blocked",
    Stage.PROXY: "proxy-blocks-iphttps",
    Stage.TLS: "iphttps-tls-handshake-failed",
    Stage.HTTP: "iphttps-http-refused",
    Stage.LINK: "iphttps-connection-reset",
}
"""What to say of a transport error that names no problem itself."""
_PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")


@dataclass(frozen=True, slots=True)
class Change:
    """A condition began (``held``), ended, or went on with another detail."""

    at: float
    code: str
    key: str
    held: bool
    detail: str


@dataclass(slots=True)
class _Held:
    """A problem that holds now."""

    problem: Problem
    detail: str
    since: float
    attempt: str
    values: Mapping[str, str]
    """Of words in the catalogue's commands, for this instance."""


Chosen = Callable[[tuple[str, str], _Held], bool]


def roots_of(problem: Problem, beside: frozenset[Component] = frozenset()) -> frozenset[str]:
    """Return the codes of everything that the problem can follow from, however indirectly.

    What follows only by way of a component ``beside`` does not count.
    """
    roots: dict[str, Problem] = {}
    ahead = list(problem.depends_on)
    while ahead:
        root = ahead.pop()
        if root.code not in roots and root.component not in beside:
            roots[root.code] = root
            ahead += root.depends_on
    return frozenset(roots)


def roots_inside(problem: Problem) -> frozenset[str]:
    """Return the same for who stands where the servers are: a gateway."""
    return roots_of(problem, WAY_IN if problem.component in BEHIND else frozenset())


def problem_of(error: ThroughwayError) -> Problem:
    """Return the catalogue's entry for an error, by its own word or by its type.

    An error that says neither is a gap of ours, and is called so.
    """
    code = getattr(error, "problem", "")
    if code in catalogue.PROBLEMS:
        return catalogue.find(code)
    match error:
        case TransportError():
            return catalogue.find(BY_STAGE[error.stage])
        case IPsecError():
            return catalogue.find("ipsec-auth-failure-unspecified")
        case _:
            return BUG


def worst(states: Iterable[ComponentState]) -> ComponentState:
    """Roll states up: error, warning, unknown, ok; disabled ones do not count."""
    return min(states, key=STATE_ORDER.index, default=ComponentState.UNKNOWN)


class Tracker:
    """Components set and clear conditions; snapshots read :meth:`current` and :meth:`components`.

    ``clock`` gives seconds since 1970, as the snapshots' times; ``components`` are the rows of this
    daemon's status, in order; ``inside`` is whether it stands where the servers are. Call it from
    one thread.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        components: Iterable[Component] = Component,
        *,
        inside: bool = False,
    ) -> None:
        self._clock = clock
        self._inside = inside
        self._components = tuple(components)
        self._held: dict[tuple[str, str], _Held] = {}
        self._spoken: dict[Component, tuple[float, str]] = {}
        self._disabled: dict[Component, tuple[float, str]] = {}
        self._values: dict[str, str] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._history: deque[Change] = deque(maxlen=HISTORY_LENGTH)
        self.deadlines: dict[str, float] = {}
        """When what ends, in seconds since 1970: certificates, by their use."""

    # What components say

    def set(
        self,
        problem: Problem,
        detail: str = "",
        *,
        key: str = "",
        attempt: str = "",
        values: Mapping[str, str] | None = None,
    ) -> None:
        """Say that the problem holds; of an unbroken run the first time is kept.

        ``key`` tells instances of one problem apart, such as two URLs. Of the problems of one
        ``attempt`` (a name such as ``link``) only the last one said holds. What a disabled
        component says is not heard. ``values`` are those of :meth:`define`, for this one.
        """
        detail = detail[:MAX_DETAIL]
        if problem.component in self._disabled:
            return
        if attempt:
            self._end(lambda name, held: held.attempt == attempt and name != (problem.code, key))
        known = self._held.get((problem.code, key))
        if known and (known.detail, known.attempt) == (detail, attempt):
            return
        if not known and len(self._held) >= MAX_CONDITIONS:
            self._make_room()
        since = known.since if known else self._clock()
        self._held[problem.code, key] = _Held(problem, detail, since, attempt, values or {})
        self._tell(problem.code, key, held=True, detail=detail)

    def report(self, error: ThroughwayError, *, key: str = "", attempt: str = "") -> Problem:
        """Set the problem that an error stands for, with the error's text as detail."""
        problem = problem_of(error)
        self.set(problem, str(error), key=key, attempt=attempt)
        return problem

    def clear(self, problem: Problem, *, key: str | None = None) -> None:
        """Say that the problem is gone: that instance of it, or all of them."""
        self._mend(lambda name, _: name[0] == problem.code and key in (None, name[1]))

    def succeeded(self, attempt: str) -> None:
        """Say that the attempt succeeded: whatever stopped it before is gone."""
        self._mend(lambda _, held: held.attempt == attempt)

    def ok(self, component: Component, detail: str = "") -> None:
        """Say that a component was looked at and does its work; its conditions stay as they are."""
        self._disabled.pop(component, None)
        since = self._spoken.get(component, (self._clock(), ""))[0]
        self._spoken[component] = (since, detail[:MAX_DETAIL])

    def seen(self, component: Component) -> None:
        """Say that a component was looked at, whatever else it has to say of itself."""
        if component not in self._disabled:
            self._spoken.setdefault(component, (self._clock(), ""))

    def disable(self, component: Component, detail: str = "") -> None:
        """Say that a component is not used: whatever it said before is forgotten."""
        self._end(lambda _, held: held.problem.component is component)
        self._spoken.pop(component, None)
        since = self._disabled.get(component, (self._clock(), ""))[0]
        self._disabled[component] = (since, detail[:MAX_DETAIL])

    def forget(self, component: Component) -> None:
        """Make a component unknown again, because what it said is no longer about the present."""
        self._end(lambda _, held: held.problem.component is component)
        self._spoken.pop(component, None)
        self._disabled.pop(component, None)

    def define(self, **values: str) -> None:
        """Give values to words such as ``HOST`` in the catalogue's commands."""
        self._values |= values

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` at every change from now on."""
        self._listeners.append(listener)

    # What snapshots read

    @property
    def history(self) -> tuple[Change, ...]:
        """The last changes, oldest first."""
        return tuple(self._history)

    def holds(self, problem: Problem) -> bool:
        """Whether the problem holds in any instance, shown or not."""
        return any(code == problem.code for code, _ in self._held)

    def current(self) -> tuple[Condition, ...]:
        """Return what to show: lasting conditions that follow from no other one, worst first."""
        lasting = list(self._lasting())
        codes = {held.problem.code for held in lasting}
        shown = [held for held in lasting if not self._roots(held.problem) & codes]
        shown.sort(key=lambda held: (SEVERITY_ORDER[held.problem.severity], held.since))
        return tuple(self._condition(held) for held in shown)

    def component(self, component: Component) -> ComponentStatus:
        """Return one row of Operations Status."""
        mine = [held for held in self._lasting() if held.problem.component is component]
        if component in self._disabled:
            state, (since, detail) = ComponentState.DISABLED, self._disabled[component]
        elif mine:
            state = worst(STATE_OF[held.problem.severity] for held in mine)
            since = min(held.since for held in mine if STATE_OF[held.problem.severity] is state)
            detail = "; ".join(self._words(held) for held in mine)
        elif component in self._spoken:
            state, (since, detail) = ComponentState.OK, self._spoken[component]
        else:
            state, since, detail = ComponentState.UNKNOWN, 0.0, ""
        return ComponentStatus(
            component=component,
            state=state,
            since=since,
            detail=detail[:MAX_DETAIL],
            conditions=tuple(c for c in self.current() if c.component is component),
        )

    def components(self) -> tuple[ComponentStatus, ...]:
        """Return this daemon's rows, and one for any other component that has a problem."""
        others = {held.problem.component for held in self._lasting()} - set(self._components)
        rows = (*self._components, *sorted(others))
        return tuple(self.component(component) for component in rows)

    def state(self) -> ComponentState:
        """Return the state of the whole."""
        return worst(row.state for row in self.components())

    # Inside

    def _lasting(self) -> Iterator[_Held]:
        """Yield what has held as long as it must to be shown."""
        now = self._clock()
        for held in self._held.values():
            held.since = min(held.since, now)  # the clock may have been set back
            if now - held.since >= held.problem.visible_after:
                yield held

    def _roots(self, problem: Problem) -> frozenset[str]:
        return roots_inside(problem) if self._inside else roots_of(problem)

    def _words(self, held: _Held) -> str:
        """Say what holds, and from what it follows."""
        codes = {other.problem.code for other in self._lasting()}
        roots = sorted(self._roots(held.problem) & codes)
        follows = f" (follows from {', '.join(roots)})" if roots else ""
        return f"{held.problem.title}{follows}"

    def _condition(self, held: _Held) -> Condition:
        problem, values = held.problem, {**self._values, **held.values}
        return Condition(
            code=problem.code,
            title=problem.title,
            severity=problem.severity,
            component=problem.component,
            detail=held.detail,
            cause=problem.cause,
            resolution=problem.resolution,
            fix=tuple(fill(command, values) for command in problem.fix),
            verify=tuple(fill(command, values) for command in problem.verify),
            since=held.since,
        )

    def _mend(self, chosen: Chosen) -> None:
        """Remove what is chosen; a component of which nothing else is known is well then."""
        now = self._clock()
        mended = self._end(chosen)
        for component in mended - {held.problem.component for held in self._held.values()}:
            self._spoken[component] = (now, "")

    def _end(self, chosen: Chosen) -> frozenset[Component]:
        """Remove what is chosen without a word on how its component is; return those affected."""
        ended = [(name, held) for name, held in self._held.items() if chosen(name, held)]
        for name, held in ended:
            del self._held[name]
            self._spoken.pop(held.problem.component, None)
        for name, held in ended:
            self._tell(*name, held=False, detail=held.detail)
        return frozenset(held.problem.component for _, held in ended)

    def _make_room(self) -> None:
        """Forget the least of the conditions: of the mildest ones the oldest."""
        name = min(
            self._held,
            key=lambda n: (
                -SEVERITY_ORDER[self._held[n].problem.severity],
                self._held[n].since,
            ),
        )
        self._end(lambda other, _: other == name)

    def _tell(self, code: str, key: str, *, held: bool, detail: str) -> None:
        change = Change(self._clock(), code, key, held, detail)
        self._history.append(change)
        for listener in self._listeners:
            listener(change)


def fill(command: str, values: Mapping[str, str]) -> str:
    """Put values in the place of words in capitals; words without a value stay."""
    return _PLACEHOLDER.sub(lambda word: values.get(word[0], word[0]), command)
