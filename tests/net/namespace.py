"""Run a test in a child process with a network and mounts of its own."""

import contextlib
import ctypes
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from tests.patience import PATIENCE

_NEWNS, _NEWNET = 0x00020000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str, text: str | None = None) -> str:
    """Run a command and return what it printed; its failure is one of the test."""
    answer = subprocess.run(command, check=True, input=text, capture_output=True, text=True)
    return answer.stdout


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that nobody tells of."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def in_namespace(test: Callable[[], None]) -> None:
    """Run ``test`` in a child; all of its network is a loopback that is up."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _unshare(_NEWNET | _NEWNS)
            run("mount", "--make-rprivate", "/")
            run("ip", "link", "set", "lo", "up")
            test()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


class Peer:
    """A network namespace of its own, reached by one wire; it plays whoever is out there."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.inside = ("nsenter", "-t", str(process.pid), "-n")
        """What to put before a command."""

    def run(self, *command: str, text: str | None = None) -> str:
        return run(*self.inside, *command, text=text)

    def python(self, code: str) -> "subprocess.Popen[str]":
        """Run Python there; it says "ready" before the test goes on."""
        child = subprocess.Popen(
            [*self.inside, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child


@contextlib.contextmanager
def peer(link: str, own: str, theirs: tuple[str, ...]) -> Iterator[Peer]:
    """Connect this namespace by ``link`` to another one that has the addresses ``theirs``."""
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"], stdout=-1)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        run(
            "ip",
            "link",
            "add",
            link,
            "type",
            "veth",
            "peer",
            "name",
            "w",
            "netns",
            str(process.pid),
        )
        run("ip", "link", "set", link, "up")
        run("ip", "address", "add", own, "dev", link, "nodad")
        other = Peer(process)
        other.run("ip", "link", "set", "lo", "up")
        other.run("ip", "link", "set", "w", "up")
        for address in theirs:
            other.run("ip", "address", "add", address, "dev", "w", "nodad")
        yield other
    finally:
        process.kill()
        process.communicate()
