"""Operations Status of the gateway: what is looked at, each part by a live check of its own."""

from collections.abc import Awaitable, Callable

from throughway.gateway.operations import inside, kernel, service
from throughway.health.checking import Check
from throughway.model.config import GatewayConfig


def operations(
    config: Callable[[], GatewayConfig],
    *,
    devices: Callable[[], tuple[str, ...]],
    ike_version: Callable[[], Awaitable[str]],
) -> tuple[Check, ...]:
    """Return every check, from the machine to what lies behind it."""
    return (
        *kernel.checks(config, devices),
        *service.checks(config, ike_version),
        *inside.checks(config),
    )
