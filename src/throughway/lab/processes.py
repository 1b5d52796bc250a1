"""Processes in hosts: run, start, signal, and wait for what they promise."""

import contextlib
import ctypes
import io
import os
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from throughway.lab.namespaces import (
    Namespaces,
    enter_command,
    enter_network_command,
    environment,
)
from throughway.model.errors import LabError

T = TypeVar("T")

POLL_INTERVAL = 0.02
"""Seconds between two looks at a condition that nobody announces."""

RUN_TIMEOUT = 180.0
"""Seconds for a program; the slowest takes three of them on a machine that is not busy."""

KILL_TIMEOUT = 60.0
"""Seconds; on a machine that is busy a killed process needs its turn to be gone."""

LOG_TAIL = 15
"""Lines of a log that are shown when its service fails."""

CLONE_NEWNET = 0x40000000
"""sched.h"""

EXTRACT = """
set -e
tar --extract --file=- --directory=/ --no-same-owner --same-permissions
for file; do mv -fT -- "$file.new" "$file"; done
"""
"""Unpacks each file under another name and gives it its own when it is whole: who reads it
meanwhile has the old one or the new one."""

START = 'echo $$; exec "$@" </dev/null >>"$0" 2>&1'
"""Says the process id on the caller's pipe, then lets go of it: end of file means started."""


class HostProcess(subprocess.Popen[bytes]):
    """A program in a host; signals reach the program itself, not the way in."""

    def send_signal(self, sig: int) -> None:
        """Send the signal to the program in the host."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        while self.poll() is None:
            # Between two looks it may end, and the way in after it.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if pids := children.read_text().split():
                    os.kill(int(pids[0]), sig)
                    return
            # It is still on its way in.
            time.sleep(POLL_INTERVAL)

    def terminate(self) -> None:
        """Ask the program to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the program."""
        self.send_signal(signal.SIGKILL)


def popen(
    namespaces: Namespaces,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    preexec: Callable[[], None] | None = None,
) -> HostProcess:
    """Start a program in a host; the caller has to wait for it."""
    return HostProcess(
        enter_command(namespaces, argv),
        env={**environment(), **(env or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        preexec_fn=preexec,
    )


def run(
    namespaces: Namespaces,
    argv: Sequence[str],
    *,
    timeout: float | None = RUN_TIMEOUT,
    check: bool = False,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a host to its end; ``check`` raises :exc:`LabError` when it fails."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    pipe = subprocess.PIPE
    feed = subprocess.DEVNULL if data is None else pipe
    with popen(namespaces, argv, env=env, stdin=feed, stdout=pipe, stderr=pipe) as process:
        try:
            out, err = process.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    answer = subprocess.CompletedProcess(
        list(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    if check and answer.returncode:
        said = (answer.stderr.strip() or answer.stdout.strip())[-2000:]
        raise LabError(f"`{' '.join(argv)[:200]}` failed ({answer.returncode}): {said}")
    return answer


def run_batch(namespaces: Namespaces, batch: str) -> None:
    """Run commands of ip(8) in a host's network; they name other hosts by our process ids."""
    answer = subprocess.run(
        enter_network_command(namespaces, ["ip", "-batch", "-"]),
        input=batch,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    if answer.returncode:
        raise LabError(f"ip: {answer.stderr.strip()}\nin:\n{batch}")


@dataclass(frozen=True, slots=True)
class File:
    """A file to be put on a host."""

    content: str | bytes
    mode: int = 0o644


def write_files(namespaces: Namespaces, files: Mapping[str, File | str | bytes]) -> None:
    """Put files on a host, replacing what was there, each at once; directories are made."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, given in files.items():
            file = given if isinstance(given, File) else File(given)
            data = file.content.encode() if isinstance(file.content, str) else file.content
            entry = tarfile.TarInfo(f"{path.lstrip('/')}.new")
            entry.size, entry.mode, entry.mtime = len(data), file.mode, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    command = ["sh", "-c", EXTRACT, "sh", *files]
    run(namespaces, command, stdin=archive.getvalue(), check=True)


def read_file(namespaces: Namespaces, path: str) -> bytes:
    """Return a file of a host."""
    command = enter_command(namespaces, ["cat", path])
    answer = subprocess.run(command, capture_output=True, env=environment(), check=False)
    if answer.returncode:
        raise LabError(answer.stderr.decode(errors="replace").strip())
    return answer.stdout


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs in a host until it is stopped."""

    namespaces: Namespaces
    pid: int
    """In the host's own PID namespace."""
    log: str
    name: str

    def running(self) -> bool:
        """Whether it has not ended."""
        try:
            stat = Path(f"/proc/{self.namespaces.pid}/root/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    def send_signal(self, sig: int) -> None:
        """Send it a signal; nothing when it has ended."""
        run(self.namespaces, ["kill", f"-{int(sig)}", str(self.pid)])

    def stop(self, timeout: float = 60.0) -> None:
        """Ask it to end and wait until it has."""
        self.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.running(), timeout, f"{self.name} to end", self)

    def kill(self) -> None:
        """End it without asking."""
        self.send_signal(signal.SIGKILL)
        wait_until(lambda: not self.running(), KILL_TIMEOUT, f"{self.name} to die")

    def log_tail(self) -> str:
        """Return the end of its log."""
        command = ["tail", "-n", str(LOG_TAIL), self.log]
        return run(self.namespaces, command).stdout.rstrip()


def start(
    namespaces: Namespaces,
    name: str,
    argv: Sequence[str],
    *,
    log: str = "",
    env: Mapping[str, str] | None = None,
) -> Service:
    """Start a program in a host that outlives us; its output goes to ``log``."""
    log = log or f"/var/log/throughway/{name}.log"
    command = ["setsid", "--fork", "sh", "-c", START, log, *argv]
    said = run(namespaces, command, check=True, env=env).stdout
    return Service(namespaces, int(said), log, name)


def wait_until(
    condition: Callable[[], bool], timeout: float, what: str, service: Service | None = None
) -> None:
    """Wait for a condition; when it does not come, say so with the service's last words."""
    deadline = time.monotonic() + timeout
    while not condition():
        ended = service is not None and not service.running()
        if ended and condition():
            return
        if ended or time.monotonic() >= deadline:
            why = "it has ended" if ended else f"not within {timeout:g} s"
            tail = f"\n{service.log_tail()}" if service else ""
            raise LabError(f"waited for {what}: {why}{tail}")
        time.sleep(POLL_INTERVAL)


def in_network(namespaces: Namespaces, function: Callable[[], T]) -> T:
    """Call a function in a thread that has entered the host's network: its sockets are there."""
    answers: list[T] = []
    errors: list[BaseException] = []

    def enter_and_call() -> None:
        try:
            _set_network(namespaces)
            answers.append(function())
        except BaseException as error:
            errors.append(error)

    # The thread ends and never comes back: its namespace belongs to nobody else.
    thread = threading.Thread(target=enter_and_call, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def wait_port(
    namespaces: Namespaces,
    address: str,
    port: int,
    timeout: float = 60.0,
    service: Service | None = None,
) -> None:
    """Wait until a TCP port answers, as seen from the host."""

    def answers() -> bool:
        try:
            with socket.create_connection((address, port), timeout=1.0):
                return True
        except OSError:
            return False

    what = f"TCP port {port} of {address}"
    in_network(namespaces, lambda: wait_until(answers, timeout, what, service))


def _set_network(namespaces: Namespaces) -> None:
    libc: Any = ctypes.CDLL(None, use_errno=True)
    fd = os.open(f"/proc/{namespaces.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the host's network")
    finally:
        os.close(fd)
