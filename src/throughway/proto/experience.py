"""What worked and what failed in which network: small, bounded, and forgotten in time.

Kept by :mod:`throughway.client.transports` in a file of the state directory. A network is known by
a key of the driver's making; "" stands for one that has nothing to be known by, of which nothing is
remembered.
"""

import json
from dataclasses import dataclass

from throughway.model.status import TransportKind

MAX_NETWORKS = 64
"""The places of a traveller's year; the one that was seen longest ago makes room."""
MAX_REASON = 200
"""Characters."""
MAX_FILE = 128 * 1024
"""Bytes; more is none of ours."""
FAILURE_TIME = 3600.0
"""Seconds that a failure is believed: firewalls change, and a wrong belief costs a better way."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A transport that does not work in a network."""

    reason: str
    until: float
    """When it is to be tried again."""


class Experience:
    """What is known of networks."""

    def __init__(self) -> None:
        self.changed = False
        """Whether there is anything that was not saved."""
        self._works: dict[str, set[TransportKind]] = {}
        self._failures: dict[str, dict[TransportKind, Failure]] = {}

    def learn_success(self, network: str, kind: TransportKind) -> None:
        """Remember that it worked."""
        if not network:
            return
        self._touch(network)
        known = kind in self._works[network] and kind not in self._failures[network]
        self._works[network].add(kind)
        self._failures[network].pop(kind, None)
        self.changed = self.changed or not known

    def learn_failure(self, network: str, kind: TransportKind, reason: str, now: float) -> None:
        """Remember that it did not while another one did."""
        if not network:
            return
        self._touch(network)
        self._works[network].discard(kind)
        self._failures[network][kind] = Failure(reason[:MAX_REASON], now + FAILURE_TIME)
        self.changed = True

    def works(self, network: str, kind: TransportKind) -> bool:
        """Whether it worked when it was tried last."""
        return kind in self._works.get(network, ())

    def failure(self, network: str, kind: TransportKind, now: float) -> Failure | None:
        """Return why it failed, while that is believed."""
        failure = self._failures.get(network, {}).get(kind)
        return failure if failure is not None and failure.until > now else None

    def forget(self, network: str) -> None:
        """Forget what failed: somebody asks to try again."""
        if self._failures.get(network):
            self._failures[network].clear()
            self.changed = True

    def _touch(self, network: str) -> None:
        self._works[network] = self._works.pop(network, set())
        self._failures[network] = self._failures.pop(network, {})
        while len(self._works) > MAX_NETWORKS:
            oldest = next(iter(self._works))
            del self._works[oldest], self._failures[oldest]


def build_experience(experience: Experience, offset: float) -> str:
    """Return it as the text of a file, the network seen longest ago first.

    ``offset`` is what must be added to our times to make them seconds since 1970.
    """
    networks = [
        {
            "network": network,
            "works": sorted(works),
            "failures": {
                kind: [failure.reason, failure.until + offset]
                for kind, failure in experience._failures[network].items()
            },
        }
        for network, works in experience._works.items()
    ]
    return json.dumps(networks, indent=1) + "\n"


def parse_experience(text: str, offset: float, now: float) -> Experience:
    """Return what a file says; what is damaged or was believed too long is left out."""
    experience = Experience()
    try:
        networks = json.loads(text)
    except (ValueError, RecursionError):
        return experience
    for entry in networks if isinstance(networks, list) else ():
        if isinstance(entry, dict):
            _read_network(experience, entry, offset, now)
    experience.changed = False
    return experience


def _read_network(
    experience: Experience, entry: dict[object, object], offset: float, now: float
) -> None:
    network, works, failures = (entry.get(key) for key in ("network", "works", "failures"))
    if not isinstance(network, str):
        return
    for kind in works if isinstance(works, list) else ():
        if kind in list(TransportKind):
            experience.learn_success(network, TransportKind(kind))
    for kind, told in failures.items() if isinstance(failures, dict) else ():
        match told:
            case [str(reason), int() | float() as until] if kind in list(TransportKind):
                # A clock that was wrong once must not make it believed for ever.
                if now < until - offset <= now + FAILURE_TIME:
                    began = until - offset - FAILURE_TIME
                    experience.learn_failure(network, TransportKind(kind), reason, began)
