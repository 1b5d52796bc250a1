"""Run a test in a child process with a network and mounts of its own."""

import ctypes
import os
import subprocess
import traceback
from collections.abc import Callable

_NEWNS, _NEWNET = 0x00020000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str, text: str | None = None) -> str:
    """Run a command and return what it printed; its failure is one of the test."""
    answer = subprocess.run(command, check=True, input=text, capture_output=True, text=True)
    return answer.stdout


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
