"""``throughway collect``: what a client or gateway says of itself, in one archive."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, note, print_json
from throughway.doctor.gathering.bundle import redacted, write
from throughway.doctor.gathering.plan import Gathered, Places, Told, gather
from throughway.model.errors import ConfigError

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "throughway collect",
        "throughway collect --redact --output /tmp/shared.tar.gz",
        "throughway collect --no-network --json",
    )
)
def collect(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="By default throughway-NAME-TIME.tar.gz, here."),
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace names, addresses and identifiers.")
    ] = False,
    network: Annotated[
        bool,
        typer.Option(
            "--network/--no-network", help="A client that is not connected looks at the network."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Gather evidence for `throughway doctor`, here or elsewhere. Reads only; best as root.

    No key, password, PIN, ticket or hash gets into it. Exit 0 well, 2 nothing to gather here.
    """
    if output is not None and output.exists():
        raise ConfigError(str(output), "--output", "is there already")
    done = gathered(network=network, quiet=as_json)
    computer = "" if redact else socket.gethostname()
    target = output or Path(_name(computer, datetime.now().astimezone()))
    files = redacted(done.files, socket.gethostname()) if redact else done.files
    try:
        size = write(files, computer, target)
    except FileNotFoundError as error:
        raise ConfigError(str(target), "--output", str(error.strerror)) from error
    if as_json:
        print_json(
            {"written": target, "bytes": size, "files": list(files), "missing": done.missing}
        )
        return
    typer.echo(str(target))
    note(f"{len(files)} files, {(size + 1023) // 1024} KiB; only you can read it")
    for what, why in done.missing.items():
        note(f"could not be had: {what}: {why}")


def gathered(*, network: bool, quiet: bool = False) -> Gathered:
    """Gather what this machine says; say what goes on, and what only root could add."""
    places = here()
    if not places.daemons():
        folder = places.client_config.parent
        if folder.is_dir() and not os.access(folder, os.X_OK):
            raise ConfigError(str(folder), "", "is closed to you: run as root")
        raise ConfigError(
            str(places.client_config), "", "does not exist, nor does gateway.toml: nothing to ask"
        )
    with _telling(quiet=quiet) as told:
        done = gather(places, network=network, told=told)
    if os.geteuid() != 0:
        note("As root more can be said: not everything could be read.")
    return done


def here() -> Places:
    """Return where things are here, as the environment says for the other commands, too."""
    usual = Places()
    return Places(
        client_socket=Path(os.environ.get("THROUGHWAY_CLIENT_SOCKET") or usual.client_socket),
        gateway_socket=Path(os.environ.get("THROUGHWAY_GATEWAY_SOCKET") or usual.gateway_socket),
    )


def _name(computer: str, now: datetime) -> str:
    label = "".join(c if c.isalnum() or c in "-_" else "-" for c in computer)
    return "-".join(filter(None, ("throughway", label, f"{now:%Y%m%d-%H%M%S}"))) + ".tar.gz"


@contextmanager
def _telling(*, quiet: bool) -> Iterator[Told]:
    """Show on a terminal what is being gathered; nothing in a pipe, where it takes seconds."""
    if quiet or not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("Gathering …") as status:
        yield lambda what: status.update(f"{what} …")
