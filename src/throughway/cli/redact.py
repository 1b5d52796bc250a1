"""``throughway redact``: a bundle of evidence that may be shown to others."""

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, note, print_json
from throughway.doctor.redaction.bundle import Redacted, redact
from throughway.doctor.sources.bundle import STDIN
from throughway.model.errors import ConfigError

CHANGED = 1
"""Exit code when another diagnosis comes of what was written."""

app = typer.Typer(add_completion=False)


@app.command(
    "redact",
    epilog=examples(
        "throughway redact evidence/",
        "throughway redact directaccess-PC1.zip --output shared.zip",
        "throughway redact client.zip server.zip --output both.zip",
        "throughway redact monday.zip --key 'one of our own' --output monday-shared.zip",
    ),
)
def command(
    bundle: Annotated[
        list[Path], typer.Argument(help="Files, folders, zip or tar archives; - is what is piped.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The zip to write; by default BUNDLE-redacted.zip."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="THROUGHWAY_REDACTION_KEY",
            help="The same words replace the same names in every bundle; keep them to yourself. "
            "By default another replacement each time.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Replace names, addresses, identifiers and thumbprints; the diagnosis stays the same.

    Files that hold more than text (captures, EVTX, certificates) are left out and named.
    Exit 0 well, 1 what was written gives another diagnosis, 2 usage, 3 nothing could be written.
    """
    for path in bundle:
        if str(path) != STDIN and not path.exists():
            raise ConfigError(str(path), "", "does not exist")
    target = output or Path(f"{_stem(bundle[0])}-redacted.zip")
    if target.exists():
        raise ConfigError(str(target), "--output", "is there already")
    secret = key.encode() if key else secrets.token_bytes(16)
    try:
        done = redact(bundle, sys.stdin.buffer, target, secret)
    except FileNotFoundError as error:
        raise ConfigError(str(target), "--output", str(error.strerror)) from error
    _tell(done, target, as_json=as_json)
    if not done.files:
        raise typer.Exit(3)
    raise typer.Exit(CHANGED if done.new or (done.lost and not done.left_out) else 0)


def _stem(path: Path) -> str:
    return "piped" if str(path) == STDIN else path.resolve().name.split(".")[0] or "bundle"


def _tell(done: Redacted, target: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"written": target, **{name: getattr(done, name) for name in done.__slots__}})
        return
    typer.echo(str(target))
    note(f"{len(done.files)} files; look through them before you share them")
    for file, why in done.left_out:
        note(f"left out: {file}: {why}")
    if done.lost:
        note(f"no longer found without what was left out: {', '.join(done.lost)}")
    if done.new:
        note(f"the redaction has brought about: {', '.join(done.new)}; do not share it")
