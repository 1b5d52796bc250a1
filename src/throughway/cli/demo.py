"""``throughway lab demo``: the whole way from home to the intranet, shown step by step."""

import sys
from typing import Annotated

import typer

from throughway.cli.asking import exit_codes
from throughway.cli.output import examples

NAME = "demo"


def register(app: typer.Typer) -> None:
    """Give the command to ``throughway lab``."""
    app.command(epilog=examples("throughway lab demo", "throughway lab demo --name trial --keep"))(
        demo
    )


def demo(
    name: Annotated[str, typer.Option("--name", "-n", help="The name of the lab it makes.")] = NAME,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the lab up afterwards, to play with.")
    ] = False,
) -> None:
    """Bring a lab up, carry a client home and back, say what was observed, clean up.

    Exit 0 only when every step was seen.
    """
    from throughway.lab import demo as showing  # only here: `lab exec` should start fast

    with exit_codes():
        showing.run(name, _say, keep=keep)


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
