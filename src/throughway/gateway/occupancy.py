"""One session a certificate, over all workers: none of them knows what the others have.

Within a worker its own server sees to it at once (:mod:`throughway.proto.iphttps.server`).
"""

from collections.abc import Callable

from throughway.model.status import SessionStatus

Drop = Callable[[int, int], None]
"""Drops a session: number of the worker, number of the session there."""


class Occupancy:
    """Which sessions each certificate has, oldest first."""

    def __init__(self, drop: Drop) -> None:
        self._drop = drop
        self._sessions: dict[str, list[tuple[int, int]]] = {}

    def opened(self, worker: int, session: SessionStatus, allowed: int) -> None:
        """Enter a session; those of its certificate that are too many, 0 allowing all, end."""
        if not session.fingerprint:
            return
        own = self._sessions.setdefault(session.fingerprint, [])
        own.append((worker, session.id))
        if allowed:
            for one in own[:-allowed]:
                self._drop(*one)

    def closed(self, worker: int, session: SessionStatus) -> None:
        """Take it off."""
        own = self._sessions.get(session.fingerprint)
        if own is None or (worker, session.id) not in own:
            return
        own.remove((worker, session.id))
        if not own:
            del self._sessions[session.fingerprint]

    def ended(self, worker: int) -> None:
        """Take off all sessions of a worker."""
        for fingerprint, own in tuple(self._sessions.items()):
            left = [one for one in own if one[0] != worker]
            if left:
                self._sessions[fingerprint] = left
            else:
                del self._sessions[fingerprint]
