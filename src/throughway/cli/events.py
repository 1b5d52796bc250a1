"""``throughway events``: the audit, from its files, rotated ones too."""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.growing import Reader, moment_of, open_to_read
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
    reader = Reader(_readable(tuple(file or ()) or FILES), moment_of(since), _parse)
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


def _parse(line: bytes) -> AuditRecord:
    try:
        return from_json(AuditRecord, decode_line(line))
    except WireError as error:
        raise ValueError(str(error)) from None


def _readable(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the files that can be read; say which cannot, and end when there is none."""
    there, closed = [], []
    for path in paths:
        try:
            os.close(open_to_read(path))
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
