"""The one-time code's part of ``throughway login``.

Codes go from the terminal, or an open descriptor, over the local socket to the daemon; a RADIUS
server may ask back, in words of its own.
"""

import getpass
import os
import sys
import time
from pathlib import Path

import typer

from throughway.control.client import ask
from throughway.model.errors import ConfigError

MAX_CODE = 128
"""Octets."""
MAX_ROUNDS = 5
"""Questions of a server, one after the other."""
DEADLINE = 60.0
"""Seconds for an answer: a server may wait for a person's telephone."""


def log_on(socket: Path, principal: str, ccache: str, descriptor: int | None) -> None:
    """Ask for codes until the gateway has enough."""
    prompt, state = f"One-time code of {principal}: ", ""
    started = time.monotonic()
    for _ in range(MAX_ROUNDS):
        told = ask(
            socket,
            "login-code",
            deadline=DEADLINE,
            principal=principal,
            ccache=ccache,
            code=_code(prompt, descriptor),
            state=state,
        )
        if not isinstance(told, dict):
            typer.echo(f"  code: certificate after {time.monotonic() - started:.1f} s")
            return
        prompt, state = f"{told['challenge']}: ", str(told["state"])
        if descriptor is not None:
            typer.echo(f"  code: the server asks: {told['challenge']}")
    raise ConfigError("one-time code", "", f"the server asked {MAX_ROUNDS} times")


def _code(prompt: str, descriptor: int | None) -> str:
    if descriptor is None:
        if not sys.stdin.isatty():
            raise ConfigError("one-time code", "", "no terminal to ask it on; use --code-fd")
        return getpass.getpass(prompt).strip()
    return _line(descriptor)


def _line(descriptor: int) -> str:
    """Read one line and not more: the next one is for the next question."""
    line = b""
    try:
        while len(line) < MAX_CODE and (octet := os.read(descriptor, 1)) not in (b"", b"\n"):
            line += octet
    except OSError as error:
        raise ConfigError("--code-fd", "", f"cannot be read: {error.strerror}") from error
    if not line:
        raise ConfigError("--code-fd", "", "has no more codes")
    return line.decode(errors="replace").strip()
