"""``throughway pki token``, ``tokens`` and ``serve``: how computers enrol by themselves."""

import csv
import io
import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from throughway.authority import directory as directories
from throughway.authority.audit import by_command, who
from throughway.authority.files import locked, write_new
from throughway.authority.registrar import make_tokens, read_book, write_book
from throughway.authority.settings import DEFAULT_FILE
from throughway.cli.output import examples, note, print_fields, print_json, print_table
from throughway.client.enrolment import account_of
from throughway.model.audit import AuditEvent
from throughway.model.errors import ConfigError
from throughway.net.files import PRIVATE, read_file
from throughway.pki import fields
from throughway.pki.authority import Profile, check_name
from throughway.pki.tokens import SECRET_LENGTH, Issuable, account_password, parse_token
from throughway.proto.proxy.md4 import md4

DEFAULT_DIRECTORY = Path("/etc/throughway/pki")
DEFAULT_DAYS = 7
MAX_DAYS = 90
"""A token that lies about for longer is better made anew."""
COMPUTERS = "computers.toml"

Directory = Annotated[
    Path,
    typer.Option("--directory", "-d", envvar="THROUGHWAY_PKI", help="Where the authority lives."),
]


def register(app: typer.Typer) -> None:
    """Give the commands to ``throughway pki``."""
    app.command(
        "token",
        epilog=examples(
            "throughway pki token client1.corp.example.com",
            "throughway pki token client1.corp.example.com --accounts /etc/throughway/accounts",
            "throughway pki token --file names.csv --output tokens.csv",
            "throughway pki token da.example.com --profile gateway --days 1",
        ),
    )(token)
    app.command("tokens", epilog=examples("throughway pki tokens", "throughway pki tokens --json"))(
        list_tokens
    )
    app.command("serve", epilog=examples("throughway pki serve"))(serve)


def token(
    names: Annotated[
        list[str] | None, typer.Argument(help="The computer's DNS name; further names of it.")
    ] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    profile: Annotated[
        Profile, typer.Option(help="What its certificate is for.")
    ] = Profile.COMPUTER,
    days: Annotated[int, typer.Option(help="Days for which it can be used.")] = DEFAULT_DAYS,
    file: Annotated[
        Path | None,
        typer.Option(help="Many at once: a computer in each line, its names with commas."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write names and tokens there (CSV, mode 0600)."),
    ] = None,
    accounts: Annotated[
        Path | None,
        typer.Option(help="Make computer accounts too: NT hashes and computers.toml, there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make a token, by which one computer joins once. A newer one for it makes the older void."""
    computers = _computers(names or [], file)
    if file is not None and output is None and not as_json:
        raise ConfigError("--file", "", "needs --output: tokens of many are not for the screen")
    if not 1 <= days <= MAX_DAYS:
        raise ConfigError("--days", "", f"must be from 1 to {MAX_DAYS}, is {days}")
    now = datetime.now(UTC).replace(microsecond=0)
    made = make_tokens(
        directory,
        computers,
        profile,
        [secrets.token_bytes(SECRET_LENGTH) for _ in computers],
        now=now,
        life=timedelta(days=days),
    )
    ends = (now + timedelta(days=days)).isoformat()
    records = [
        Issuable(digest="", names=tuple(names), profile=profile, expires_at=ends)
        for names in computers
    ]
    with by_command(directory) as audit:
        audit.tokens(AuditEvent.TOKEN_MADE, records, f"by {who()}")
    if accounts is not None:
        _write_accounts(accounts, made)
    rows = [(names[0], text) for names, text in zip(computers, made, strict=True)]
    if output is not None:
        _write_csv(output, rows)
    if as_json:
        print_json([{"name": name, "token": text} for name, text in rows])
    elif output is not None:
        typer.echo(f"{len(rows)} tokens are in {output}, good for {days} days. Keep it secret.")
    else:
        print_fields([("Computer", rows[0][0]), ("Token", rows[0][1]), ("Days", str(days))])
        note(f"There: throughway client join https://GATEWAY --token {rows[0][1]}")


def list_tokens(
    directory: Directory = DEFAULT_DIRECTORY,
    void: Annotated[
        str, typer.Option(help="Make the unused token for this computer worth nothing.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List tokens: for whom, until when, and whether they were used. Secrets are not kept."""
    directories.present(directory)
    if void:
        _void(directory, void.lower())
    book = read_book(directory)
    if as_json:
        told = ({"names": t.names, "state": _state(t), "until": t.expires_at} for t in book.tokens)
        print_json(list(told))
        return
    print_table(
        ("NAME", "PROFILE", "STATE", "UNTIL", "SERIAL"),
        ((t.names[0], t.profile, _state(t), t.expires_at[:16], t.serial) for t in book.tokens),
    )


def serve(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The service's configuration (TOML).")
    ] = DEFAULT_FILE,
) -> None:
    """Run the service by which computers enrol and renew (EST, RFC 7030)."""
    from throughway.authority import daemon  # what serves is loaded only to serve

    raise typer.Exit(daemon.run(config))


def _computers(names: Sequence[str], file: Path | None) -> list[tuple[str, ...]]:
    """Return the names of each computer."""
    if bool(names) == (file is not None):
        raise ConfigError("token", "", "name one computer, or give many with --file")
    rows = [tuple(names)] if file is None else _read_rows(file)
    for row in rows:
        try:
            fields.check_dns_name(row[0])
        except ValueError as error:
            raise ConfigError(str(file or "token"), "", str(error)) from None
        for name in row[1:]:
            check_name(name)
    counted = Counter(row[0].lower() for row in rows)
    if twice := [name for name, count in counted.items() if count > 1]:
        raise ConfigError(str(file), "", f"{twice[0]} stands there twice")
    return rows


def _read_rows(file: Path) -> list[tuple[str, ...]]:
    try:
        text = read_file(file).decode("utf-8-sig")
    except ValueError as error:
        raise ConfigError(str(file), "", str(error).removeprefix(f"{file} ")) from None
    lines = csv.reader(io.StringIO(text))
    rows = [tuple(cell.strip() for cell in line if cell.strip()) for line in lines]
    rows = [row for row in rows if row and not row[0].startswith("#") and row[0].lower() != "name"]
    if not rows:
        raise ConfigError(str(file), "", "names no computer")
    return rows


def _write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("name", "token"), *rows])
    write_new(path, text.getvalue().encode(), PRIVATE, force=True)


def _write_accounts(folder: Path, made: Sequence[str]) -> None:
    """Write what a gateway must know of the computers' accounts."""
    tables = []
    for text in made:
        known = parse_token(text)
        file = folder / f"{known.name}.nthash"
        nt_hash = md4(account_password(known).encode("utf-16-le")).hex()
        write_new(file, f"{nt_hash}\n".encode(), PRIVATE, force=True)
        tables.append(
            "\n[[computers]]\n"
            f'account = "{account_of(known.name)}"\n'
            f'identity = "{known.name}"\n'
            f'nt_hash = "{file}"\n'
        )
    write_new(folder / COMPUTERS, "".join(tables).encode(), force=True)
    note(f"Append {folder / COMPUTERS} to gateway.toml, then: throughway gateway reload")


def _void(directory: Path, name: str) -> None:
    with locked(directory):
        book = read_book(directory)
        kept = [t for t in book.tokens if t.used_at or name not in t.names]
        if len(kept) == len(book.tokens):
            raise ConfigError(name, "", "has no unused token")
        write_book(directory, type(book)(tuple(kept)))
        with by_command(directory) as audit:
            void = [token for token in book.tokens if token not in kept]
            audit.tokens(AuditEvent.TOKEN_VOIDED, void, f"by {who()}")


def _state(token: Issuable) -> str:
    if token.used_at:
        return f"used {token.used_at[:10]}"
    over = datetime.fromisoformat(token.expires_at) <= datetime.now(UTC)
    return "expired" if over else "unused"
