"""Tunnels that are down for a reason that nobody has named: that must be said, too.

Whatever names a cause says more than "the tunnel is down". This speaks only while everything else
is silent, so that no client stays away without a word. What the transports say of themselves is
worth telling only then, too: that one of them does not work matters to nobody while another does.
"""

import time
from collections.abc import Callable, Sequence

from throughway.catalogue import PROBLEMS
from throughway.catalogue.ipsec import INFRASTRUCTURE_TUNNEL_DOWN, INTRANET_TUNNEL_DOWN
from throughway.client.resources import Standing
from throughway.health.tracker import Tracker
from throughway.model.errors import TransportError
from throughway.model.findings import Component, Problem, Severity

_WAY = {Component.INTERNET, Component.IPHTTPS, Component.TEREDO, Component.SIXTOFOUR}
"""What is wrong with these explains a tunnel that is down also where it is only a warning."""


FAILED_TIME = 4.0
"""Seconds for which transports must have failed: by then it is known whether there is a network."""
_KEY = "unexplained"
"""Of what this tells, which others may tell as well."""


class Unexplained:
    """Says which tunnel should be up and is not; :meth:`judge` is called again and again."""

    def __init__(self, tracker: Tracker, clock: Callable[[], float] = time.monotonic) -> None:
        self._tracker, self._clock = tracker, clock
        self._told: dict[str, Problem] = {}
        self._failed_since: float | None = None

    def judge(self, standing: Standing, words: str, failures: Sequence[TransportError]) -> None:
        """Look whether a tunnel is down with no word why.

        ``words`` say how far the way is, ``failures`` why no transport carries. The catalogue's
        ``visible_after`` gives a tunnel the time in which it usually comes up.
        """
        if not failures:
            self._failed_since = None
        wanted: dict[str, tuple[Problem, str]] = {}
        if standing.outside and not self._explained():
            if not standing.infrastructure:
                wanted = self._lasting(_blamed(failures)) or _told(
                    INFRASTRUCTURE_TUNNEL_DOWN, words
                )
            elif standing.user and not standing.intranet:
                wanted = _told(INTRANET_TUNNEL_DOWN, words)
        for code in self._told.keys() - wanted.keys():
            self._tracker.clear(self._told[code], key=_KEY)
        for problem, why in wanted.values():
            self._tracker.set(problem, why, key=_KEY)
        self._told = {code: problem for code, (problem, _) in wanted.items()}

    def _lasting(self, blamed: dict[str, tuple[Problem, str]]) -> dict[str, tuple[Problem, str]]:
        now = self._clock()
        self._failed_since = now if self._failed_since is None else self._failed_since
        return blamed if now >= self._failed_since + FAILED_TIME else {}

    def _explained(self) -> bool:
        told = [condition.code for condition in self._tracker.current()]
        return any(
            # By somebody else, too, where it is one of ours.
            (condition.code not in self._told or told.count(condition.code) > 1)
            and (condition.severity is Severity.CRITICAL or condition.component in _WAY)
            for condition in self._tracker.current()
        )


def _told(problem: Problem, words: str) -> dict[str, tuple[Problem, str]]:
    return {problem.code: (problem, words)}


def _blamed(failures: Sequence[TransportError]) -> dict[str, tuple[Problem, str]]:
    """Return what keeps the transports from working; what is in order elsewhere is no cause."""
    named = {each.problem: str(each) for each in failures if each.problem in PROBLEMS}
    return {
        code: (PROBLEMS[code], why)
        for code, why in named.items()
        if PROBLEMS[code].severity is not Severity.INFO
    }
