"""The asker's end of the control socket: one question, one answer, or why there is none."""

import contextlib
import socket
import time
from pathlib import Path

from throughway.control.codec import JSON, MAX_REPLY, decode_reply, encode_request
from throughway.model.errors import ControlError, WireError

DEFAULT_DEADLINE = 70.0
"""Seconds for the whole exchange: a little more than the daemon gives a command."""
_CHUNK = 1 << 16


def ask(
    socket_path: Path, command: str, *, deadline: float = DEFAULT_DEADLINE, **arguments: JSON
) -> JSON:
    """Send a command to a daemon and return its result.

    :exc:`CommandRefused` when the daemon says no, :exc:`ControlError` when it cannot be asked.
    """
    ends_at = time.monotonic() + deadline
    request = encode_request(command, arguments)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(deadline)
            connection.connect(str(socket_path))
            # A daemon that is too busy says so before it has read anything.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(request)
            return decode_reply(_read_line(connection, ends_at))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ControlError(not_running(socket_path)) from error
    except TimeoutError as error:
        raise ControlError(f"{_name(socket_path)} does not answer ({socket_path})") from error
    except OSError as error:
        raise ControlError(f"{socket_path}: {error.strerror or error}") from error
    except WireError as error:
        raise ControlError(f"{socket_path}: the answer cannot be understood: {error}") from error


def _read_line(connection: socket.socket, ends_at: float) -> bytes:
    """Read up to the end of the line; the deadline is for all of it, not for each piece."""
    line = bytearray()
    while not line.endswith(b"\n"):
        left = ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(_CHUNK)
        if not chunk:
            raise WireError("the daemon ended the connection")
        line += chunk
        if len(line) > MAX_REPLY:
            raise WireError("it is too long")
    return bytes(line)


def _name(socket_path: Path) -> str:
    """Name the daemon as people do; its socket is named for it."""
    return f"the {socket_path.stem} daemon"


def not_running(socket_path: Path) -> str:
    """Say that a daemon does not run and how to start it."""
    message = f"{_name(socket_path)} is not running (nobody listens on {socket_path})"
    match socket_path.stem:
        case "client":
            start = "systemctl start throughway-client, or: throughway client run"
        case "gateway":
            start = "systemctl start throughway-gateway, or: throughway gateway run --config FILE"
        case _:
            return message
    return f"{message}; start it: {start}"
