"""File descriptors: how many connections one process can have, and some for when none is left."""

import contextlib
import errno
import os
import resource

from throughway.model.errors import ConfigError

RESERVE = 128
"""Descriptors for everything but clients: devices, listeners, channels, what Python opens."""
LEAST_HALF_OPEN = 256
"""Descriptors which must be left for connections that are no sessions yet."""
SPARE = 16
"""Descriptors that a daemon keeps, to tell that it has no others: for a command and some checks."""
LEAST_LEFT = 4
"""Descriptors; with fewer it counts as having none."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
"""What the kernel says then."""


def free_beside(sessions: int) -> int:
    """Return how many connections this process can have beside so many sessions."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 1 << 20
    return max(LEAST_HALF_OPEN, limit - sessions - RESERVE)


def require(sessions: int, file: str = "") -> None:
    """Raise :exc:`ConfigError` when a process cannot have so many sessions.

    Any worker may get all of them: how clients are spread is not ours to choose.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sessions + LEAST_HALF_OPEN + RESERVE
    if limit != resource.RLIM_INFINITY and limit < needed:
        why = (
            f"{sessions} sessions need {needed} file descriptors, and a process may have {limit}: "
            "set LimitNOFILE= in the unit (in a shell, ulimit -Hn), or fewer sessions"
        )
        raise ConfigError(file, "iphttps.max_sessions", why)


class Spare:
    """Descriptors that are kept for the time when there are no others.

    Taken first, they have low numbers: a limit that somebody has set lower leaves them usable.
    """

    def __init__(self, count: int = SPARE) -> None:
        self._count = count
        self._kept: list[int] = []
        self._keep()

    def look(self) -> str:
        """Say that this process can open no more files, "" when it can; then the spare is used.

        Given up, it lets whoever asks how things are be answered.
        """
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            used = len(os.listdir("/proc/self/fd")) - 1  # without that of this look
        except OSError as error:
            if error.errno not in EXHAUSTED:
                return ""
            self.release()
            return f"{limit} may be open, and none is left"
        if used + self._count - len(self._kept) >= limit - LEAST_LEFT:
            self.release()
            return f"{used} of {limit} are open"
        self._keep()
        return ""

    def release(self) -> None:
        """Give them up."""
        kept, self._kept = self._kept, []
        for descriptor in kept:
            os.close(descriptor)

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._kept) < self._count:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
