"""Every fault that the lab can have, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from throughway.lab.faults import (
    accounts,
    certificates,
    clock,
    directory,
    host,
    inside,
    links,
    names,
    proxies,
    revocation,
    ways,
)
from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene, held_by

__all__ = ["CLIENT", "FAULTS", "GATEWAY", "Fault", "Scene", "held_by"]

MODULES = (
    ways,
    links,
    certificates,
    revocation,
    proxies,
    names,
    accounts,
    directory,
    clock,
    inside,
    host,
)
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {fault.name: fault for module in MODULES for fault in module.FAULTS}
)
