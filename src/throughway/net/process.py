"""Child processes that must not outlive their daemon, nor be mistaken for another's."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path

from throughway.net.files import naming

STOP_TIMEOUT = 2.0
"""Seconds a process has to end in order before it is killed."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, also when it was there before.

    It is always another file: what somebody with less power may have put there in its place, a
    link to a file of ours perhaps, is not written through.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with naming(path), os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


def record(file: Path, process: "subprocess.Popen[bytes]") -> None:
    """Write down which process it is, beyond doubt: number and start time."""
    write_private(file, f"{process.pid} {started_at(process.pid)}\n")


def end_recorded(file: Path) -> bool:
    """End the process of a :func:`record` that a killed daemon has left; say if there was one."""
    try:
        if file.lstat().st_uid != os.geteuid():
            return False  # only what we have written says whom to end
        pid, started = file.read_text().split()
    except (OSError, ValueError):
        return False
    file.unlink(missing_ok=True)
    try:
        descriptor = os.pidfd_open(int(pid))
    except (OSError, ValueError):
        return False
    try:
        # The descriptor holds the process; a number that was given to another is seen now.
        if started_at(int(pid)) != started:
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if _wait_gone(descriptor, STOP_TIMEOUT):
                break
        return True
    finally:
        os.close(descriptor)


def death_of(process: "subprocess.Popen[bytes]") -> asyncio.Event:
    """Return an event that is set when the process ends; needs no thread and no SIGCHLD."""
    died, loop = asyncio.Event(), asyncio.get_running_loop()
    descriptor = os.pidfd_open(process.pid)

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        died.set()

    loop.add_reader(descriptor, ended)
    return died


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, then make it; blocks."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def started_at(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; "" when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19]


def _wait_gone(descriptor: int, timeout: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])
