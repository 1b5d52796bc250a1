"""How much strangers may ask of a Teredo server: so many requests a second, by where from.

Used by :mod:`throughway.proto.teredo.gateway`. Whoever wants more, or pretends to be many, is not
answered; a source that is within its limits is, as long as the whole is.
"""

from collections import OrderedDict
from dataclasses import dataclass

PER_SOURCE_RATE = 20.0
"""Requests a second from one /24: a client needs five to qualify, then one in half a minute."""
PER_SOURCE_BURST = 100.0
"""Requests at once from one /24: an office of twenty that comes back from a power cut."""
TOTAL_RATE = 1000.0
"""Requests a second in all: thirty thousand clients refresh at that rate."""
TOTAL_BURST = 2000.0
"""Requests at once in all."""
MAX_SOURCES = 4096
"""Sources that are remembered; beyond it the one that asked least recently is forgotten, and
begins anew. The total holds whatever somebody pretends to be."""


@dataclass(slots=True)
class Bucket:
    """Tokens that come back with time."""

    rate: float
    burst: float
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        """Let time pass."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now


class Limiter:
    """Requests of all sources."""

    def __init__(self, now: float = 0.0) -> None:
        self._total = Bucket(TOTAL_RATE, TOTAL_BURST, TOTAL_BURST, now)
        self._sources: OrderedDict[bytes, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources)

    def allows(self, address: bytes, now: float) -> bool:
        """Say whether a request from this IPv4 address may be served, and count it then."""
        source = self._source(address[:3], now)
        for bucket in (source, self._total):
            bucket.fill(now)
        if source.tokens < 1 or self._total.tokens < 1:
            return False
        source.tokens -= 1
        self._total.tokens -= 1
        return True

    def _source(self, network: bytes, now: float) -> Bucket:
        bucket = self._sources.get(network)
        if bucket is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.popitem(last=False)
            bucket = Bucket(PER_SOURCE_RATE, PER_SOURCE_BURST, PER_SOURCE_BURST, now)
            self._sources[network] = bucket
        self._sources.move_to_end(network)
        return bucket
