"""``throughway gateway totp``: which users have a device for one-time codes."""

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.asking import exit_codes
from throughway.cli.output import examples
from throughway.model.config import GatewayConfig, UsersConfig
from throughway.model.errors import ConfigError

DEFAULT_CONFIG = Path("/etc/throughway/gateway.toml")

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="One-time codes: users' devices (TOTP)."
)

Config = Annotated[Path, typer.Option("--config", "-c", help="The gateway's configuration (TOML).")]
User = Annotated[str, typer.Argument(help="Name in the domain, such as alice.")]


@app.command(
    epilog=examples(
        "throughway gateway totp add alice", "throughway gateway totp add alice --replace"
    )
)
def add(
    user: User,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make a new secret; the old one counts no more.")
    ] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Make a secret for a user, and show what the device reads. It is shown once."""
    from throughway.gateway import codes
    from throughway.pki import totp

    with exit_codes():
        path, users, deployment = _book(config)
        device = totp.make_device(_principal(user, users), secrets.token_bytes(totp.SECRET_LENGTH))
        with codes.opened(path) as book:
            if book.find(device.principal) is not None and not replace:
                raise ConfigError(str(path), "", f"{device.principal} has a device; --replace it")
            codes.keep(path, book.added(device))
        uri = device.uri(deployment)
        typer.echo(uri)
        if sys.stdout.isatty():
            _show(uri)


@app.command(epilog=examples("throughway gateway totp remove alice"))
def remove(user: User, config: Config = DEFAULT_CONFIG) -> None:
    """Forget a user's device."""
    from throughway.gateway import codes

    with exit_codes():
        path, users, _ = _book(config)
        principal = _principal(user, users)
        with codes.opened(path) as book:
            if book.find(principal) is None:
                raise ConfigError(str(path), "", f"{principal} has no device")
            codes.keep(path, book.without(principal))
        typer.echo(f"{principal} has no device any more")


@app.command("list", epilog=examples("throughway gateway totp list"))
def list_devices(config: Config = DEFAULT_CONFIG) -> None:
    """Show who has a device; never a secret."""
    from throughway.gateway import codes

    with exit_codes():
        path, _, _ = _book(config)
        for device in codes.read_book(path).devices:
            state = "never used" if device.last < 0 else "used"
            failures = f", {device.failures} wrong codes" if device.failures else ""
            typer.echo(f"{device.principal}  {state}{failures}")


def _book(config: Path) -> tuple[Path, UsersConfig, str]:
    """Return where the devices are, the realm's users, and the name that devices show."""
    from throughway.gateway import codes, settings

    loaded: GatewayConfig = settings.load(config)
    users = loaded.users
    if users is None or users.codes is None:
        raise ConfigError(str(config), "users.codes", "is missing: nobody is asked for codes")
    name = loaded.publish.deployment if loaded.publish is not None else users.realm.lower()
    return users.codes.book or codes.book_of(loaded), users, name


def _principal(user: str, users: UsersConfig) -> str:
    return user if "@" in user else f"{user}@{users.realm}"


def _show(uri: str) -> None:
    import segno

    segno.make(uri, error="l").terminal(compact=True)
