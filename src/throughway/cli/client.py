"""``throughway client``: run the client daemon, look at it, join, mend after a crash."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.asking import (
    CLIENT_SOCKET,
    USAGE,
    AsJSON,
    ClientSocket,
    Show,
    Watch,
    exit_codes,
    mended,
    say_waiting,
)
from throughway.cli.lazy import Lazy, group_of, list_in
from throughway.cli.output import examples, print_json
from throughway.cli.parts import completing, show_part
from throughway.cli.status import client_exit_code, client_gist, render_client
from throughway.control.client import ask
from throughway.control.codec import JSON, CommandRefused
from throughway.model.errors import ConfigError, ControlError
from throughway.model.status import ClientSnapshot

DEFAULT_CONFIG = Path("/etc/throughway/client.toml")
DEFAULT_STATE = Path("/var/lib/throughway/client")
UNIT = "throughway-client"
SHOW = Show(ClientSnapshot, render_client, client_gist, client_exit_code)

COMMANDS = {
    "join": Lazy("join", "Make this computer a client of a deployment, or give it a newer policy."),
    "leave": Lazy(
        "join", "Remove all that `join` has installed: policy, certificate, key, password."
    ),
    "log": Lazy(
        "daemon_log",
        "Show what the client daemon says of itself, from the journal or its file.",
        ("client",),
    ),
}

app = typer.Typer(
    cls=group_of(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    help="This computer as a client: join, run it, look at it.",
)

RefreshAsJSON = Annotated[bool, typer.Option("--json", help="What client.toml says, as JSON.")]
PartName = Annotated[
    str | None,
    typer.Argument(
        help="Only this stage, component or check, such as link.",
        autocompletion=completing(ClientSnapshot, "THROUGHWAY_CLIENT_SOCKET", CLIENT_SOCKET),
    ),
]
Config = Annotated[Path, typer.Option("--config", "-c", help="The client's configuration (TOML).")]


@app.command(
    epilog=examples("throughway client run", "throughway client run --config /root/client.toml")
)
def run(config: Config = DEFAULT_CONFIG) -> None:
    """Run the client daemon in the foreground until SIGTERM."""
    sys.stdout.flush()
    sys.stderr.flush()
    # The daemon stays for ever and should be small: the command line's libraries stay behind.
    daemon = [sys.executable, "-m", "throughway.client", "--config", str(config)]
    os.execv(sys.executable, daemon)


@app.command(
    epilog=examples(
        "throughway client status",
        "throughway client status link",
        "throughway client status --json | jq -r .connection",
        "throughway client status --watch",
    )
)
def status(
    part: PartName = None,
    socket: ClientSocket = CLIENT_SOCKET,
    as_json: AsJSON = False,
    watch: Watch = False,
) -> None:
    """Say whether this computer is connected, and if not, why and what to do.

    Exit 0: connected, no problems; 1: problems, or not connected; 3: the daemon cannot be asked.
    """
    with exit_codes():
        show = SHOW if part is None else show_part(ClientSnapshot, part)
        look = show.watch if watch else show.once
        raise typer.Exit(look(socket, as_json=as_json))


@app.command(
    epilog=examples(
        "throughway client refresh", "throughway client refresh --json | jq -r .needs_restart[]"
    )
)
def refresh(socket: ClientSocket = CLIENT_SOCKET, as_json: RefreshAsJSON = False) -> None:
    """Find out anew where this computer is, try again at once, fetch the newest policy.

    What has been edited in client.toml is told, and waits for a restart. Exit 2: it has errors.
    """
    with exit_codes():
        done = ask(socket, "refresh")
        if as_json:
            print_json(done)
        else:
            typer.echo("The client looks and tries again now.")
            say_waiting(done, UNIT)
        _say_refused(done)


def _say_refused(done: JSON) -> None:
    """Fail for a file that the running daemon would not start with."""
    refused = done.get("refused") if isinstance(done, dict) else None
    if not isinstance(refused, list) or not refused:
        return
    for each in refused:
        parts = (str(each[key]) for key in ("file", "key", "why") if isinstance(each, dict))
        typer.secho(f"throughway: {': '.join(filter(None, parts))}", err=True, fg="red")
    typer.echo(
        "The client goes on with the settings that it was started with, but would not start with\n"
        f"the file as it is now. Mend it, then: systemctl restart {UNIT}",
        err=True,
    )
    raise typer.Exit(USAGE)


@app.command(epilog=examples("throughway client mend ike", "throughway client mend certificates"))
def mend(
    part: Annotated[str, typer.Argument(help="What is made anew: ike or certificates.")],
    socket: ClientSocket = CLIENT_SOCKET,
) -> None:
    """Make one part anew while the others go on: charon, or the computer's certificate.
    `throughway fix` calls it where a problem asks for it."""
    with exit_codes():
        typer.echo(mended(ask(socket, "mend", part=part)))


@app.command(epilog=examples("throughway client reset"))
def reset(config: Config = DEFAULT_CONFIG, socket: ClientSocket = CLIENT_SOCKET) -> None:
    """Undo what a killed daemon has left: resolv.conf, closing rules, routes, the 6to4 device.

    Not needed when the daemon is started again: it takes both over.
    """
    from throughway.net import firewall, netlink, resolvconf, sit

    with exit_codes():
        if os.geteuid() != 0:
            raise CommandRefused("not-permitted", "reset: only root may do this")
        if _runs(socket):
            raise CommandRefused(
                "running", "the client daemon runs; stop it first: systemctl stop throughway-client"
            )
        try:
            restored = resolvconf.restore(_state_directory(config))
        finally:
            firewall.open_client()
            sit.remove_devices((sit.CLIENT_INTERFACE,))
            netlink.sweep_host_routes()
    typer.echo("resolv.conf: restored" if restored else "resolv.conf: there was nothing to restore")
    typer.echo("intranet prefixes: no longer held back")


def _runs(socket: Path) -> bool:
    try:
        ask(socket, "status")
    except CommandRefused:
        return True
    except ControlError:
        return False
    return True


def _state_directory(config: Path) -> Path:
    """Return where the daemon kept what it changed; a broken configuration must not matter."""
    from throughway.client import settings

    try:
        return settings.load(config).state_directory
    except ConfigError as error:
        typer.echo(f"{error.file} cannot be used; taking {DEFAULT_STATE}", err=True)
        return DEFAULT_STATE


list_in(app, COMMANDS)
