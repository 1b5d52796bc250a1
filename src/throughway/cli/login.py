"""``throughway login`` and ``logout``: a user comes and goes; with the user the intranet tunnel.

The ticket is obtained here, as the user and through the infrastructure tunnel; the daemon gets
only the credential cache, never the password.
"""

import base64
import getpass
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from throughway.catalogue.one_time_code import ENDED
from throughway.catalogue.smart_card import REMOVED
from throughway.cli import card_logon, code_logon
from throughway.cli.asking import CLIENT_SOCKET, FAILED, ClientSocket, exit_codes, snapshot_of
from throughway.cli.output import examples
from throughway.cli.status import View, render_problems
from throughway.control.client import ask
from throughway.health.connection import FOR_THE_USER, headline, next_step, tunnel_state
from throughway.model.errors import ConfigError, Stage, TransportError, TrustError
from throughway.model.findings import Component, Severity
from throughway.model.status import (
    ClientSnapshot,
    Condition,
    Connection,
    Location,
    TunnelState,
)
from throughway.net import kerberos, privileges

POLL_INTERVAL = 0.1
"""Seconds between two looks at a daemon that is connecting."""
DEFAULT_WAIT = 30.0
"""Seconds for the tunnels; the longest of what they wait for is a black-holed KDC, 15 s."""
PATIENCE = 6.0
"""Seconds after which a problem from before this logon counts as one of this logon."""
GRACE = 3.0
"""Seconds in which a client that has an error may be about to try again, with success."""
SILENCE = 5.0
"""Seconds for a domain controller to answer before the daemon is asked what is wrong with it."""
LONGEST_SILENCE = 20.0
"""Seconds; libkrb5 gives a black-holed KDC up after 15, if it needs no DNS for it."""
LONGEST_PASSWORD = 4096
"""Bytes; ten times what Windows takes."""
ESCAPED = "surrogateescape"
"""How Python reads a terminal whose octets are no UTF-8."""
ABOUT_DOMAIN = (Component.DOMAIN, Component.NAMES)
"""Components whose problems keep a ticket from being had."""
FORMER_LOGON = {ENDED.code, REMOVED.code}
"""Problems of a logon that is over: the next one mends them."""
ABOUT_USERS = (Component.IPSEC, Component.DOMAIN, Component.AUTHORISER)
"""Components whose problems can stop an intranet tunnel while the infrastructure tunnel is up."""

User = Annotated[
    str | None,
    typer.Argument(help="Name in the domain, such as alice or alice@CORP.EXAMPLE.COM."),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="Take the password from the first line of this file; - is standard input."),
]
Existing = Annotated[
    bool, typer.Option("--existing", help="Use the ticket that this session has already (kinit).")
]
SmartCard = Annotated[
    bool, typer.Option("--smart-card", help="Log on with the smart card in the reader.")
]
PINDescriptor = Annotated[
    int | None,
    typer.Option("--pin-fd", help="Take the card's PIN from a line of this open descriptor."),
]
Code = Annotated[
    bool, typer.Option("--code", help="Log on with a one-time code beside the password.")
]
CodeDescriptor = Annotated[
    int | None,
    typer.Option("--code-fd", help="Take one-time codes from lines of this open descriptor."),
]
LastTry = Annotated[
    bool, typer.Option("--last-try", help="Use the card's last try: a wrong PIN locks the card.")
]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the tunnels and the domain.")]


def register(app: typer.Typer) -> None:
    """Give the commands to the root of the command line."""
    app.command(
        epilog=examples(
            "throughway login alice",
            "throughway login alice@CORP.EXAMPLE.COM --password-file alice.password",
            "kinit alice; throughway login --existing",
            "throughway login --smart-card",
            "throughway login alice --code",
        )
    )(login)
    app.command(epilog=examples("throughway logout"))(logout)


def login(
    user: User = None,
    socket: ClientSocket = CLIENT_SOCKET,
    password_file: PasswordFile = None,
    existing: Existing = False,
    smart_card: SmartCard = False,
    pin_fd: PINDescriptor = None,
    last_try: LastTry = False,
    code: Code = False,
    code_fd: CodeDescriptor = None,
    wait: Wait = DEFAULT_WAIT,
) -> None:
    """Log a user on for the intranet, and wait until the intranet tunnel is up."""
    privileges.leave_no_image()  # there will be a password in it, or a PIN
    with exit_codes():
        deadline = time.monotonic() + wait
        before = _wait_infrastructure(socket, deadline)
        if before.location is Location.INSIDE:
            typer.echo("Inside the intranet: nothing to log on to, it is the local network.")
            return
        if smart_card:
            whose = _principal(user, before.kerberos_realm, existing=existing) if (
                user or existing
            ) else ""  # fmt: skip
            card = card_logon.Card(socket, whose)
            if _is_on(before, card.principal):
                typer.echo(f"{before.user} is logged on already; the intranet tunnel is up.")
                return
            started = time.monotonic()
            card.log_on(pin_fd, last_try=last_try)
            _wait_intranet(socket, card.principal, before, max(deadline, started + wait / 2))
            typer.echo(f"  intranet tunnel: up after {time.monotonic() - started:.1f} s")
            return
        principal = _principal(user, before.kerberos_realm, existing=existing)
        if _is_on(before, principal):
            typer.echo(f"{before.user} is logged on already; the intranet tunnel is up.")
            return
        typer.echo(f"Logging on {principal}")
        with tempfile.TemporaryDirectory(prefix="throughway-login-") as folder:
            ccache = existing_ccache() if existing else Path(folder) / "ccache"
            if not existing:
                password = _password(principal, password_file)
                with _naming_realm(principal, before.kerberos_realm):
                    _get_ticket(
                        socket, principal, password, ccache, patience=min(wait, LONGEST_SILENCE)
                    )
                typer.echo("  ticket: the domain accepted the password")
            content = base64.b64encode(ccache.read_bytes()).decode()
        started = time.monotonic()
        if code or code_fd is not None:
            code_logon.log_on(socket, principal, content, code_fd)
        else:
            ask(socket, "login", principal=principal, ccache=content)
            typer.echo("  ticket: handed to the client daemon")
        _wait_intranet(socket, principal, before, max(deadline, started + wait / 2))
        typer.echo(f"  intranet tunnel: up after {time.monotonic() - started:.1f} s")


def logout(socket: ClientSocket = CLIENT_SOCKET) -> None:
    """Log the user off: the ticket is destroyed and the intranet tunnel taken down."""
    with exit_codes():
        user = snapshot_of(socket, ClientSnapshot).user
        ask(socket, "logout")
    typer.echo(f"{user} is logged off." if user else "Nobody was logged on.")


def _wait_infrastructure(socket: Path, deadline: float) -> ClientSnapshot:
    """Wait until the ticket can be had: inside, or the infrastructure tunnel is up."""
    said = ""
    patience = time.monotonic() + GRACE
    for snapshot in _snapshots(socket, deadline):
        if snapshot.location is Location.INSIDE:
            return snapshot
        if tunnel_state(snapshot, "infrastructure") is TunnelState.UP and snapshot.names.effective:
            return snapshot
        if snapshot.connection is Connection.ACTION_REQUIRED and not _mended_by_logon(snapshot):
            break
        if snapshot.connection is Connection.ERROR and time.monotonic() > patience:
            break
        if next_step(snapshot) != said:
            said = next_step(snapshot)
            typer.echo(f"Waiting: {said}")
    typer.echo(f"{headline(snapshot)}. Logging on needs the infrastructure tunnel.\n", err=True)
    raise _stopped(snapshot.problems)


def _mended_by_logon(snapshot: ClientSnapshot) -> bool:
    return {p.code for p in snapshot.problems} & FOR_THE_USER <= FORMER_LOGON


@contextmanager
def _naming_realm(principal: str, realm: str) -> Iterator[None]:
    """Say to whom has typed a realm that nobody knows which one this computer's is."""
    try:
        yield
    except TransportError as error:
        name, _, typed = principal.rpartition("@")
        if error.problem != kerberos.REALM_UNKNOWN or realm in ("", typed):
            raise
        words = f"{error}; this computer's is {realm}: throughway login {name}@{realm}"
        raise TransportError(error.stage, words, problem=error.problem) from error


def _get_ticket(
    socket: Path, principal: str, password: str, ccache: Path, *, patience: float
) -> None:
    """Get the ticket, with an eye on the daemon: libkrb5 asks silent DNS servers for a minute."""
    asked: Future[None] = Future()

    def ask_domain() -> None:
        try:
            kerberos.get_ticket(principal, password, ccache)
        except BaseException as error:  # whatever it is, it is the asker's
            asked.set_exception(error)
        else:
            asked.set_result(None)

    began = time.monotonic()
    # Not one of an executor: the program must be able to end before libkrb5 does.
    threading.Thread(target=ask_domain, daemon=True).start()
    while not futures.wait((asked,), POLL_INTERVAL).done:
        silence = time.monotonic() - began
        if silence > SILENCE:
            problems = snapshot_of(socket, ClientSnapshot).problems
            if stuck := tuple(p for p in problems if p.component in ABOUT_DOMAIN):
                raise _stopped(stuck)
        if silence > patience:
            raise TransportError(
                Stage.CONNECT,
                f"{principal}: no domain controller answers",
                problem="kerberos-unreachable",
            )
    asked.result()


def _wait_intranet(socket: Path, principal: str, before: ClientSnapshot, deadline: float) -> None:
    """Wait until the user's tunnel is up, or for what the daemon says is in the way."""
    known = {(problem.code, problem.since) for problem in before.problems}
    patience = time.monotonic() + PATIENCE
    for snapshot in _snapshots(socket, deadline):
        if _is_on(snapshot, principal):
            return
        new = tuple(
            problem
            for problem in snapshot.problems
            if ((problem.code, problem.since) not in known or time.monotonic() > patience)
            and problem.component in ABOUT_USERS
            and problem.severity is not Severity.INFO
        )
        if new:
            raise _stopped(new)
    tunnel = next((t for t in snapshot.tunnels if t.name == "intranet"), None)
    reason = tunnel.last_error if tunnel and tunnel.last_error else "no reason is known yet"
    typer.echo(f"The intranet tunnel did not come up in time: {reason}\n", err=True)
    raise _stopped(snapshot.problems)


def _snapshots(socket: Path, deadline: float) -> Iterator[ClientSnapshot]:
    """Yield at least one snapshot, and then more until the deadline."""
    yield snapshot_of(socket, ClientSnapshot)
    while time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
        yield snapshot_of(socket, ClientSnapshot)


def _is_on(snapshot: ClientSnapshot, principal: str) -> bool:
    up = tunnel_state(snapshot, "intranet") is TunnelState.UP
    return snapshot.user == principal and up


def _stopped(problems: tuple[Condition, ...]) -> typer.Exit:
    """Show what is in the way, whole."""
    typer.echo("\n".join(render_problems(problems, View(now=time.time(), here="client"))), err=True)
    return typer.Exit(FAILED)


def _principal(user: str | None, realm: str, *, existing: bool) -> str:
    """Return the whole name; without a realm of its own a user is of the deployment's."""
    if existing:
        principal = kerberos.ticket_principal(existing_ccache())
        if user and user not in (principal, principal.partition("@")[0]):
            raise TrustError(
                f"the ticket is {principal}'s, not {user}'s", problem="kerberos-ticket-missing"
            )
        return principal
    name = user or getpass.getuser()
    return name if "@" in name or not realm else f"{name}@{realm}"


def existing_ccache() -> Path:
    """Return the file of this session's credential cache; other kinds cannot be handed over."""
    value = os.environ.get("KRB5CCNAME", f"FILE:/tmp/krb5cc_{os.getuid()}")
    kind, separator, rest = value.partition(":")
    if not separator:
        return Path(value)
    if kind != "FILE":
        raise TrustError(
            f"{value} is a cache of kind {kind}; only files can be handed to the daemon",
            problem="kerberos-ticket-missing",
        )
    return Path(rest)


def _password(principal: str, file: Path | None) -> str:
    if file is None:
        if not is_terminal():
            raise ConfigError("password", "", "no terminal to ask it on; use --password-file")
        return _text(getpass.getpass(f"Password of {principal}: ").encode(errors=ESCAPED), "-")
    try:
        if str(file) == "-":
            line = sys.stdin.buffer.readline(LONGEST_PASSWORD + 1)
        else:
            with file.open("rb") as opened:
                line = opened.readline(LONGEST_PASSWORD + 1)
    except OSError as error:
        raise ConfigError(str(file), "", f"cannot be read: {error.strerror}") from error
    if not (password := _text(line.partition(b"\n")[0].removesuffix(b"\r"), str(file))):
        raise ConfigError(str(file), "", "the password is empty")
    return password


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _text(password: bytes, file: str) -> str:
    """Return a password as text; errors hold nothing of it."""
    if len(password) > LONGEST_PASSWORD:
        raise ConfigError(file, "", f"a password has at most {LONGEST_PASSWORD} bytes")
    try:
        return password.decode()
    except UnicodeDecodeError:
        raise ConfigError(file, "", "the password is not text in UTF-8") from None
