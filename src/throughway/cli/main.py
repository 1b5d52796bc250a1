"""``throughway``: the root of the command line.

Exit codes: 0 well, 1 findings or refused, 2 usage or configuration, 3 could not tell.
"""

import contextlib
import errno
import os
import sys
import traceback
from dataclasses import dataclass
from typing import Annotated

import typer
from typer.main import get_command

from throughway import __version__
from throughway.cli.lazy import Lazy, group_of, list_in
from throughway.cli.output import examples
from throughway.model.errors import ThroughwayError

BUG_EXIT = 3
USAGE_EXIT = 2

NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
"""What the system refuses is no bug: the person at the keyboard can mend it."""


COMMANDS = {
    "gateway": Lazy("gateway", "The gateway: run it, look at it, check its configuration."),
    "client": Lazy("client", "This computer as a client: join, run it, look at it."),
    "login": Lazy("login", "Log a user on for the intranet."),
    "logout": Lazy("login", "Log the user off."),
    "policy": Lazy("policy", "What clients are told: build, sign and read the policy bundle."),
    "pki": Lazy("pki", "A certification authority for those who have none."),
    "events": Lazy("events", "Who was admitted, who was refused, and why: the audit."),
    "doctor": Lazy("doctor", "What is wrong, here or in somebody's evidence, and what mends it."),
    "collect": Lazy("collect", "Evidence of this client or gateway in one archive, no secrets."),
    "probe": Lazy("probe", "What a public IP-HTTPS server looks like from outside."),
    "fix": Lazy(
        "fix", "Mend what is wrong here, where that is safe: shown, asked, done, verified."
    ),
    "netcheck": Lazy("netcheck", "What the network around lets through."),
    "explain": Lazy("explain", "What an error number, an event or a problem's code means."),
    "redact": Lazy("redact", "A bundle of evidence without names and addresses, to be shared."),
    "lab": Lazy("lab", "A whole network on this machine, to try everything in."),
}


@dataclass
class Session:
    """One run of the command line."""

    debug: bool = False


app = typer.Typer(
    cls=group_of(COMMANDS),
    name="throughway",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    epilog=examples(
        "throughway lab demo",
        "throughway gateway check --config /etc/throughway/gateway.toml",
        "throughway client join policy.bundle",
        "throughway client status",
        "throughway login alice",
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="THROUGHWAY_DEBUG", help="Show where in the program an error arose."
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """An open DirectAccess for Linux: always-on, IPv6-native remote access."""
    if isinstance(ctx.obj, Session):
        ctx.obj.debug = debug


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(f"throughway {__version__}")


list_in(app, COMMANDS)


def main(arguments: list[str] | None = None) -> None:
    """Run one command line and end the process with its exit code."""
    session = Session()
    try:
        get_command(app).main(arguments, prog_name="throughway", obj=session)
    except SystemExit as end:
        if isinstance(end.__context__, typer.BadParameter) and os.geteuid() != 0:
            _tell_of_root(end.__context__)
        if session.debug and end.__context__ is not None:
            traceback.print_exception(end.__context__.__cause__)
        _flush()
        raise
    except Exception as error:  # the one place where what nobody foresaw gets its words
        code = tell(error)
        if session.debug:
            traceback.print_exception(error)
        _flush()
        sys.exit(code)


def _tell_of_root(error: typer.BadParameter) -> None:
    """Add to a refusal of the command line's parser, which looks at files before us, who may."""
    if error.message.endswith(("is not readable.", "is not writable.")):
        typer.secho("throughway: run as root", err=True, fg="red")


def tell(error: Exception) -> int:
    """Say on stderr what went wrong; return the exit code."""
    if isinstance(error, ThroughwayError):
        return _tell_ours(error)
    if isinstance(error, OSError) and error.errno in NOT_OURS:
        from throughway.control.permission import for_root

        hint = for_root(error)
        where = f"{error.filename}: " if error.filename else ""
        typer.secho(f"throughway: {where}{error.strerror}{hint}", err=True, fg="red")
        return USAGE_EXIT
    from throughway.catalogue.host import BUG

    typer.secho(f"throughway: {BUG.title}: {error!r}", err=True, fg="red")
    typer.echo("  Run it again as `throughway --debug …` and report what that shows.", err=True)
    typer.echo(f"  The daemons' log: {BUG.fix[0]}", err=True)
    return BUG_EXIT


def _tell_ours(error: ThroughwayError) -> int:
    from throughway.cli.asking import exit_codes

    try:
        with exit_codes():
            raise error
    except typer.Exit as end:
        return end.exit_code


def _flush() -> None:
    """Let a reader that went away (``| head``) or a full disk not be the last word of Python."""
    with contextlib.suppress(ValueError):
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
