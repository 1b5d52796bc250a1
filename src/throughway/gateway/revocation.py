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


async def _ask(url: str, post: bytes) -> bytes:
    return await fetch(
        url,
        question(post),
        limit=MAXIMUM_LIST,
        seconds=FETCH_TIME,
        redirects=MAXIMUM_REDIRECTS,
    )
