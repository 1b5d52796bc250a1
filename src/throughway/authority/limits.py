"""How often strangers may try: failures by source, and everything together."""

from collections import OrderedDict
from ipaddress import ip_address

WINDOW = 60.0
"""Seconds over which is counted."""
FAILURES = 20
"""Of one source in that time; a room full of computers behind one address joins without any."""
REQUESTS = 1200
"""Of all sources in that time: each costs a signature and a file that is written."""
MAX_SOURCES = 4096
IPV6_SITE = 64
"""Bits by which IPv6 sources are told apart: whoever has a network has all of its addresses."""


class Limits:
    """Counts in windows of a minute; the clock is given."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._requests = 0
        self._began = 0.0

    def wait(self, source: str, now: float, *, costly: bool = True) -> float:
        """Return for how many seconds this source is not heard; 0 when it is.

        What is ``costly`` counts, for all together; who asks for nothing of the kind is not kept
        waiting by that, nor keeps others.
        """
        if now >= self._began + WINDOW:
            self._began, self._requests = now, 0
            self._failures.clear()
        tired = self._failures.get(site(source), 0) >= FAILURES
        if tired or (costly and self._requests >= REQUESTS):
            return self._began + WINDOW - now
        self._requests += costly
        return 0.0

    def failed(self, source: str) -> None:
        """Count a failure."""
        key = site(source)
        self._failures[key] = self._failures.pop(key, 0) + 1
        if len(self._failures) > MAX_SOURCES:
            self._failures.popitem(last=False)


def site(source: str) -> str:
    """Return whom a source counts as."""
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if address.version == 4:
        return source
    return address.exploded[: IPV6_SITE // 4 + IPV6_SITE // 16 - 1]
