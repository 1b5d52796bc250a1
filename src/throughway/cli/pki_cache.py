"""``throughway pki cache``: the revocation lists and answers that the daemons here keep."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.asking import CLIENT_SOCKET, GATEWAY_SOCKET, exit_codes
from throughway.cli.output import examples, print_fields, print_json, print_table
from throughway.control.client import ask, not_running
from throughway.control.codec import CommandRefused
from throughway.model.errors import ConfigError, ControlError
from throughway.net.revocation_cache import CRL, OCSP, Kept, RevocationCache
from throughway.pki import crl, ocsp
from throughway.pki.judgement import hex_of

STATE = Path("/var/lib/throughway")
DIRECTORIES = (
    ("client", "revocation"),
    ("gateway", "revocation"),
    ("gateway", "revocation-own"),
)
"""Of each daemon, beside each other; a gateway keeps apart what is about its own certificates."""
FINDINGS = 1
SHOWN = 20
"""Entries of a list that are shown to people; --json has them all."""

State = Annotated[
    Path,
    typer.Option("--state", envvar="THROUGHWAY_STATE", help="Where the daemons keep their state."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs.")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The revocation lists that client and gateway keep.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kept list or answer."""

    daemon: str
    url: str
    kind: str
    about: str
    """Whose list it is, or which certificate the answer is about."""
    size: int
    fetched: datetime
    begins: datetime
    ends: datetime
    fresh: bool


@app.command(
    "list", epilog=examples("throughway pki cache list", "throughway pki cache list --json")
)
def list_kept(state: State = STATE, as_json: AsJSON = False) -> None:
    """List what is kept and until when it is good. Exit 1 when something is out of date."""
    with exit_codes():
        rows = [
            _row(daemon, kept, cache.get(kept.url) or b"")
            for daemon, cache in _caches(state)
            for kept in cache.entries()
        ]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("Nothing is kept.")
    else:
        print_table(
            ("DAEMON", "KIND", "STATE", "GOOD UNTIL", "FETCHED", "BYTES", "OF", "FROM"),
            (
                (
                    *(row.daemon, row.kind, "fresh" if row.fresh else "out of date"),
                    *(f"{row.ends:%Y-%m-%d %H:%M}", f"{row.fetched:%Y-%m-%d %H:%M}"),
                    *(str(row.size), row.about, _place(row)),
                )
                for row in rows
            ),
        )
    raise typer.Exit(0 if all(row.fresh for row in rows) else FINDINGS)


@app.command(
    epilog=examples(
        "throughway pki cache show http://crl.example.com/root.crl",
        "throughway pki cache show root.crl --json",
    )
)
def show(
    url: Annotated[str, typer.Argument(help="The address, or a part of it.")],
    state: State = STATE,
    as_json: AsJSON = False,
) -> None:
    """Show what a kept list or answer says."""
    with exit_codes():
        found = [
            (_row(daemon, kept, data), data)
            for daemon, cache in _caches(state)
            for kept in cache.entries()
            if url in kept.url and (data := cache.get(kept.url)) is not None
        ]
        if not found:
            raise ConfigError(url, "", "is not among what is kept: throughway pki cache list")
    if as_json:
        print_json([{"kept": row, "says": _said(row, data)} for row, data in found])
        return
    for number, (row, data) in enumerate(found):
        if number:
            typer.echo()
        _show(row, data)


@app.command(
    epilog=examples("throughway pki cache flush", "throughway pki cache flush --out-of-date")
)
def flush(
    state: State = STATE,
    as_json: AsJSON = False,
    out_of_date: Annotated[
        bool, typer.Option("--out-of-date", help="Only what is good no more.")
    ] = False,
) -> None:
    """Forget all of it; daemons that run forget it, too, and fetch anew what they need."""
    with exit_codes():
        if os.geteuid() != 0 and state == STATE:
            raise CommandRefused("not-permitted", "flush: only root may do this")
        counts: dict[str, int] = {}
        for daemon, cache in _caches(state):
            before = datetime.now(UTC).timestamp() if out_of_date else None
            counts[daemon] = counts.get(daemon, 0) + cache.flush(before)
        told, failed = _tell() if state == STATE else ((), {})
    if as_json:
        print_json({"removed": counts, "told": told, "failed": failed})
        raise typer.Exit(FINDINGS if failed else 0)
    for daemon, count in counts.items():
        typer.echo(f"{daemon}: {count} removed")
    if not counts:
        typer.echo("Nothing is kept.")
    for daemon in told:
        typer.echo(f"The {daemon} and its charon have forgotten theirs, and fetch what they need.")
    for daemon, why in failed.items():
        typer.echo(f"The {daemon} still has its own ({why}): systemctl restart throughway-{daemon}")
    raise typer.Exit(FINDINGS if failed else 0)


def _tell() -> tuple[tuple[str, ...], dict[str, str]]:
    """Have the daemons that run forget what they and charon know; return which did, and not."""
    told, failed = [], {}
    commands = (("client", CLIENT_SOCKET, "refresh"), ("gateway", GATEWAY_SOCKET, "reload"))
    for daemon, socket, command in commands:
        try:
            ask(socket, command)
            told.append(daemon)
        except ControlError as error:
            if str(error) != not_running(socket):
                failed[daemon] = str(error)
    return tuple(told), failed


def _caches(state: Path) -> Iterator[tuple[str, RevocationCache]]:
    for daemon, name in DIRECTORIES:
        directory = state / daemon / name
        try:
            os.listdir(directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ControlError(f"{directory} cannot be read: {error.strerror}") from error
        yield daemon, RevocationCache(directory)


def _row(daemon: str, kept: Kept, data: bytes) -> Row:
    ends = _time(kept.ends_at)
    if kept.kind == CRL:
        about = crl.issuer_name(data)
    else:
        about = ", ".join(f"serial {each}" for each in _serials(data))
    return Row(
        daemon=daemon,
        url=kept.url,
        kind=kept.kind,
        about=about,
        size=kept.size,
        fetched=_time(kept.fetched_at),
        begins=_time(kept.begins_at),
        ends=ends,
        fresh=datetime.now(UTC) < ends,
    )


def _time(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _place(row: Row) -> str:
    """Return where it is from, for people: a responder without the question in its address."""
    place, _, question = row.url.rpartition("/")
    return f"{place}/" if row.kind == OCSP and len(question) > SHOWN else row.url


def _serials(data: bytes) -> list[str]:
    return [hex_of(serial) for serial in ocsp.serials_of(data)]


def _said(row: Row, data: bytes) -> object:
    if row.kind == CRL:
        return crl.describe(data)
    return {"serials": _serials(data)}


def _show(row: Row, data: bytes) -> None:
    fields: list[tuple[str, str | list[str]]] = [
        ("From", row.url),
        ("Kept by", row.daemon),
        ("Good", f"{row.begins:%Y-%m-%d %H:%M} to {row.ends:%Y-%m-%d %H:%M} UTC"),
        ("State", "fresh" if row.fresh else "out of date"),
    ]
    if row.kind == CRL:
        fact = crl.describe(data)
        base = f", a delta list to number {fact.base_number}" if fact.base_number else ""
        listed = [f"{e.serial}  {e.revoked_at:%Y-%m-%d}  {e.reason}" for e in fact.revoked]
        more = [f"and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
        fields += [
            ("Issuer", fact.issuer),
            ("Number", f"{fact.number if fact.number is not None else 'none'}{base}"),
            ("Delta list at", list(fact.delta_urls)),
            ("Revoked", [*listed[:SHOWN], *more]),
        ]
    else:
        fields.append(("About", _serials(data)))
    print_fields(fields)
