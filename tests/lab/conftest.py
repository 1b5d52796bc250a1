"""One lab for all tests that look at a whole one; building it takes five seconds."""

import os
from collections.abc import Iterator

import pytest

from throughway.lab.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Return a lab without our daemons; clients are put back home by whoever moves them."""
    with Lab(f"t{os.getpid()}").up(gateway=False, join=False) as built:
        yield built
