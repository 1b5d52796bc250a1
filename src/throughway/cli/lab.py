"""``throughway lab``: a whole DirectAccess world on this machine, and commands in its hosts."""

import json
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from throughway.cli import demo, lab_fault
from throughway.cli.asking import exit_codes
from throughway.cli.output import examples
from throughway.lab import foreground
from throughway.lab.state import DEFAULT_NAME, host_of, names
from throughway.lab.topology import DIRECTACCESS, INTRANET_PAGE, SWITCH
from throughway.model.errors import LabError
from throughway.model.status import TransportKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from throughway.lab.build import Progress
    from throughway.lab.lab import HostStatus, Lab

NOT_WELL = 1
COULD_NOT_TELL = 3
NOT_STARTED = 125
"""Exit code of ``exec`` when the command itself was not reached; all others are the command's."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A whole network on this machine: intranet, gateway, homes, clients. Needs root.",
)


def _hosts(incomplete: str) -> list[str]:
    known = [host.name for host in DIRECTACCESS.hosts] + [SWITCH]
    return [name for name in known if name.startswith(incomplete)]


def _mobile(incomplete: str) -> list[str]:
    known = [host.name for host in DIRECTACCESS.hosts if host.mobile]
    return [name for name in known if name.startswith(incomplete)]


def _places(incomplete: str) -> list[str]:
    return [p.name for p in DIRECTACCESS.places if p.name.startswith(incomplete)]


def _labs(incomplete: str) -> list[str]:
    return [name for name in names() if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Option(
        "--name",
        "-n",
        envvar="THROUGHWAY_LAB",
        help="Which lab; several can be up side by side.",
        autocompletion=_labs,
    ),
]
HostName = Annotated[str, typer.Argument(help="Such as client1.", autocompletion=_hosts)]
Mobile = Annotated[str, typer.Argument(help="client1 or client2.", autocompletion=_mobile)]
PlaceName = Annotated[
    str,
    typer.Argument(
        help="home, hotel, office, direct, cgn, native6, corp or offline.", autocompletion=_places
    ),
]


@app.command(
    epilog=examples(
        "throughway lab up",
        "throughway lab up --name trial --start-clients",
        "throughway lab up --no-gateway --no-join  # to do it by hand",
    )
)
def up(
    name: Name = DEFAULT_NAME,
    gateway: Annotated[bool, typer.Option(help="Start the gateway's daemon.")] = True,
    join: Annotated[bool, typer.Option(help="Build the policy and let the clients join.")] = True,
    start_clients: Annotated[
        bool, typer.Option("--start-clients", help="Start the clients' daemons too.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take down a lab of this name first.")
    ] = False,
) -> None:
    """Build the lab: real services on a dozen hosts, in seconds. Ends when everything answers."""
    begun = time.monotonic()
    lab = _lab(name)
    with exit_codes(), _progress(f"Building the lab {name}") as progress:
        lab.up(
            gateway=gateway, join=join, clients=start_clients, replace=replace, progress=progress
        )
    console = Console()
    console.print(f"The lab {name} is up after {time.monotonic() - begun:.1f} s. Try:")
    option = "" if name == DEFAULT_NAME else f" --name {name}"
    # Whole lines, whatever the width: they are to be copied.
    typer.echo(f"  throughway lab move{option} client1 corp")
    typer.echo(f"  throughway lab exec{option} client1 -- curl {INTRANET_PAGE}")


@app.command(
    "exec",
    context_settings={"allow_interspersed_args": False},
    epilog=examples(
        "throughway lab exec client1 -- throughway client status",
        "throughway lab exec edge1  # a shell",
        "throughway lab exec --name trial homenat -- tcpdump -n -i wan",
    ),
)
def execute(
    host: HostName,
    command: Annotated[list[str] | None, typer.Argument(help="Empty: a shell.")] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Run a command in a host, as root of it.

    The exit code is the command's; 125: it was not reached.
    """
    # With interspersed arguments off, the separator before the command is handed on to us.
    words = command[1:] if command and command[0] == "--" else command
    try:
        code = foreground.execute(host_of(name, host), words or ["bash"])
    except LabError as error:
        typer.secho(f"throughway: {error}", err=True, fg="red")
        raise typer.Exit(NOT_STARTED) from error
    raise typer.Exit(code)


@app.command(
    epilog=examples("throughway lab move client1 corp", "throughway lab move client1 offline")
)
def move(host: Mobile, place: PlaceName, name: Name = DEFAULT_NAME) -> None:
    """Carry a client to another network while everything on it runs."""
    with exit_codes():
        lab = _lab(name).require()
        lab.move(host, place)
        typer.echo(f"{host} is now {lab.topology.place(place).purpose}.")


@app.command(epilog=examples("throughway lab link client1 down", "throughway lab link client1 up"))
def link(
    host: Mobile,
    state: Annotated[str, typer.Argument(help="up or down.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Pull a client's network cable (down), or plug it in again (up)."""
    if state not in {"up", "down"}:
        raise typer.BadParameter("must be up or down", param_hint="STATE")
    with exit_codes():
        _lab(name).require().link(host, up=state == "up")
    typer.echo(f"{host}: cable {'plugged in' if state == 'up' else 'pulled'}.")


@app.command(
    epilog=examples(
        "throughway lab impair client1 --loss 1 --delay 150",
        "throughway lab impair client1 --delay 50 --jitter 20 --reorder 1",
        "throughway lab impair client1 --clear",
    )
)
def impair(
    host: Mobile,
    loss: Annotated[float, typer.Option(help="Percent of the frames, each way.")] = 0.0,
    delay: Annotated[float, typer.Option(help="Milliseconds, each way.")] = 0.0,
    jitter: Annotated[float, typer.Option(help="Milliseconds around the delay.")] = 0.0,
    reorder: Annotated[float, typer.Option(help="Percent that overtake the others.")] = 0.0,
    clear: Annotated[bool, typer.Option("--clear", help="A good line again.")] = False,
    name: Name = DEFAULT_NAME,
) -> None:
    """Make a client's line a bad one, whatever network it is in, or a good one again."""
    from throughway.lab.impair import Impairment

    with exit_codes():
        wanted = Impairment(loss=loss, delay=delay, jitter=jitter, reorder=reorder)
        _lab(name).require().impair(host, None if clear else wanted)
    typer.echo(f"{host}: {'a good line again' if clear else 'a bad line'}.")


@app.command(epilog=examples("throughway lab status", "throughway lab status --json | jq .up"))
def status(
    name: Name = DEFAULT_NAME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the hosts of a lab. Exit 0: all there; 1: some are gone; 3: there is no such lab."""
    with exit_codes():
        lab = _lab(name)
        hosts = lab.status()
    if as_json:
        content = {"name": name, "up": lab.exists, "hosts": [asdict(host) for host in hosts]}
        typer.echo(json.dumps(content, indent=2))
    elif hosts:
        Console().print(_table(name, hosts))
    if not hosts:
        others = ", ".join(names())
        typer.echo(
            f"There is no lab {name}." + (f" There are: {others}." if others else ""), err=True
        )
        raise typer.Exit(COULD_NOT_TELL)
    if not lab.exists:
        typer.echo(f"The lab is not whole: throughway lab up --name {name}", err=True)
        raise typer.Exit(NOT_WELL)


@app.command(
    epilog=examples(
        "throughway lab transports client1 iphttps",
        "throughway lab transports client1  # all again",
    )
)
def transports(
    client: Mobile,
    kinds: Annotated[list[TransportKind] | None, typer.Argument(help="Empty: all of them.")] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Let a client use only these transports; its daemon is started anew.

    Most faults of a network are got round by a transport that they do not touch.
    """
    with exit_codes():
        lab = _lab(name).require()
        lab.where(client)  # which says so where it is none that moves
        lab.allow_transports(client, *(kinds or ()))
        if lab.runs_client(client):
            lab.stop_client(client)
            lab.start_client(client)
    typer.echo(f"{client} uses {' and '.join(kinds) if kinds else 'whatever is best'}.")


@app.command(epilog=examples("throughway lab down", "throughway lab down --name trial"))
def down(name: Name = DEFAULT_NAME) -> None:
    """Take a lab down, also a half-built one. Nothing of it is left."""
    with exit_codes():
        was = _lab(name).down()
    typer.echo(f"The lab {name} is down." if was else f"There was no lab {name}.")


demo.register(app)
app.add_typer(lab_fault.app, name="fault")


def _lab(name: str) -> "Lab":
    # Only here: `exec` is used all the time and needs neither certificates nor DNS.
    from throughway.lab.lab import Lab

    return Lab(name)


@contextmanager
def _progress(title: str) -> "Iterator[Progress]":
    """Show each step as it is done, and that something is going on meanwhile."""
    console = Console()
    with console.status(title):
        yield lambda line: console.print(f"  {line}", highlight=False)


def _table(name: str, hosts: "list[HostStatus]") -> Table:
    table = Table(title=f"lab {name}", title_justify="left", box=None, pad_edge=False)
    for column in ("host", "what it is", "where", "addresses", "daemons"):
        table.add_column(column)
    for host in hosts:
        place = host.place if host.cable else f"{host.place}, cable pulled"
        table.add_row(
            host.name if host.alive else f"[red]{host.name} (gone)[/red]",
            host.purpose,
            place,
            "\n".join(host.addresses),
            ", ".join(host.services),
        )
    return table
