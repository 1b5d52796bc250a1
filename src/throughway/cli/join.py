"""``throughway client join`` and ``leave``: this computer becomes a client, or no longer is one."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import confirm, examples, note, print_fields, print_json
from throughway.client.enrolment import (
    DEFAULT_DIRECTORY,
    DEFAULT_STATE,
    Computer,
    Joined,
    Place,
    leave,
    trusted_key,
)
from throughway.client.enrolment import join as enrol
from throughway.model.errors import ConfigError, TrustError
from throughway.net import privileges
from throughway.net.files import read_file, read_secret, read_toml
from throughway.pki import bundle

STANDARD_INPUT = Path("-")

Directory = Annotated[
    Path, typer.Option("--directory", help="Where client.toml, certificate and keys go.")
]
State = Annotated[Path, typer.Option("--state-directory", help="Where the policy bundle goes.")]


def register(app: typer.Typer) -> None:
    """Give the commands to the client's part of the command line."""
    app.command(
        "join",
        epilog=examples(
            "throughway client join https://da.example.com --token AX3…",
            "throughway client join policy.bundle --certificate client1.crt --key client1.key "
            "--account 'CLIENT1$' --password-file client1.password",
            "throughway client join policy.bundle --trust 'a1b2 c3d4 …'  # no question asked",
            "throughway client join policy.bundle  # again: only the policy is new",
        ),
    )(join)
    app.command("leave", epilog=examples("throughway client leave"))(leave_deployment)


def join(
    source: Annotated[
        str,
        typer.Argument(metavar="BUNDLE|URL", help="The policy bundle, or https://… with a token."),
    ],
    token: Annotated[
        str,
        typer.Option(envvar="THROUGHWAY_TOKEN", help="From `throughway pki token`; - is stdin."),
    ] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="The computer certificate (PEM). Default: the one in place.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM). Default: in place.")] = None,
    account: Annotated[
        str, typer.Option(help="The computer account. Default: by the certificate's name.")
    ] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(help="Its password, one line; - is standard input. Default: in place."),
    ] = None,
    trust: Annotated[
        str, typer.Option(help="The fingerprint of the deployment's key, so that none is asked.")
    ] = "",
    directory: Directory = DEFAULT_DIRECTORY,
    state_directory: State = DEFAULT_STATE,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make this computer a client of a deployment, or give it a newer policy.

    The deployment's key is pinned the first time: compare its fingerprint with what
    `throughway policy key` has shown on the gateway.
    """
    place = Place(directory, state_directory)
    if source.startswith("https://"):
        joined = _join_by_token(source, token, place, account, password_file)
    elif token:
        raise ConfigError("--token", "", "needs the gateway's URL, such as https://da.example.com")
    else:
        computer = _Given(certificate, key, account, password_file)
        joined = _join_with_bundle(Path(source), computer, place, trust)
    if as_json:
        print_json(joined)
    else:
        _show(joined)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the command line says of the computer's files."""

    certificate: Path | None
    key: Path | None
    account: str
    password_file: Path | None


def _join_by_token(
    url: str, token: str, place: Place, account: str, password_file: Path | None
) -> Joined:
    from throughway.client import joining  # what speaks to the authority is loaded only for it

    privileges.leave_no_image()
    if token != str(STANDARD_INPUT):
        privileges.hide_argument(token.strip())
    text = sys.stdin.readline() if token == str(STANDARD_INPUT) else token
    if not text.strip():
        raise ConfigError("--token", "", "is missing; `throughway pki token` makes one")
    password = "" if password_file is None else _password(password_file)
    account = account or _former_account(place)
    return joining.join(url, text, place, account=account, password=password, clock=time.time)


def _join_with_bundle(file: Path, given: _Given, place: Place, trust: str) -> Joined:
    data = _read(file, read_bundle)
    bundle.claimed_key(data, str(file))  # what is no bundle is told with its name
    signer = trusted_key(data, place, trust)
    if signer is None:
        shown = bundle.fingerprint(bundle.claimed_key(data))
        _ask(shown)
        signer = trusted_key(data, place, shown)
    assert signer is not None
    computer = Computer(
        certificate=_read(given.certificate or place.certificate, read_file, "--certificate"),
        key=_read(given.key or place.key, read_secret, "--key"),
        account=given.account or _former_account(place),
        password=_password(given.password_file or place.password),
    )
    return enrol(data, signer, computer, place, time.time())


def leave_deployment(
    directory: Directory = DEFAULT_DIRECTORY, state_directory: State = DEFAULT_STATE
) -> None:
    """Remove all that `join` has installed: policy, certificate, key, password."""
    gone = leave(Place(directory, state_directory))
    for path in gone:
        typer.echo(f"removed {path}")
    if gone:
        note("A client that still runs ends by: systemctl disable --now throughway-client")
    else:
        typer.echo("This computer had joined no deployment.")


def read_bundle(path: Path) -> bytes:
    """Return the bundle; never more than one can have."""
    return read_file(path, bundle.MAX_BUNDLE)


def _ask(fingerprint: str) -> None:
    """Have a person compare the fingerprint; without one, nothing is trusted."""
    note(f"The policy bundle is signed by the key\n  {fingerprint}")
    if not confirm("Has the deployment's administrator told you the same fingerprint?"):
        raise TrustError(
            "the deployment's key is not trusted; compare its fingerprint, then join with "
            f"--trust '{fingerprint}'"
        )


def _former_account(place: Place) -> str:
    """Return the account with which this computer joined before."""
    if not place.config.exists():
        return ""
    account = read_toml(place.config).get("account", "")
    return account if isinstance(account, str) else ""


def _password(path: Path) -> str:
    if path == STANDARD_INPUT:
        return sys.stdin.readline().rstrip("\r\n")
    data = _read(path, read_secret, "--password-file")
    try:
        return data.decode().partition("\n")[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", "is not text") from None


def _read(path: Path, read: Callable[[Path], bytes], option: str = "") -> bytes:
    try:
        return read(path)
    except ValueError as error:
        remedy = f"; give it with {option}" if option and not path.exists() else ""
        why = str(error).removeprefix(f"{path} ")
        raise ConfigError(str(path), "", f"{why}{remedy}") from None


def _show(joined: Joined) -> None:
    policy = joined.policy
    print_fields(
        [
            ("Joined", f"{policy.deployment}, policy version {policy.version}"),
            ("Until", f"{datetime.fromtimestamp(policy.expires_at, UTC):%Y-%m-%d} (then renewed)"),
            ("Gateway", policy.iphttps_url),
            ("Computer", joined.identity),
            ("Account", joined.account),
        ]
    )
    note("Start it: systemctl enable --now throughway-client; look: throughway client status")
