"""Rules about routes: the way out of a client, and the one that a server publishes."""

from throughway.catalogue import internet, iphttps
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.network import Adapter, Route
from throughway.model.facts.server import RemoteAccessConfiguration
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence, Finding

_DEFAULT = frozenset({"0.0.0.0/0", "::/0"})
_LOOPBACK, _MULTICAST = "127.0.0.0/8", "224.0.0.0/4"
"""Stand in every whole table of IPv4, the second near its end."""


def no_way_out(
    routes: tuple[Route, ...],
    adapters: tuple[Adapter, ...],
    interfaces: tuple[IPHTTPSInterface, ...],
) -> Finding | None:
    """The table of IPv4 is whole and has no default route, nor has that of IPv6."""
    prefixes = {route.prefix for route in routes}
    whole = {_LOOPBACK, _MULTICAST} <= prefixes
    active = any(interface.status is IPHTTPSStatus.ACTIVE for interface in interfaces)
    if not whole or active or prefixes & _DEFAULT or any(a.gateways for a in adapters):
        return None
    return Finding(
        problem=internet.INTERNET_DOWN,
        summary="There is no default route: nothing leads out of this network.",
        confidence=Confidence.LIKELY,
        reason="the table of routes is whole and has none; only a proxy could still lead out",
        evidence=(next(route.source for route in routes if route.prefix == _LOOPBACK),),
    )


def prefix_unpublished(
    configuration: RemoteAccessConfiguration, routes: tuple[Route, ...]
) -> Finding | None:
    """The route to the clients' prefix is there and not published."""
    prefix = (configuration.client_prefix or "").lower()
    there = [route for route in routes if route.prefix == prefix and route.published is not None]
    if not there or any(route.published for route in there):
        return None
    return Finding(
        problem=iphttps.ROUTE_UNPUBLISHED,
        summary=f"The route to {prefix}, which the clients are given, is not published.",
        reason="both stand in the evidence",
        evidence=(there[0].source, configuration.source),
        values=(("PREFIX", prefix),),
    )


RULES = (
    Rule((internet.INTERNET_DOWN,), no_way_out, Role.CLIENT),
    Rule((iphttps.ROUTE_UNPUBLISHED,), prefix_unpublished, Role.SERVER),
)
