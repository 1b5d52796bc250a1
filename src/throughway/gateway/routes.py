"""The routes to the clients' prefixes: made again where somebody has taken them away."""

from collections.abc import Iterable

from throughway.model.status import WorkerStatus
from throughway.net import netlink

METRIC, PROTOCOL = 256, 2
"""Of the route that the kernel makes for an address on a link (RTPROT_KERNEL)."""


def republish(workers: Iterable[WorkerStatus]) -> str:
    """Put back what is missing; say what was."""
    there = {(route.prefix, route.interface) for route in netlink.routes(netlink.MAIN_TABLE)}
    missing = [w for w in workers if (w.prefix, w.interface) not in there]
    for worker in missing:
        netlink.add_route(
            netlink.Route(
                prefix=worker.prefix, interface=worker.interface, metric=METRIC, protocol=PROTOCOL
            )
        )
    if not missing:
        return "no route is missing"
    return f"made again: {', '.join(worker.prefix for worker in missing)}"
