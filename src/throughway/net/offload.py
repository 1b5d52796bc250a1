"""Which pump moves the packets: the native module where it was built, else the same in Python."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from throughway.net import segments
from throughway.proto.iphttps.stream import same_addresses

native: ModuleType | None
try:
    from throughway.net import _segments

    native = _segments
except ImportError:
    native = None

PURE_VARIABLE: Final = "THROUGHWAY_PURE"
"""Set to 1 in the environment, the native module is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pump:
    """What the hot loops call; see :mod:`throughway.net.segments`."""

    name: str
    """``native`` or ``pure``."""
    why: str
    segment: Callable[[memoryview, int, memoryview, int], int]
    fill: Callable[[int, memoryview, memoryview, int], tuple[int, int]]
    coalesce: Callable[[int, bytes | bytearray, int, int, bool], int]
    walk: Callable[[bytes | bytearray, int, int], int]
    """See :func:`throughway.proto.iphttps.stream.same_addresses`."""

    @property
    def offload(self) -> bool:
        """Whether the kernel may hand out super-packets: cutting them in Python would cost more."""
        return self.name == "native"

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def choose(environment: Mapping[str, str] = os.environ) -> Pump:
    """Return the fastest pump there is."""
    if environment.get(PURE_VARIABLE) == "1":
        return pure(f"{PURE_VARIABLE}=1 is set")
    if native is None:
        return pure("the native module was not built, is there no C compiler?")
    return Pump(
        name="native",
        why="super-packets both ways",
        segment=native.segment,
        fill=native.fill,
        coalesce=native.coalesce,
        walk=native.walk,
    )


def pure(why: str) -> Pump:
    """Return the pump that needs no compiler."""
    return Pump(
        name="pure",
        why=why,
        segment=segments.segment,
        fill=segments.fill,
        coalesce=segments.coalesce,
        walk=same_addresses,
    )
