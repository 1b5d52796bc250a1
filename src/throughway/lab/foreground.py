"""One program of a host in the foreground of a terminal, as if the user sat there."""

import signal
from collections.abc import Sequence

from throughway.lab import processes
from throughway.lab.namespaces import Namespaces

PASSED_THROUGH = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
SI_USER = 0
"""si_code of a signal that a process has sent (sigaction(2))."""
KILLED = 128
"""Added to the number of the signal that killed the program, as shells do."""


def execute(namespaces: Namespaces, argv: Sequence[str]) -> int:
    """Run a program on our terminal, pass signals on to it, and return its exit code."""
    awaited = {*PASSED_THROUGH, signal.SIGCHLD}
    # Blocked before the program starts, so that no signal falls between the two.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        process = processes.popen(namespaces, argv, stdin=None, preexec=unblock)
        while process.poll() is None:
            arrived = signal.sigwaitinfo(awaited)
            # What the terminal's keys send reaches the program without us.
            if arrived.si_signo != signal.SIGCHLD and arrived.si_code == SI_USER:
                process.send_signal(arrived.si_signo)
    finally:
        unblock()
    return process.returncode if process.returncode >= 0 else KILLED - process.returncode
