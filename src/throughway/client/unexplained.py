"""Tunnels that are down for a reason that nobody has named: that must be said, too.

Whatever names a cause says more than "the tunnel is down". This speaks only while everything else
is silent, so that no client stays away without a word.
"""

from throughway.catalogue.ipsec import INFRASTRUCTURE_TUNNEL_DOWN, INTRANET_TUNNEL_DOWN
from throughway.client.resources import Standing
from throughway.health.tracker import Tracker
from throughway.model.findings import Component, Problem, Severity

_WAY = {Component.INTERNET, Component.IPHTTPS, Component.TEREDO, Component.SIXTOFOUR}
"""What is wrong with these explains a tunnel that is down also where it is only a warning."""
_OURS = {INFRASTRUCTURE_TUNNEL_DOWN.code, INTRANET_TUNNEL_DOWN.code}


class Unexplained:
    """Says which tunnel should be up and is not; :meth:`judge` is called again and again."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def judge(self, standing: Standing, words: str) -> None:
        """Look whether a tunnel is down with no word why; ``words`` say how far the way is.

        The catalogue's ``visible_after`` gives it the time in which it usually comes up.
        """
        down: Problem | None = None
        if standing.outside and not self._explained():
            if not standing.infrastructure:
                down = INFRASTRUCTURE_TUNNEL_DOWN
            elif standing.user and not standing.intranet:
                down = INTRANET_TUNNEL_DOWN
        for problem in (INFRASTRUCTURE_TUNNEL_DOWN, INTRANET_TUNNEL_DOWN):
            if problem is down:
                self._tracker.set(problem, words)
            else:
                self._tracker.clear(problem)

    def _explained(self) -> bool:
        return any(
            condition.code not in _OURS
            and (condition.severity is Severity.CRITICAL or condition.component in _WAY)
            for condition in self._tracker.current()
        )
