"""What the gateway's parts tell, told on: to the log, the status, the audit."""

import asyncio
import time
from collections.abc import Callable

from throughway.catalogue import find
from throughway.catalogue.ipsec import DAEMON_DOWN
from throughway.gateway.audit import GatewayAudit
from throughway.gateway.refusals import MISMATCH, Lately
from throughway.health import log
from throughway.health.problem_log import ProblemLog
from throughway.health.tracker import Change, Tracker
from throughway.model.errors import ThroughwayError
from throughway.model.status import RefusedClient, SessionStatus, WorkerStatus
from throughway.net.descriptors import EXHAUSTED

RESTART_SHOWN = 8.0
"""Seconds for which a worker's restart is told when it serves again: longer than any pause between
two restarts, so that a worker that ends again and again is told of all the time."""
LIMIT_SHOWN = 60.0
"""Seconds for which a limit that was reached is told."""
HEADERLESS = "iphttps-adc-header-missing"
HEADERLESS_MANY = 5
"""Connections without a PROXY header in a row, and nobody in between: not one scanner's, then."""
HEADERLESS_SHOWN = 1200.0
"""Seconds without a further one after which it is over; refused clients wait for 1125 at most."""
REFUSALS_SHOWN = 20
"""Refused clients that the status remembers."""


class Telling:
    """Hears the workers, the endpoints and the directory; ``on_mended()`` that a link was.

    ``on_exhausted()`` is called when no file could be opened: somebody will look and tell.
    """

    def __init__(
        self,
        tracker: Tracker,
        audit: GatewayAudit,
        on_mended: Callable[[], object],
        on_exhausted: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log.logger("gateway")
        self._problems = ProblemLog(self._log)
        self._tracker = tracker
        self._audit = audit
        self._on_mended, self._on_exhausted = on_mended, on_exhausted
        self._restart_timers: dict[int, asyncio.TimerHandle] = {}
        self._limit_timer: asyncio.TimerHandle | None = None
        self._headerless = 0
        self._headerless_timer: asyncio.TimerHandle | None = None
        self.refusals = Lately(REFUSALS_SHOWN)

    def session_opened(self, session: SessionStatus) -> None:
        """Log it."""
        self._headers_are_back()
        self._log.info(
            "session opened", worker=session.worker, session=session.id, peer=session.peer
        )
        self._audit.session_opened(session)

    def session_closed(self, session: SessionStatus, reason: str) -> None:
        """Log it."""
        self._log.info(
            "session closed",
            worker=session.worker,
            session=session.id,
            peer=session.peer,
            reason=reason,
            bytes_in=session.bytes_in,
            bytes_out=session.bytes_out,
        )
        self._audit.session_closed(session, reason)

    def client_refused(self, peer: str, problem: str, reason: str) -> None:
        """Log and show it: a client was refused before it had a link."""
        self.refused(reason, problem, peer)
        self._audit.session_refused(peer, problem, reason)
        if problem == HEADERLESS:
            self._header_missing(peer)

    def _header_missing(self, peer: str) -> None:
        """Once may be anybody's mistake; if nobody else comes, it is the ADC's, for all clients."""
        self._headerless += 1
        times, more = divmod(self._headerless, HEADERLESS_MANY)
        if not more and times & (times - 1) == 0:  # the 5th, 10th, 20th: floods fill no log
            detail = f"{self._headerless} connections or more, and nobody has come in; such as"
            self._tracker.set(find(HEADERLESS), f"{detail} {peer}")
        if self._headerless_timer is not None:
            self._headerless_timer.cancel()
        loop = asyncio.get_running_loop()
        self._headerless_timer = loop.call_later(HEADERLESS_SHOWN, self._headers_are_back)

    def _headers_are_back(self) -> None:
        """Somebody came in, or nobody tries without any more."""
        if self._headerless_timer is not None:
            self._headerless_timer.cancel()
        self._headerless, self._headerless_timer = 0, None
        self._tracker.clear(find(HEADERLESS))

    def worker_serves(self, worker: WorkerStatus) -> None:
        """Log it; the restart is shown for a while longer."""
        self._log.info("worker serves", worker=worker.number, pid=worker.pid, link=worker.prefix)
        if worker.restarts:
            loop, key = asyncio.get_running_loop(), str(worker.number)
            self._restart_timers[worker.number] = loop.call_later(
                RESTART_SHOWN, lambda: self._tracker.clear(find("worker-restarting"), key=key)
            )

    def worker_ended(self, worker: WorkerStatus) -> None:
        """Make it visible; it is being started again."""
        if (timer := self._restart_timers.pop(worker.number, None)) is not None:
            timer.cancel()
        self._log.error("worker ended", worker=worker.number, reason=worker.last_end)
        self._tracker.set(
            find("worker-restarting"),
            f"worker {worker.number}: {worker.last_end}; restarts: {worker.restarts}",
            key=str(worker.number),
        )

    def link_mended(self, worker: WorkerStatus) -> None:
        """Log it; the endpoints may have been on that device."""
        self._log.warning("somebody changed a link: made again", interface=worker.interface)
        self._on_mended()

    def limit_reached(self, source: str) -> None:
        """Say so once, until nobody has come to the limit for a while; floods fill no log."""
        problem = find("connection-limit-reached")
        if not self._tracker.holds(problem):
            self._tracker.set(problem, f"{source} wanted one more")
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        loop = asyncio.get_running_loop()
        self._limit_timer = loop.call_later(LIMIT_SHOWN, self._tracker.clear, problem)

    def refused(self, reason: str, problem: str, peer: str) -> None:
        """Take a refusal: the client hears only "authentication failed", this is why."""
        self._log.warning("client refused", peer=peer, reason=reason, problem=problem)
        self.refusals.append(
            RefusedClient(at=time.time(), peer=peer, reason=reason, problem=problem)
        )
        if problem == MISMATCH:
            # Not a mistake but theft, or a computer account that was given away: a person must
            # look. A mistyped password anywhere must not turn the gateway red.
            # Once for each computer, from however many addresses it comes.
            computer = peer.partition(" (")[0]
            self._tracker.set(find(problem), f"{peer}: {reason}", key=computer)

    def cut(self, reason: str, problem: str, peer: str) -> None:
        """Take what the directory has taken back: what a tunnel stands on."""
        self.refused(reason, problem, peer)
        self._audit.cut(reason, problem, peer)

    def changed(self, change: Change) -> None:
        """Log that a problem is there, or over."""
        self._problems.changed(change)

    def failed(self, what: str, error: BaseException | None) -> None:
        """Make a failure visible that nothing else has caught."""
        if isinstance(error, ThroughwayError):
            self._log.warning(what, reason=str(error))
            # That charon is not there is told by who looks after it, for as long as it is so.
            if getattr(error, "problem", "") != DAEMON_DOWN.code:
                self._tracker.set(find("configuration-refused"), str(error))
            return
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            self._log.warning(what, reason=error.strerror)
            self._on_exhausted()
            return
        self._log.error("bug in throughway", where=what, error=repr(error), exc_info=error)
        self._tracker.set(find("bug-in-throughway"), f"{what}: {error!r}")
