"""Asking a daemon and showing its answer: what the commands of client and gateway share."""

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, NoReturn, TypeVar

import typer

from throughway.catalogue import PROBLEMS
from throughway.cli.status import COULD_NOT_TELL, View
from throughway.control.client import DEFAULT_DEADLINE, ask
from throughway.control.codec import JSON, CommandRefused, from_json, to_json
from throughway.control.permission import for_root
from throughway.model.errors import ConfigError, ControlError, ThroughwayError, WireError
from throughway.model.status import ClientSnapshot, GatewaySnapshot

T = TypeVar("T", ClientSnapshot, GatewaySnapshot)

CLIENT_SOCKET = Path("/run/throughway/client.sock")
GATEWAY_SOCKET = Path("/run/throughway/gateway.sock")
FAILED = 1
USAGE = 2
"""Exit codes beside those of ``status``: the command was refused or failed; wrong configuration."""
WATCH_INTERVAL = 1.0
"""Seconds between two looks."""
_CLEAR = "\x1b[H\x1b[2J"
_COLOURS = {
    **dict.fromkeys(("ok", "connected-remotely", "connected-locally"), "green"),
    **dict.fromkeys(("warning", "connecting", "action-required", "unknown"), "yellow"),
    **dict.fromkeys(("error", "critical"), "red"),
}

ClientSocket = Annotated[
    Path,
    typer.Option(
        "--socket", envvar="THROUGHWAY_CLIENT_SOCKET", help="The client daemon's control socket."
    ),
]
GatewaySocket = Annotated[
    Path,
    typer.Option(
        "--socket", envvar="THROUGHWAY_GATEWAY_SOCKET", help="The gateway daemon's control socket."
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs: the whole snapshot as JSON.")]
Watch = Annotated[bool, typer.Option("--watch", help="Look again every second, until interrupted.")]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn errors into a line on stderr and the exit code that says who must act."""
    try:
        yield
    except ConfigError as error:
        for single in error.errors[:-1]:
            _say(single)
        _fail(error.errors[-1] if error.errors else error, USAGE)
    except CommandRefused as error:
        _fail(error, FAILED)
    except ControlError as error:
        _fail(error, COULD_NOT_TELL)
    except ThroughwayError as error:
        _fail(error, FAILED)


def _say(error: ThroughwayError) -> None:
    typer.secho(f"throughway: {error}{for_root(error)}", err=True, fg="red")


def _fail(error: ThroughwayError, code: int) -> NoReturn:
    _say(error)
    code_of = getattr(error, "problem", "") or getattr(error, "code", "")
    if problem := PROBLEMS.get(code_of):
        typer.echo(f"  Cause:      {problem.cause}", err=True)
        typer.echo(f"  Resolution: {problem.resolution}", err=True)
    raise typer.Exit(code) from error


def say_waiting(done: JSON, unit: str) -> None:
    """Name the settings that a daemon has read and takes only when it is started again."""
    if isinstance(done, dict) and (waiting := done.get("needs_restart")):
        names = ", ".join(map(str, waiting)) if isinstance(waiting, list) else str(waiting)
        typer.echo(f"changed, but only from the next start on: {names}")
        typer.echo(f"systemctl restart {unit}")


def mended(done: JSON) -> str:
    """Return in words what a daemon has made anew."""
    return str(done.get("done", "")) if isinstance(done, dict) else ""


def snapshot_of(socket: Path, kind: type[T], *, deadline: float = DEFAULT_DEADLINE) -> T:
    """Return the daemon's snapshot."""
    try:
        return from_json(kind, ask(socket, "status", deadline=deadline))
    except WireError as error:
        raise ControlError(
            f"the daemon at {socket} is of another version, restart it: {error}"
        ) from error


@dataclass(frozen=True)
class Show(Generic[T]):
    """How one kind of snapshot is shown."""

    kind: type[T]
    render: Callable[[T, View], str]
    gist: Callable[[T], object]
    exit_code: Callable[[T], int]
    part: Callable[[T], object] = field(default=lambda snapshot: snapshot)
    """What of the snapshot is shown as JSON."""

    def once(self, socket: Path, *, as_json: bool) -> int:
        """Show the snapshot; return the exit code."""
        snapshot = snapshot_of(socket, self.kind)
        typer.echo(
            json.dumps(to_json(self.part(snapshot)), indent=2) if as_json else self._text(snapshot)
        )
        return self.exit_code(snapshot)

    def watch(self, socket: Path, *, as_json: bool) -> int:
        """Show it again and again: a terminal is kept current, a pipe gets what changed.

        A daemon that is not there, perhaps because it is being restarted, is waited for.
        """
        terminal = sys.stdout.isatty() and not as_json
        last, code = None, COULD_NOT_TELL
        try:
            while not _reader_is_gone():
                code, gist, text = self._look(socket, as_json=as_json)
                if terminal:
                    typer.echo(_CLEAR + text)
                elif gist != last:
                    typer.echo(text)
                last = gist
                time.sleep(WATCH_INTERVAL)
        except KeyboardInterrupt:
            pass
        return code

    def _look(self, socket: Path, *, as_json: bool) -> tuple[int, object, str]:
        """Return exit code, gist and text of this moment."""
        try:
            snapshot = snapshot_of(socket, self.kind)
        except ControlError as error:
            words = f"{error}{for_root(error)}"
            text = json.dumps({"error": words}) if as_json else words
            return COULD_NOT_TELL, words, text
        text = json.dumps(to_json(self.part(snapshot))) if as_json else self._text(snapshot) + "\n"
        return self.exit_code(snapshot), self.gist(snapshot), text

    def _text(self, snapshot: T) -> str:
        here = "client" if self.kind is ClientSnapshot else "gateway"
        view = View(now=time.time(), paint=paint, fixable=fixable_at(self.kind), here=here)
        return self.render(snapshot, view)


def fixable_at(kind: type[ClientSnapshot] | type[GatewaySnapshot]) -> frozenset[str]:
    """Return the codes of what ``throughway fix`` mends on such a host."""
    from throughway.remedies.known import REMEDIES  # not for those who ask for something else
    from throughway.remedies.remedy import Host

    host = Host.CLIENT if kind is ClientSnapshot else Host.GATEWAY
    return frozenset(remedy.problem.code for remedy in REMEDIES if remedy.host is host)


def _reader_is_gone() -> bool:
    """Whether nobody reads our output any more (``| head``): nothing may change for hours."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # no file, as in tests
        return False
    poll = select.poll()
    poll.register(output, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def paint(text: str, state: str) -> str:
    """Colour a text by its state; ``echo`` takes the colour out again unless on a terminal."""
    return typer.style(text, fg=_COLOURS.get(state), bold=state != "ok")
