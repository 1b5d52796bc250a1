"""``throughway events``: the audit, from its files, rotated ones too."""

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, note
from throughway.control.codec import decode_line, from_json
from throughway.model.audit import (
    AUTHORITY_EVENTS,
    WINDOWS_NUMBERS,
    AuditEvent,
    AuditRecord,
    Outcome,
)
from throughway.model.errors import ConfigError, WireError
from throughway.net.audit import clean, cleaned, encode, sentence
from throughway.net.audit_file import rotations

FOLDER = Path("/var/log/throughway")
FILES = (
    FOLDER / "gateway-events.jsonl",
    FOLDER / "client-events.jsonl",
    Path("/etc/throughway/pki") / AUTHORITY_EVENTS,
)
FOUND, COULD_NOT_TELL = 1, 3
"""Exit codes: refusals were asked for and there are some; there is nothing to read."""
LAST = 20
"""Events that are shown when nobody says how many, nor since when."""
POLL = 0.25
"""Seconds between two looks for more."""
_SPAN = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COLOURS = {Outcome.ADMITTED: "green", Outcome.REFUSED: "red", Outcome.NOTED: "yellow"}

app = typer.Typer(add_completion=False)

Matches = Callable[[AuditRecord], bool]


@app.command(
    "events",
    epilog=examples(
        "throughway events",
        "throughway events --failed --since 1h",
        "throughway events --follow",
        "throughway events --computer client1 --event 4652",
        "throughway events --user alice --since 2026-11-01 --json",
    ),
)
def command(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more comes.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: one JSON object a line.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Refusals only.")] = False,
    since: Annotated[
        str | None,
        typer.Option(help="30s, 15m, 2h, 7d, 2026-11-21 or '2026-11-21 18:30' (local time)."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Of this user: alice, alice@REALM.")] = None,
    computer: Annotated[
        str | None, typer.Option(help="Of this computer: its name, full or not, or its account.")
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="Windows' number (4652) or a name (main-mode-failed).")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, help=f"At most so many; {LAST}.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option(help="Another file than those in /var/log/throughway.")
    ] = None,
) -> None:
    """Show who was admitted, who was refused, and why, with Windows' numbers.

    Exit 0 well, 1 `--failed` has found some, 2 usage, 3 there is no file or no right to read it.
    """
    wanted = _filter(failed=failed, since=since, user=user, computer=computer, event=event)
    reader = Reader(_readable(tuple(file or ()) or FILES), _moment(since))
    count = last if last is not None or since is not None else LAST
    shown = deque((r for r in reader.past() if wanted(r)), count)
    for record in shown:
        _show(record, as_json=as_json)
    found = bool(shown)
    if follow:
        with suppress(KeyboardInterrupt):
            for record in reader.coming():
                if wanted(record):
                    found = True
                    _show(record, as_json=as_json)
    if reader.unreadable:
        note(f"{reader.unreadable} lines are no events of this version and were passed over")
    if not found and not as_json:
        note("no events" + (" match" if since or user or computer or event or failed else " yet"))
    raise typer.Exit(FOUND if failed and found else 0)


@dataclass
class _Open:
    """A file at whose end more may come."""

    path: Path
    stream: int
    rest: bytes = b""

    def lines(self) -> Iterator[bytes]:
        """Yield whole lines; what is not whole waits for its end."""
        while data := os.read(self.stream, 1 << 18):
            *whole, self.rest = (self.rest + data).split(b"\n")
            yield from whole

    def moved(self) -> bool:
        """Whether the file was rotated away from under us."""
        with suppress(FileNotFoundError):
            now, ours = self.path.stat(), os.fstat(self.stream)
            return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)
        return False


class Reader:
    """Reads the files from a moment on, in the order of their events."""

    def __init__(self, paths: tuple[Path, ...], since: float) -> None:
        self._paths = paths
        self._since = since
        self._open: list[_Open] = []
        self.unreadable = 0
        """Lines that could not be understood."""

    def past(self) -> Iterator[AuditRecord]:
        """Yield what there is; two daemons on one machine are put in order."""
        every = [record for path in self._paths for record in self._records(path)]
        if len(self._paths) > 1:
            every.sort(key=lambda record: record.at)
        yield from every

    def coming(self) -> Iterator[AuditRecord]:
        """Yield what comes, for ever; a rotated file is read to its end first."""
        while True:
            for number, source in enumerate(self._open):
                moved = source.moved()
                yield from self._parsed(source.lines())
                if moved:
                    os.close(source.stream)
                    fresh = self._open[number] = _Open(source.path, _open(source.path))
                    yield from self._parsed(fresh.lines())
            time.sleep(POLL)

    def _records(self, path: Path) -> Iterator[AuditRecord]:
        source = _Open(path, _open(path))
        self._open.append(source)
        newest = os.fstat(source.stream).st_ino
        for older in reversed(rotations(path)[1:]):
            with suppress(FileNotFoundError):  # removed meanwhile
                found = older.stat()
                if found.st_mtime >= self._since and found.st_ino != newest:
                    yield from self._parsed(older.read_bytes().splitlines())
        yield from self._parsed(source.lines())

    def _parsed(self, lines: Iterator[bytes] | list[bytes]) -> Iterator[AuditRecord]:
        for line in lines:
            try:
                record = from_json(AuditRecord, decode_line(line))
            except WireError:
                self.unreadable += bool(line.strip())
                continue
            if record.at >= self._since:
                yield record


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _readable(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the files that can be read; say which cannot, and end when there is none."""
    there, closed = [], []
    for path in paths:
        try:
            os.close(_open(path))
        except FileNotFoundError:
            continue
        except PermissionError:
            closed.append(path)
            continue
        there.append(path)
    for path in closed:
        typer.secho(
            f"throughway: {path} is for root and its group only: sudo throughway events",
            err=True,
            fg="red",
        )
    if closed and not there:
        raise typer.Exit(COULD_NOT_TELL)
    if not there:
        typer.secho(
            f"throughway: there is no {' and no '.join(map(str, paths))}: no daemon has run here "
            "yet, or [audit] names another file (give it with --file)",
            err=True,
            fg="red",
        )
        raise typer.Exit(COULD_NOT_TELL)
    return tuple(there)


def _moment(since: str | None) -> float:
    """Return the moment that ``--since`` names."""
    if since is None:
        return 0.0
    if match := _SPAN.fullmatch(since.strip()):
        return time.time() - int(match[1]) * _UNITS[match[2]]
    try:
        return datetime.fromisoformat(since.strip()).timestamp()
    except ValueError:
        why = f"{since!r} is no time: 15m, 2h, 7d, 2026-11-21 or '2026-11-21 18:30'"
        raise ConfigError("", "--since", why) from None


def _filter(
    *, failed: bool, since: str | None, user: str | None, computer: str | None, event: str | None
) -> Matches:
    events = None if event is None else _events(event)

    def wanted(record: AuditRecord) -> bool:
        return (
            (not failed or record.outcome is Outcome.REFUSED)
            and (events is None or record.event in events)
            and (user is None or _is(user, record.user, "@"))
            and (
                computer is None
                or _is(computer, record.computer, ".")
                or _is(computer, record.account, "$")
            )
        )

    return wanted


def _is(asked: str, name: str, end: str) -> bool:
    """Whether a name was meant: whole, or without its realm, domain or dollar."""
    return asked.lower() in {name.lower(), name.lower().partition(end)[0]} - {""}


def _events(text: str) -> frozenset[AuditEvent]:
    found = frozenset(e for e in AuditEvent if text in (e.value, str(WINDOWS_NUMBERS.get(e))))
    if not found:
        known = ", ".join(f"{e} ({n})" if (n := WINDOWS_NUMBERS.get(e)) else e for e in AuditEvent)
        raise ConfigError("", "--event", f"{text!r} is none of {known}")
    return found


def _show(record: AuditRecord, *, as_json: bool) -> None:
    record = cleaned(record)
    if as_json:
        typer.echo(encode(record), nl=False)
        return
    when = f"{datetime.fromtimestamp(record.at, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    outcome = typer.style(f"{record.outcome:8}", fg=_COLOURS.get(record.outcome))
    typer.echo(f"{when}  {outcome}  {sentence(record)}")
    if record.outcome is Outcome.REFUSED and (seen := record.certificate):
        others = f" (or one of {seen.others} others for the same name)" if seen.others else ""
        parts = [f"certificate {seen.subject}"]
        parts += [f"serial {seen.serial}"] if seen.serial else []
        parts += [f"issued by {seen.issuer}"] if seen.issuer else []
        parts += [f"SHA-256 {seen.thumbprint}"] if seen.thumbprint else []
        typer.echo(f"{'':31}{clean(', '.join(parts))}{others}")
