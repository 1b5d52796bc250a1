"""Which sessions each client certificate has, over all workers: none knows what the others have.

So a certificate has no more than it may, and none once it is revoked. Within a worker its own
server sees to the first at once (:mod:`throughway.proto.iphttps.server`).
"""

from collections.abc import Callable, Set
from dataclasses import dataclass

from throughway.model.status import SessionStatus

Drop = Callable[[int, int, str], None]
"""Drops a session: number of the worker, number of the session there, reason."""
TOO_MANY, REVOKED = "its certificate opened another session", "its certificate was revoked"


@dataclass(frozen=True, slots=True)
class _Place:
    worker: int
    number: int
    serial: str


class Occupancy:
    """The sessions of each certificate, oldest first."""

    def __init__(self, drop: Drop) -> None:
        self._drop = drop
        self._sessions: dict[str, list[_Place]] = {}

    def opened(self, worker: int, session: SessionStatus, allowed: int) -> None:
        """Enter a session; those of its certificate that are too many, 0 allowing all, end."""
        if not session.fingerprint:
            return
        own = self._sessions.setdefault(session.fingerprint, [])
        own.append(_Place(worker, session.id, session.serial))
        if allowed:
            for place in own[:-allowed]:
                self._drop(place.worker, place.number, TOO_MANY)

    def closed(self, worker: int, session: SessionStatus) -> None:
        """Take it off."""
        self._keep(session.fingerprint, lambda p: (p.worker, p.number) != (worker, session.id))

    def ended(self, worker: int) -> None:
        """Take off all sessions of a worker."""
        for fingerprint in tuple(self._sessions):
            self._keep(fingerprint, lambda place: place.worker != worker)

    def revoke(self, serials: Set[str]) -> None:
        """End the sessions of certificates with these serial numbers."""
        for own in tuple(self._sessions.values()):
            for place in own:
                if place.serial in serials:
                    self._drop(place.worker, place.number, REVOKED)

    def _keep(self, fingerprint: str, wanted: Callable[[_Place], bool]) -> None:
        left = [place for place in self._sessions.get(fingerprint, ()) if wanted(place)]
        if left:
            self._sessions[fingerprint] = left
        else:
            self._sessions.pop(fingerprint, None)
