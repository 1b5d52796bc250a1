"""``throughway gateway``: run the gateway daemon, look at it, tell it to reload."""

from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.asking import (
    GATEWAY_SOCKET,
    AsJSON,
    GatewaySocket,
    Show,
    Watch,
    exit_codes,
    mended,
    say_waiting,
)
from throughway.cli.gateway_status import gateway_gist, render_gateway
from throughway.cli.lazy import Lazy, group_of, list_in
from throughway.cli.output import examples
from throughway.cli.parts import completing, exit_code_of, show_part
from throughway.control.client import ask
from throughway.model.status import GatewaySnapshot

DEFAULT_CONFIG = Path("/etc/throughway/gateway.toml")

COMMANDS = {
    "totp": Lazy("totp", "One-time codes: users' devices (TOTP)."),
    "log": Lazy(
        "daemon_log",
        "Show what the gateway daemon says of itself, from the journal or its file.",
        ("gateway",),
    ),
}

app = typer.Typer(
    cls=group_of(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    help="The gateway: run it, look at it, check its configuration.",
)


Config = Annotated[Path, typer.Option("--config", "-c", help="The gateway's configuration (TOML).")]
ComponentName = Annotated[
    str | None,
    typer.Argument(
        help="Only this component or check, such as ipsec.",
        autocompletion=completing(GatewaySnapshot, "THROUGHWAY_GATEWAY_SOCKET", GATEWAY_SOCKET),
    ),
]


@app.command(epilog=examples("throughway gateway run --config /etc/throughway/gateway.toml"))
def run(config: Config = DEFAULT_CONFIG) -> None:
    """Run the gateway daemon in the foreground until SIGTERM; SIGHUP reloads."""
    from throughway.gateway import daemon

    with exit_codes():
        raise typer.Exit(daemon.run(config) or 0)


@app.command(
    epilog=examples("throughway gateway check", "throughway gateway check --config /root/new.toml")
)
def check(config: Config = DEFAULT_CONFIG) -> None:
    """Read a configuration as `run` would, and say everything that is wrong with it."""
    from throughway.gateway import settings

    with exit_codes():
        settings.load(config)
    typer.echo(f"{config}: no errors")


@app.command(
    epilog=examples(
        "throughway gateway status",
        "throughway gateway status ipsec",
        "throughway gateway status location-server --now",
        "throughway gateway status --json | jq .sessions",
        "throughway gateway status --watch",
    )
)
def status(
    component: ComponentName = None,
    socket: GatewaySocket = GATEWAY_SOCKET,
    as_json: AsJSON = False,
    watch: Watch = False,
    now: Annotated[
        bool, typer.Option("--now", help="Let everything be looked at first; needs root.")
    ] = False,
) -> None:
    """Say how the gateway is. Exit 0: well; 1: problems; 3: it cannot be told."""
    show = _show(component)
    with exit_codes():
        if now:
            ask(socket, "look")
        look = show.watch if watch else show.once
        raise typer.Exit(look(socket, as_json=as_json))


@app.command(epilog=examples("throughway gateway check && throughway gateway reload"))
def reload(socket: GatewaySocket = GATEWAY_SOCKET) -> None:
    """Read configuration, certificates and keytab anew; sessions go on where they can."""
    with exit_codes():
        done = ask(socket, "reload")
    typer.echo("reloaded")
    say_waiting(done, "throughway-gateway")


PART = "What is made anew: ike, workers, routes, nat64 or certificates."


@app.command(epilog=examples("throughway gateway mend ike", "throughway gateway mend routes"))
def mend(
    part: Annotated[str, typer.Argument(help=PART)], socket: GatewaySocket = GATEWAY_SOCKET
) -> None:
    """Make one part anew while the others go on: charon, silent workers, routes, tayga, or
    certificates of our own authority. `throughway fix` calls it where a problem asks for it."""
    with exit_codes():
        typer.echo(mended(ask(socket, "mend", part=part)))


def _show(component: str | None) -> Show[GatewaySnapshot]:
    if component is not None:
        return show_part(GatewaySnapshot, component)
    return Show(GatewaySnapshot, render_gateway, gateway_gist, lambda s: exit_code_of(s.state))


list_in(app, COMMANDS)
