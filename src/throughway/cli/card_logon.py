"""The smart card's part of ``throughway login``: which card it is, and its PIN.

The PIN goes from the terminal, or an open descriptor, over the local socket to the daemon. It is
never an argument, which others would see in the list of processes, and is presented once.
"""

import getpass
import os
import sys
from pathlib import Path

import typer

from throughway.control.client import ask
from throughway.control.codec import CommandRefused
from throughway.model.errors import ConfigError, ControlError

MAX_PIN = 256
"""Octets read from a descriptor."""
DEADLINE = 60.0
"""Seconds for a slow card, or for typing at the reader's own keys."""


class Card:
    """The card with which a user is about to log on, as the daemon sees it."""

    def __init__(self, socket: Path, principal: str) -> None:
        self._socket = socket
        offered = ask(socket, "smart-card", deadline=DEADLINE, principal=principal)
        if not isinstance(offered, dict):
            raise ControlError("the daemon is of another version, restart it")
        self.principal = str(offered["principal"])
        self.label = str(offered["card"])
        self._tries = str(offered["tries"])
        self._last_try = bool(offered["last_try"])
        self._asks_itself = bool(offered["asks_itself"])

    def log_on(self, descriptor: int | None, *, last_try: bool) -> None:
        """Ask for the PIN and hand it to the daemon."""
        typer.echo(f"Logging on {self.principal} with the smart card {self.label}")
        if self._tries:
            typer.echo(f"  card: {self._tries}", err=True)
        if self._last_try and not last_try:
            why = f"{self.label} has one try left; use it with --last-try"
            raise CommandRefused("smart-card-pin-wrong", why)
        pin = ""
        if self._asks_itself:
            typer.echo("  enter the PIN at the reader's keys")
        else:
            pin = _pin(self.label, descriptor)
        ask(self._socket, "login-smart-card", deadline=DEADLINE, principal=self.principal, pin=pin)
        typer.echo("  card: took the PIN")


def _pin(label: str, descriptor: int | None) -> str:
    if descriptor is None:
        if not sys.stdin.isatty():
            raise ConfigError("PIN", "", "no terminal to ask it on; use --pin-fd")
        pin = getpass.getpass(f"PIN of {label}: ")
    else:
        try:
            data = os.read(descriptor, MAX_PIN)
        except OSError as error:
            raise ConfigError("--pin-fd", "", f"cannot be read: {error.strerror}") from error
        pin = data.partition(b"\n")[0].removesuffix(b"\r").decode(errors="replace")
    if not pin:
        raise ConfigError("PIN", "", "is empty; nothing was presented to the card")
    return pin
