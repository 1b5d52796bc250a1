"""What a process in the sandbox can no longer do, tried in a child."""

import os
import platform
import socket
import subprocess
import sys

import pytest

from throughway.net import proxy_sandbox

TRY = """
import os, signal, socket, subprocess, sys
from throughway.net import privileges, proxy_sandbox
print(end="", flush=True)
proxy_sandbox.enter()
def refused(call, *arguments):
    try:
        call(*arguments)
    except (OSError, MemoryError):
        return True
    return False
tried = {
    "open": refused(open, "/etc/passwd"),
    "write": refused(open, "/tmp/throughway-sandbox", "w"),
    "socket": refused(socket.socket),
    "pipe": refused(os.pipe),
    "memory": refused(bytearray, 1 << 30),
}
if sys.argv[1] == "filtered":
    tried |= {
        "fork": refused(os.fork),
        "execute": refused(os.execv, "/bin/true", ["true"]),
        "kill": refused(os.kill, os.getppid(), 0),
        "list": refused(os.listdir, "/"),
        "remove": refused(os.unlink, "/tmp/nothing"),
    }
print(" ".join(name for name, no in tried.items() if not no) or "all refused", sum(range(1000)))
"""


def test_it_may_compute_and_speak_and_nothing_else() -> None:
    filtered = "filtered" if platform.machine() in proxy_sandbox._CALLS else "limited"
    answer = subprocess.run(
        (sys.executable, "-c", TRY, filtered), capture_output=True, text=True, check=False
    )
    assert answer.stdout == "all refused 499500\n", answer.stderr


@pytest.mark.lab
def test_it_is_nobody_where_it_can_be() -> None:
    code = (
        "import sys; from throughway.net import proxy_sandbox; import os\n"
        "status = open('/proc/self/status')\n"
        "proxy_sandbox.enter()\n"
        "status.seek(0); print([l for l in status if l.startswith(('CapEff', 'NoNewPrivs'))])\n"
    )
    answer = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=False
    )
    assert "CapEff:\\t0000000000000000" in answer.stdout, answer.stderr
    assert "NoNewPrivs:\\t1" in answer.stdout


def test_a_descriptor_that_was_open_stays() -> None:
    ours, theirs = socket.socketpair()
    code = (
        "from throughway.net import proxy_sandbox; import os, sys; proxy_sandbox.enter()\n"
        "os.write(int(sys.argv[1]), b'hello')\n"
    )
    with ours, theirs:
        subprocess.run(
            (sys.executable, "-c", code, str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            check=True,
            env=os.environ,
        )
        assert ours.recv(100) == b"hello"
