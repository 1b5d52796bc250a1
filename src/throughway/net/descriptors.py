"""File descriptors: how many connections one process can have."""

import resource

from throughway.model.errors import ConfigError

RESERVE = 128
"""Descriptors for everything but clients: devices, listeners, channels, what Python opens."""
LEAST_HALF_OPEN = 256
"""Descriptors which must be left for connections that are no sessions yet."""


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
