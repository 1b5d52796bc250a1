"""``throughway fix``: mend what is wrong on this gateway or client, where that is safe."""

import os
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from throughway.catalogue import PROBLEMS, find
from throughway.cli.asking import CLIENT_SOCKET, GATEWAY_SOCKET, exit_codes
from throughway.cli.output import confirm, examples, print_fields, print_json
from throughway.control.codec import CommandRefused
from throughway.model.errors import ConfigError, ControlError
from throughway.pki.fields import did_you_mean
from throughway.remedies.engine import Engine, Outcome, Result, plan, take_back
from throughway.remedies.journal import Change, Journal
from throughway.remedies.known import CODES
from throughway.remedies.machine import ThisMachine
from throughway.remedies.remedy import Host
from throughway.remedies.seen import Seen, Surroundings
from throughway.remedies.steps import NOTHING, Case

CONFIGS = {
    Host.GATEWAY: Path("/etc/throughway/gateway.toml"),
    Host.CLIENT: Path("/etc/throughway/client.toml"),
}
STATE = Path("/var/lib/throughway")
FINDINGS = 1
COMPLETION_TIME = 1.0
"""Seconds that a shell waits for a daemon when it completes a code."""
TEXT_WIDTH = 84
WELL = {Outcome.MENDED, Outcome.GONE}

app = typer.Typer(add_completion=False)


def _complete(incomplete: str) -> list[str]:
    """Offer the codes that hold now and have a remedy."""
    gateway = Path(os.environ.get("THROUGHWAY_GATEWAY_SOCKET", GATEWAY_SOCKET))
    client = Path(os.environ.get("THROUGHWAY_CLIENT_SOCKET", CLIENT_SOCKET))
    seen = World(STATE, gateway, client).surroundings.look(deadline=COMPLETION_TIME)
    codes = {held.problem.code for held in seen.held} & CODES
    return sorted(code for code in codes if code.startswith(incomplete))


class World:
    """This computer, as its options describe it."""

    def __init__(
        self, state: Path, gateway: Path = GATEWAY_SOCKET, client: Path = CLIENT_SOCKET
    ) -> None:
        environment = {
            "THROUGHWAY_GATEWAY_SOCKET": str(gateway),
            "THROUGHWAY_CLIENT_SOCKET": str(client),
        }
        machine = ThisMachine(environment)
        client_state = _client_state(state)
        sockets = {Host.GATEWAY: gateway, Host.CLIENT: client}
        self.surroundings = Surroundings(machine, sockets, CONFIGS, client_state)
        self.case = Case(machine, client_state=client_state)
        self.journal = Journal(state / "fix")


def _client_state(state: Path) -> Path:
    """Return where the client keeps what it changed, as ``client reset`` finds it."""
    from throughway.client import settings

    try:
        return settings.load(CONFIGS[Host.CLIENT]).state_directory
    except ConfigError:
        return state / "client"


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is gone about."""

    dry_run: bool
    yes: bool
    as_json: bool

    def check(self) -> None:
        """Refuse what could neither ask nor do."""
        if self.dry_run:
            return
        if self.as_json and not self.yes:
            raise ConfigError("--json", "", "asks nobody: give --yes or --dry-run with it")
        if os.geteuid() != 0:
            raise CommandRefused("not-permitted", "fix: only root may do this; try --dry-run")

    def agreed(self, question: str) -> bool:
        """Ask, unless that was answered already."""
        return self.yes or confirm(question)


@app.command(
    epilog=examples(
        "throughway fix",
        "throughway fix --all --dry-run",
        "throughway fix iphttps-forwarding-disabled --yes",
        "throughway fix --undo",
    )
)
def fix(
    codes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CODE]...", help="What to mend; none: list it.", autocompletion=_complete
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Mend all that has a remedy.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Undo what the last `throughway fix` changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    state: Annotated[
        Path,
        typer.Option("--state", envvar="THROUGHWAY_STATE", help="Where the journal is kept."),
    ] = STATE,
    gateway: Annotated[
        Path,
        typer.Option(envvar="THROUGHWAY_GATEWAY_SOCKET", help="The gateway's control socket."),
    ] = GATEWAY_SOCKET,
    client: Annotated[
        Path, typer.Option(envvar="THROUGHWAY_CLIENT_SOCKET", help="The client's control socket.")
    ] = CLIENT_SOCKET,
) -> None:
    """Mend problems that hold on this gateway or client: shows what it will do, asks, does it,
    and verifies that the problem is gone; what fails is undone. Exit 0: nothing is left; 1:
    something is; 3: it cannot be told."""
    with exit_codes():
        world, manner = World(state, gateway, client), Manner(dry_run, yes, as_json)
        if undo:
            if codes or every:
                raise ConfigError("--undo", "", "undoes the last command as a whole: name no code")
            raise typer.Exit(_undo(world, manner))
        if every and codes:
            raise ConfigError("--all", "", "means every problem: name no code beside it")
        if not codes and not every:
            raise typer.Exit(_list(world, as_json=as_json))
        raise typer.Exit(_fix(world, manner, codes or []))


def _fix(world: World, manner: Manner, codes: Sequence[str]) -> int:
    for code in codes:
        if code not in PROBLEMS:
            hint = did_you_mean(code, PROBLEMS)
            why = f"is no problem's code{hint}; throughway fix lists what holds"
            raise ConfigError(code, "", why)
    manner.check()
    seen = world.surroundings.look(now=os.geteuid() == 0)
    _require_an_answer(seen, codes)
    wanted = [held for held in seen.held if not codes or held.problem.code in codes]
    results = plan(wanted, seen, world.case)
    if not codes:  # of all, those with a remedy are meant; the others are still told
        results = tuple(sorted(results, key=lambda result: result.remedy is None))
    if not manner.as_json:
        _show_nothing(codes, results)
        for result in results:
            _show(result)
    planned = [result for result in results if result.outcome is Outcome.PLANNED]
    if planned and not manner.dry_run:
        if not manner.agreed("Do this?"):
            typer.echo("Nothing was done.")
            return FINDINGS
        results = _carry_out(world, results, quiet=manner.as_json)
    if manner.as_json:
        print_json({"results": [_data(result) for result in results]})
    elif planned and not manner.dry_run:
        _show_outcomes(results)
        mended = any(result.outcome is Outcome.MENDED for result in results)
        if mended and any(change.kind != NOTHING for change in world.journal.last()):
            typer.echo("Undo it: throughway fix --undo")
    return 0 if all(result.outcome in WELL for result in results) else FINDINGS


def _carry_out(world: World, results: Sequence[Result], *, quiet: bool) -> tuple[Result, ...]:
    def say(words: str) -> None:
        if not quiet:
            typer.echo(f"… {words}")

    run = datetime.now(UTC).isoformat(timespec="milliseconds")
    with world.journal.alone():
        look = world.surroundings.look
        return Engine(lambda: look(now=True), world.case, world.journal, run).carry_out(
            results, say
        )


def _list(world: World, *, as_json: bool) -> int:
    """Say what holds, and what of it can be mended."""
    seen = world.surroundings.look()
    _require_an_answer(seen, ())
    results = plan(seen.held, seen, world.case)
    if as_json:
        print_json({"results": [_data(result) for result in results]})
    elif not results:
        typer.echo("Nothing to do: no problem holds.")
    else:
        for result in results:
            _show(result)
        if any(result.remedy for result in results):
            typer.echo("Mend them: throughway fix CODE, or: throughway fix --all")
    return FINDINGS if results else 0


def _require_an_answer(seen: Seen, codes: Iterable[str]) -> None:
    """Refuse to say that nothing is wrong where nobody could be asked."""
    silent = [daemon.why for daemon in seen.daemons.values() if daemon.why]
    unseen = not any(seen.holds(code) for code in codes) if codes else not seen.held
    if len(silent) == len(seen.daemons) and unseen:
        raise ControlError("; ".join(silent))


def _undo(world: World, manner: Manner) -> int:
    manner.check()
    changes = world.journal.last()
    if not manner.as_json:
        if not changes:
            typer.echo("Nothing to undo.")
        for change in changes:
            typer.echo(f"Undo: {change.words} ({change.code}, {change.host})")
            for line in _before(change):
                typer.echo(f"  {line}")
    done: tuple[str, ...] = ()
    if changes and not manner.dry_run:
        if not manner.agreed("Undo this?"):
            typer.echo("Nothing was undone.")
            return FINDINGS
        with world.journal.alone():
            done = take_back(changes, world.case, world.journal)
    if manner.as_json:
        print_json({"changes": changes, "undone": done})
    else:
        for line in done:
            typer.echo(line)
    left = {change.run for change in world.journal.changes()}
    return FINDINGS if done and changes[0].run in left else 0


def _before(change: Change) -> list[str]:
    data = change.data if isinstance(change.data, dict) else {}
    old, made = data.get("old"), data.get("made")
    if isinstance(old, dict) and isinstance(made, dict):
        return [f"sysctl -w {name}={old[name]}" for name in made if name in old]
    return []


def _show_nothing(codes: Sequence[str], results: Sequence[Result]) -> None:
    held = {result.held.problem.code for result in results}
    for code in codes:
        if code not in held:
            typer.echo(f"Nothing to do: {code} does not hold here.")
    if not codes and not results:
        typer.echo("Nothing to do: no problem holds.")


def _show(result: Result) -> None:
    held, remedy = result.held, result.remedy
    typer.echo(typer.style(f"{held.problem.title} ({held.problem.code})", bold=True))
    rows: list[tuple[str, str | list[str]]] = [("On", f"this {held.host}")]
    if held.detail:
        rows.append(("Found", _lines(held.detail)))
    if remedy is None or result.outcome is Outcome.REFUSED:
        why = result.reason or "none that is safe: a person must decide"
        rows += [("Remedy", why), ("Resolution", _lines(held.problem.resolution))]
        rows.append(("Commands", list(held.by_hand or held.problem.fix)))
    else:
        rows.append(("Remedy", [step.words for step in remedy.steps]))
        rows.append(("Commands", list(result.commands)))
        if remedy.after:
            rows.append(("Afterwards", _lines(remedy.after)))
    print_fields(rows)
    typer.echo()


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)


_WORDS = {
    Outcome.MENDED: ("mended, and verified", "green"),
    Outcome.GONE: ("gone", "green"),
    Outcome.FAILED: ("NOT mended", "red"),
    Outcome.REFUSED: ("left", "yellow"),
    Outcome.NO_REMEDY: ("left: no safe remedy", "yellow"),
}


def _show_outcomes(results: Sequence[Result]) -> None:
    for result in results:
        words, colour = _WORDS.get(result.outcome, (str(result.outcome), "yellow"))
        line = f"{result.held.problem.code}: {words}"
        typer.secho(f"{line}: {result.reason}" if result.reason else line, fg=colour)
        for undone in result.undone:
            typer.echo(f"  undone: {undone}")
        if result.outcome is Outcome.FAILED:
            typer.echo(f"  Resolution: {result.held.problem.resolution}")


def _data(result: Result) -> dict[str, Any]:
    problem, remedy = find(result.held.problem.code), result.remedy
    return {
        "code": problem.code,
        "title": problem.title,
        "host": result.held.host,
        "detail": result.held.detail,
        "outcome": result.outcome,
        "reason": result.reason,
        "remedy": [step.words for step in remedy.steps] if remedy is not None else [],
        "commands": result.commands,
        "afterwards": remedy.after if remedy is not None else "",
        "resolution": problem.resolution,
        "by_hand": result.held.by_hand or problem.fix,
        "undone": result.undone,
    }
