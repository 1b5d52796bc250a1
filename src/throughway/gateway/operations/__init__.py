"""Operations Status of the gateway: what is looked at, each part by a live check of its own."""

from throughway.gateway.operations import (
    certificates,
    filters,
    inside,
    kernel,
    links,
    servers,
    service,
    translation,
    tunnels,
)
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import Check

__all__ = ["Parts", "operations"]


def operations(parts: Parts) -> tuple[Check, ...]:
    """Return every check, from the machine to what lies behind it."""
    return (
        *kernel.checks(parts.config, parts.devices),
        *links.checks(parts),
        *filters.checks(parts),
        *service.checks(parts.config, parts.ike.version, parts.descriptors),
        *tunnels.checks(parts),
        *certificates.checks(parts.config),
        *servers.checks(parts.config),
        *inside.checks(parts.config),
        *translation.checks(parts),
    )
