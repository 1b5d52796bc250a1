"""The daemon's end of the control socket: who asks, what for, within limits.

The socket is open to everybody on the machine, since everybody may see the status; the kernel says
who is asking (SO_PEERCRED), and the daemon's handler decides what that user may do.
"""

import asyncio
import contextlib
import socket
import stat
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from throughway.control.codec import (
    JSON,
    MAX_REQUEST,
    Command,
    CommandRefused,
    decode_request,
    encode_error,
    encode_result,
)
from throughway.model.errors import ControlError, ThroughwayError, WireError

REQUEST_TIMEOUT = 10.0
"""Seconds for a request to arrive; also how long an idle connection is kept."""
HANDLER_TIMEOUT = 60.0
"""Seconds for a command; longer work is started by a command and followed by ``status``."""
WRITE_TIMEOUT = 10.0
"""Seconds for the asker to take the reply."""
MAX_CONNECTIONS = 64
"""In all; beyond it only root is served."""
MAX_CONNECTIONS_PER_USER = 8
"""So that one user cannot keep the others, root last of all, from asking."""
SOCKET_MODE = 0o666
DIRECTORY_MODE = 0o755
PROBE_TIMEOUT = 1.0
"""Seconds to see whether somebody listens on a socket that exists already."""
_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that asks, as the kernel knows it."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Request:
    """A command and who wants it."""

    command: Command
    peer: Peer


Handler = Callable[[Request], Awaitable[JSON]]
"""Carries a command out and returns the result, or raises a :exc:`ThroughwayError`."""


def require_owner(request: Request, owners: Collection[int] = ()) -> None:
    """Refuse a command to everybody but root and the given users."""
    if request.peer.uid != 0 and request.peer.uid not in owners:
        who = "only root, and the user who is logged on," if owners else "only root"
        raise CommandRefused("not-permitted", f"{request.command.name}: {who} may do this")


def unknown_command(request: Request) -> CommandRefused:
    """Return what to raise for a command that a daemon does not have."""
    return CommandRefused("unknown-command", f"there is no command {request.command.name!r}")


class _AskerGoneError(Exception):
    """The asker hung up, fell silent, or does not take its reply."""


class ControlServer:
    """Serve a handler on a unix socket, from :meth:`start` to :meth:`close`."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._users: Counter[int] = Counter()

    async def start(self) -> None:
        """Listen; the socket of a killed daemon is replaced, a living one is left alone."""
        listener = _bind(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(
            self._connected, sock=listener, limit=MAX_REQUEST
        )

    async def close(self) -> None:
        """Stop listening, end the connections, and remove the socket if it is still ours."""
        if self._server is None:
            return
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()
        self._server = None
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Hand what no handler foresaw to the loop's exception handler: the daemon's to judge."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            task.get_loop().call_exception_handler(
                {"message": "a control command failed", "exception": error, "task": task}
            )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        peer = _peer_of(writer)
        admitted = self._admit(peer)
        self._users[peer.uid] += 1
        try:
            if not admitted:
                await _send(writer, encode_error("busy", "too many are asking; try again"))
                return
            while await self._answer_one(reader, writer, peer):
                pass
        except _AskerGoneError:
            pass  # there is nobody left to tell
        finally:
            self._users[peer.uid] -= 1
            writer.close()

    def _admit(self, peer: Peer) -> bool:
        if self._users[peer.uid] >= MAX_CONNECTIONS_PER_USER:
            return False
        return peer.uid == 0 or self._users.total() < MAX_CONNECTIONS

    async def _answer_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> bool:
        """Answer one request; False when the connection is at its end."""
        try:
            command = decode_request(await _receive(reader))
        except (asyncio.LimitOverrunError, WireError) as error:
            # What follows a request that cannot be read cannot be trusted to begin one.
            await _send(writer, encode_error("bad-request", str(error)))
            return False
        reply = encode_error("unfinished", "the daemon failed or was stopped; see its log")
        try:
            reply = await self._carry_out(Request(command, peer))
        finally:
            await _send(writer, reply)
        return True

    async def _carry_out(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT):
                return encode_result(await self._handler(request))
        except CommandRefused as refusal:
            return encode_error(refusal.code, str(refusal))
        except ThroughwayError as error:
            return encode_error("failed", str(error))
        except TimeoutError:
            return encode_error("timeout", f"{request.command.name} took too long")


async def _receive(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, TimeoutError, ConnectionError) as error:
        raise _AskerGoneError from error


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    try:
        writer.write(line)
        async with asyncio.timeout(WRITE_TIMEOUT):
            await writer.drain()
    except (TimeoutError, ConnectionError) as error:
        raise _AskerGoneError from error


def _peer_of(writer: asyncio.StreamWriter) -> Peer:
    sock = writer.get_extra_info("socket")
    return Peer(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def _bind(path: Path) -> socket.socket:
    """Return a socket bound to ``path``, whatever a former daemon left there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(DIRECTORY_MODE)  # whatever the umask is
        _remove_stale(path)
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
    except OSError as error:
        listener.close()
        raise ControlError(f"{path}: {error.strerror or error}") from error
    except ControlError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlError(f"{path} exists and is no socket; remove it or choose another path")
    except FileNotFoundError:
        return
    if _somebody_listens(path):
        raise ControlError(f"{path}: a daemon is running already and answers there; stop it first")
    path.unlink(missing_ok=True)


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):
            return True  # its queue is full: alive, if busy
    return True
