"""Commands on a terminal: exit codes, signals, job control."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.patience import PATIENCE
from throughway.lab.lab import Lab

pytestmark = pytest.mark.lab

EXECUTE = """
import sys
from throughway.lab.foreground import execute
from throughway.lab.state import host_of
sys.exit(execute(host_of(sys.argv[1], sys.argv[2]), sys.argv[3:]))
"""


def command(lab: Lab, *argv: str) -> list[str]:
    return [sys.executable, "-c", EXECUTE, lab.name, "client1", *argv]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_exit_codes(lab: Lab, script: str, code: int) -> None:
    answer = subprocess.run(command(lab, "sh", "-c", script), timeout=PATIENCE, check=False)
    assert answer.returncode == code


def test_input_and_output_are_the_callers(lab: Lab) -> None:
    answer = subprocess.run(
        command(lab, "tr", "a-z", "A-Z"), input=b"hello", capture_output=True, check=True
    )
    assert answer.stdout == b"HELLO"


TRAPPER = "trap 'echo caught; exit 5' {}; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(lab: Lab, sig: signal.Signals) -> None:
    script = TRAPPER.format(sig.name.removeprefix("SIG"))

    with subprocess.Popen(command(lab, "sh", "-c", script), stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(sig)
        assert process.stdout.read() == b"caught\n"
    assert process.returncode == 5


def read_until(fd: int, wanted: bytes) -> bytes:
    said, deadline = b"", time.monotonic() + PATIENCE
    while wanted not in said:
        readable, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        assert readable, said
        said += os.read(fd, 4096)
    return said


def test_a_shell_on_a_terminal(lab: Lab) -> None:
    ours, theirs = pty.openpty()
    shell = command(lab, "bash", "--norc")
    with subprocess.Popen(
        shell,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: controlling_terminal(),
    ) as process:
        os.close(theirs)
        os.write(ours, b"PS1='at:'; test -t 0 && echo on a $((20+2)) terminal\n")
        said = read_until(ours, b"on a 22 terminal")
        assert b"no job control" not in said
        os.write(ours, b"sleep 4714 || echo inter$((1))rupted\n")
        deadline = time.monotonic() + PATIENCE
        while "sleep 4714" not in lab.run("client1", ["ps", "-e", "-o", "args="]).stdout:
            assert time.monotonic() < deadline
        os.write(ours, b"\x03exit 3\n")
        assert process.wait(PATIENCE) == 3
    os.close(ours)


def controlling_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
