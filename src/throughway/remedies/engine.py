"""Carry remedies out: each step written down, done, and verified; undone where that fails."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from throughway.model.errors import ThroughwayError
from throughway.remedies.journal import Change, Journal
from throughway.remedies.known import BY_CODE
from throughway.remedies.remedy import Host, Remedy
from throughway.remedies.seen import Held, Seen
from throughway.remedies.steps import Case, Kept, Step, undo

POLL = 0.5
"""Seconds between two looks whether a problem is gone."""

Look = Callable[[], Seen]


class Outcome(StrEnum):
    """What became of a problem."""

    MENDED = "mended"
    GONE = "gone"
    """Before anything was done: by an earlier remedy, or by itself."""
    FAILED = "failed"
    """What was done of its remedy is undone again."""
    REFUSED = "refused"
    """There is a remedy, but not as things are."""
    NO_REMEDY = "no-remedy"
    PLANNED = "planned"
    """Nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A problem, what mends it, and what became of it."""

    held: Held
    remedy: Remedy | None
    outcome: Outcome
    commands: tuple[str, ...] = ()
    reason: str = ""
    undone: tuple[str, ...] = ()


def case_of(seen: Seen, host: Host, base: Case) -> Case:
    """Return where a remedy for a host is applied."""
    daemon = seen.daemons.get(host)
    interfaces = daemon.interfaces if daemon is not None else ()
    return Case(base.machine, interfaces, base.client_state)


def plan(held: Iterable[Held], seen: Seen, base: Case) -> tuple[Result, ...]:
    """Say what would be done, and for what nothing can be."""
    return tuple(_planned(each, seen, base) for each in held)


def _planned(held: Held, seen: Seen, base: Case) -> Result:
    remedy = BY_CODE.get((held.problem.code, held.host))
    if remedy is None:
        return Result(held=held, remedy=None, outcome=Outcome.NO_REMEDY)
    daemon = seen.daemons.get(held.host)
    if why := remedy.refusal(runs=daemon is not None and daemon.runs):
        return Result(held=held, remedy=remedy, outcome=Outcome.REFUSED, reason=why)
    case = case_of(seen, held.host, base)
    commands = tuple(c for step in remedy.steps for c in step.commands(case))
    if not commands:
        why = "everything that its remedy sees to is as it should be already"
        return Result(held=held, remedy=remedy, outcome=Outcome.REFUSED, reason=why)
    return Result(held=held, remedy=remedy, outcome=Outcome.PLANNED, commands=commands)


class Engine:
    """Carries out, one remedy after the other."""

    def __init__(self, look: Look, base: Case, journal: Journal, run: str) -> None:
        """``run`` names this command in the journal."""
        self._look = look
        self._base = base
        self._journal = journal
        self._run = run

    def carry_out(
        self, planned: Sequence[Result], on_step: Callable[[str], None] = lambda words: None
    ) -> tuple[Result, ...]:
        """Mend what was planned; one that fails does not keep the others from it."""
        results: list[Result] = []
        changed = False
        for result in planned:
            if result.outcome is Outcome.PLANNED and result.remedy is not None:
                result = self._mend(result, result.remedy, on_step, fresh=not changed)
                changed = True
            results.append(result)
        return tuple(results)

    def _mend(
        self, result: Result, remedy: Remedy, on_step: Callable[[str], None], *, fresh: bool
    ) -> Result:
        seen = self._look()
        if not fresh and not seen.holds(remedy.problem.code, remedy.host):
            return _become(result, Outcome.GONE, "another remedy has mended it, too")
        case = case_of(seen, remedy.host, self._base)
        done: list[Change] = []
        try:
            for step in remedy.steps:
                if step.commands(case):
                    on_step(step.words)
                    self._do(step, remedy, case, done)
            on_step("wait until the problem is gone")
            if not self._gone(remedy):
                raise _StillThereError(f"it still holds after {remedy.limit:g} s")
        except (ThroughwayError, OSError) as error:
            return _become(result, Outcome.FAILED, str(error), self._take_back(done, case))
        except BaseException:
            self._take_back(done, case)
            raise
        return _become(result, Outcome.MENDED)

    def _do(self, step: Step, remedy: Remedy, case: Case, done: list[Change]) -> None:
        kept = step.keep(case)
        code, host = remedy.problem.code, str(remedy.host)
        change = Change(self._run, code, host, step.words, kept.kind, kept.data)
        # First of all: what is cut short half-way can be undone.
        self._journal.add(change)
        done.append(change)
        step.do(case)

    def _gone(self, remedy: Remedy) -> bool:
        machine = self._base.machine
        until = machine.now() + remedy.limit
        while True:
            seen = self._look()
            if not seen.holds(remedy.problem.code, remedy.host) and _told(seen, remedy):
                return True
            if machine.now() >= until:
                return False
            machine.sleep(POLL)

    def _take_back(self, done: Sequence[Change], case: Case) -> tuple[str, ...]:
        return take_back(tuple(reversed(done)), case, self._journal)


def take_back(changes: tuple[Change, ...], case: Case, journal: Journal) -> tuple[str, ...]:
    """Undo changes in the order given; return in words what was undone, and what could not be.

    What could not be undone stays in the journal.
    """
    said = []
    for change in changes:
        try:
            words = undo(Kept(change.kind, change.data), case)
        except (ThroughwayError, OSError) as error:
            said.append(f"{change.words}: cannot be undone: {error}")
            continue
        said.append(f"{change.words}: {words or 'nothing of it is to be undone'}")
        journal.remove((change,))
    return tuple(said)


class _StillThereError(ThroughwayError):
    """A remedy has not mended it."""


def _told(seen: Seen, remedy: Remedy) -> bool:
    """Say whether the absence of a problem means something: a daemon that is silent says none."""
    daemon = seen.daemons.get(remedy.host)
    return daemon is None or not daemon.why or remedy.anyhow or not remedy.daemon


def _become(
    result: Result, outcome: Outcome, reason: str = "", undone: tuple[str, ...] = ()
) -> Result:
    return Result(
        held=result.held,
        remedy=result.remedy,
        outcome=outcome,
        commands=result.commands,
        reason=reason,
        undone=undone,
    )
