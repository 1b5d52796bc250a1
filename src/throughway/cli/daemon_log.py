"""``throughway client log`` and ``throughway gateway log``: what a daemon says of itself."""

import json
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from throughway.cli.asking import exit_codes
from throughway.cli.growing import Reader, moment_of, open_to_read
from throughway.cli.output import examples, note
from throughway.cli.status import COULD_NOT_TELL
from throughway.model.config import LogLevel
from throughway.net.audit import clean
from throughway.net.log_outputs import PREFIX, PRIORITIES, LogEntry, decode, encode, sentence

FOLDER = Path("/var/log/throughway")
LAST = 50
"""Lines that are shown when nobody says how many, nor since when."""
_ORDER = tuple(LogLevel)
_COLOURS = {LogLevel.WARNING: "yellow", LogLevel.ERROR: "red"}
_AUDIT = "throughway-audit"
"""The unit's other entries, which ``throughway events`` shows."""

Wanted = Callable[[LogEntry], bool]


def register(app: typer.Typer, name: str) -> None:
    """Give a daemon's commands its ``log``."""
    call = f"throughway {name} log"

    @app.command(
        "log",
        epilog=examples(
            call,
            f"{call} --follow --level warning",
            f"{call} --since 1h --grep iphttps-port-blocked",
            f"{call} --since 2026-11-21 --json",
        ),
        help=f"Show what the {name} daemon says of itself, from the journal or its file.\n\n"
        "Exit 0 well, 2 usage, 3 there is neither, or no right to read it.",
    )
    def log(
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on as more comes.")
        ] = False,
        as_json: Annotated[
            bool, typer.Option("--json", help="For programs: one JSON object a line.")
        ] = False,
        since: Annotated[
            str | None,
            typer.Option(help="30s, 15m, 2h, 7d, 2026-11-21 or '2026-11-21 18:30' (local time)."),
        ] = None,
        level: Annotated[LogLevel, typer.Option(help="This and what is worse.")] = LogLevel.DEBUG,
        grep: Annotated[
            str, typer.Option(help="Only with this text: a problem's code, a peer, a user.")
        ] = "",
        last: Annotated[
            int | None, typer.Option("--last", "-n", min=1, help=f"At most so many; {LAST}.")
        ] = None,
        file: Annotated[
            Path | None, typer.Option(help=f"This file, not the journal nor {default_file(name)}.")
        ] = None,
    ) -> None:
        with exit_codes():
            moment = moment_of(since)
        count = last if last is not None or since is not None else LAST
        source: _Journal | _File
        if file is None and _journal_is_newer(name):
            source = _Journal(name, moment)
        else:
            source = _File(file or default_file(name), moment)
        wanted = wanted_by(level, grep)
        for entry in deque((one for one in source.past() if wanted(one)), count):
            _show(entry, as_json=as_json)
        if follow:
            with suppress(KeyboardInterrupt):
                for entry in source.coming():
                    if wanted(entry):
                        _show(entry, as_json=as_json)


def default_file(name: str) -> Path:
    """Return where a daemon writes where its output does not go to the journal."""
    return FOLDER / f"{name}-log.jsonl"


def wanted_by(level: LogLevel, text: str) -> Wanted:
    """Return what chooses entries: of a level or worse, with a text in any of their words."""
    least, text = _ORDER.index(level), text.casefold()

    def wanted(entry: LogEntry) -> bool:
        return _ORDER.index(entry.level) >= least and (
            not text or any(text in word.casefold() for word in _words(entry))
        )

    return wanted


def _words(entry: LogEntry) -> Iterator[str]:
    yield from (entry.event, entry.component, sentence(entry))
    yield from map(str, entry.fields.values())


class _File:
    """The daemon's own file, and those before it."""

    def __init__(self, path: Path, since: float) -> None:
        try:
            os.close(open_to_read(path))
        except OSError as error:
            hint = f"for root and its group only: sudo throughway {path.name.partition('-')[0]} log"
            words = hint if isinstance(error, PermissionError) else "no daemon has written there"
            typer.secho(f"throughway: {path}: {words}", err=True, fg="red")
            raise typer.Exit(COULD_NOT_TELL) from None
        self._reader = Reader((path,), since, decode)

    def past(self) -> Iterator[LogEntry]:
        yield from self._reader.past()
        if self._reader.unreadable:
            note(f"{self._reader.unreadable} lines were not understood and were passed over")

    def coming(self) -> Iterator[LogEntry]:
        return self._reader.coming()


class _Journal:
    """What journald has of the daemon: its entries, and its unit's own lines."""

    def __init__(self, name: str, since: float) -> None:
        self._name, self._since = name, since
        self._cursor = ""

    def past(self) -> Iterator[LogEntry]:
        at = f"@{self._since:.6f}" if self._since else "@0"
        yield from self._entries("--since", at)

    def coming(self) -> Iterator[LogEntry]:
        after = ("--after-cursor", self._cursor) if self._cursor else ("--since", "now")
        return self._entries("--follow", "--no-tail", *after)

    def _entries(self, *options: str) -> Iterator[LogEntry]:
        command = [*journalctl(self._name), *options]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as running:
            assert running.stdout is not None
            try:
                for line in running.stdout:
                    self._cursor, entry = from_journal(line, self._name)
                    if entry is not None:
                        yield entry
            finally:
                running.terminate()


def journalctl(name: str) -> list[str]:
    """Return the command that gives a daemon's entries, and what else its unit has said."""
    tag, unit = f"SYSLOG_IDENTIFIER=throughway-{name}", f"_SYSTEMD_UNIT=throughway-{name}.service"
    return ["journalctl", "--quiet", "--no-pager", "--output", "json", tag, "+", unit]


def from_journal(line: bytes, name: str) -> tuple[str, LogEntry | None]:
    """Return cursor and entry of one of journalctl's lines; None for the audit's."""
    values: dict[str, Any] = json.loads(line)
    cursor, tag = str(values.get("__CURSOR", "")), values.get("SYSLOG_IDENTIFIER")
    if tag == _AUDIT:
        return cursor, None
    at = int(values.get("__REALTIME_TIMESTAMP", 0)) / 1e6
    priority = int(values.get("PRIORITY", 6))
    level = next((one for one, of in PRIORITIES.items() if of <= priority), LogLevel.ERROR)
    said = values.get("MESSAGE") or ""
    if isinstance(said, list):  # not UTF-8: journalctl gives it as numbers
        said = bytes(said).decode(errors="replace")
    if tag != f"throughway-{name}" or f"{PREFIX}EVENT" not in values:
        return cursor, LogEntry(at, level, str(said), str(tag or ""))
    own = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in values.items()
        if key.startswith(PREFIX)
    }
    event, component = str(own.pop("event")), str(own.pop("component", ""))
    return cursor, LogEntry(at, level, event, component, own)


def _journal_is_newer(name: str) -> bool:
    """Whether the journal has something of the daemon, and nothing newer is in its file."""
    if shutil.which("journalctl") is None:
        return False
    command = [*journalctl(name), "--lines", "1"]
    said = subprocess.run(command, capture_output=True, check=False).stdout.splitlines()
    if not said:
        return False
    try:
        written = default_file(name).stat().st_mtime
    except OSError:
        return True
    return int(json.loads(said[-1]).get("__REALTIME_TIMESTAMP", 0)) / 1e6 >= written


def _show(entry: LogEntry, *, as_json: bool) -> None:
    if as_json:
        typer.echo(encode(entry), nl=False)
        return
    when = f"{datetime.fromtimestamp(entry.at, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    level = typer.style(f"{entry.level:7}", fg=_COLOURS.get(entry.level))
    typer.echo(f"{when}  {level}  {entry.component:12}  {_line(sentence(entry))}")


def _line(text: str) -> str:
    """Make a line fit for a terminal; values were cut as they were written."""
    return "".join(clean(c) for c in text)
