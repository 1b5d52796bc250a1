"""Revocation lists on a gateway: fetched as the machine reaches the world, told where they fail."""

from collections.abc import Callable
from pathlib import Path

from throughway.catalogue import find
from throughway.health.tracker import Tracker
from throughway.model.revocation import Revocation
from throughway.net.fetch import fetch
from throughway.net.revocation_cache import MAXIMUM_LIST, RevocationCache
from throughway.net.revocation_lists import (
    FETCH_TIME,
    MAXIMUM_REDIRECTS,
    RevocationLists,
    question,
)

LATEST = 900.0
"""Seconds after which a list is fetched again, however long it is good: who is revoked today shall
not come in for the rest of the week."""
DIRECTORY = "revocation"
"""Of the state directory."""
OWN_DIRECTORY = "revocation-own"
"""Beside it: lists about the gateway's own certificates."""


def make_lists(
    state_directory: Path, tracker: Tracker, policy: Callable[[], Revocation]
) -> RevocationLists:
    """Return the lists of a gateway; places that fail are told as the policy has it."""

    def tell(url: str, why: str) -> None:
        strong, weak = find("ipsec-crl-unreachable"), find("ipsec-crl-not-renewed")
        problem, other = (strong, weak) if policy() is Revocation.STRONG else (weak, strong)
        tracker.clear(other, key=url)
        if why:
            tracker.set(problem, f"{url}: {why}", key=url)
        else:
            tracker.clear(problem, key=url)

    cache = RevocationCache(state_directory / DIRECTORY)
    return RevocationLists(cache, _ask, latest=LATEST, on_failure=tell)


def make_own_lists(state_directory: Path) -> RevocationLists:
    """Return lists about the gateway's own certificates; of places that fail nothing is told.

    They are apart: charon is given what is kept in the other place, and takes no lists of an
    authority that signs for IP-HTTPS alone.
    """
    cache = RevocationCache(state_directory / OWN_DIRECTORY)
    return RevocationLists(cache, _ask, latest=LATEST)


async def _ask(url: str, post: bytes) -> bytes:
    return await fetch(
        url,
        question(post),
        limit=MAXIMUM_LIST,
        seconds=FETCH_TIME,
        redirects=MAXIMUM_REDIRECTS,
    )
