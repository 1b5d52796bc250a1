"""Procedure P4: Operations Status and the configuration of the server."""

from throughway.catalogue import PROBLEMS, iphttps
from throughway.doctor.rule import Rule
from throughway.doctor.rules.iphttps import is_address
from throughway.model.evidence import Role
from throughway.model.facts.server import (
    ComponentHealth,
    HealthState,
    OperationsError,
    RemoteAccessConfiguration,
    ServerFault,
)
from throughway.model.facts.transition import IPv6Interface
from throughway.model.findings import Confidence, Finding, Problem

_HARMLESS = frozenset({ServerFault.SPOOFING, ServerFault.UNKNOWN})
"""A reported spoofing attack is nearly always a stale association after a fail-over."""
_FAULTS = tuple(fault for fault in ServerFault if fault not in _HARMLESS)
_BY_COMPONENT = {
    "high availability": "high-availability-node-down",
    "network adapters": "network-adapter-down",
    "dns64": "dns64-broken",
    "nat64": "nat64-broken",
    "domain controller": "dc-unreachable",
    "management servers": "management-server-unreachable",
    "network location": "nls-unreachable-inside",
    "otp": "otp-server-unreachable",
    "6to4": "sixtofour-interface-down",
    "teredo": "teredo-server-stopped",
}
"""What a component in error points to when no words say more; names may be cut off."""


def operations_error(
    error: OperationsError, interfaces: tuple[IPv6Interface, ...]
) -> Finding | None:
    """An error that the console says in words."""
    if error.fault in _HARMLESS or _contradicted(error, interfaces):
        return None
    where = f"{error.component}: " if error.component else ""
    return Finding(
        problem=PROBLEMS[error.fault.value],
        summary=f"The server's console says: {where}{error.text.rstrip('.')}.",
        reason="the server says exactly this of itself",
        evidence=(error.source,),
    )


def component_in_error(
    health: ComponentHealth, errors: tuple[OperationsError, ...]
) -> Finding | None:
    """A component is in error, and no words say why."""
    problem = _problem_of(health.component)
    if health.state is not HealthState.ERROR or problem is None:
        return None
    if any(error.fault.value == problem.code for error in errors):
        return None
    return Finding(
        problem=problem,
        summary=f"Operations Status shows {health.component} in error.",
        confidence=Confidence.LIKELY,
        reason="the component is in error; its row does not say why",
        evidence=(health.source,),
    )


def connects_to_address(configuration: RemoteAccessConfiguration) -> Finding | None:
    """Clients are told an address instead of a name."""
    target = configuration.connect_to
    if target is None or not is_address(target):
        return None
    return Finding(
        problem=iphttps.URL_IS_IP_ADDRESS,
        summary=f"The server tells clients to connect to {target}, an address, not a name.",
        reason="the configuration stands in the evidence",
        evidence=(configuration.source,),
    )


def _contradicted(error: OperationsError, interfaces: tuple[IPv6Interface, ...]) -> bool:
    """The interface itself shows that advertising is on and that forwarding is what is off."""
    return error.fault is ServerFault.ADVERTISING_DISABLED and any(
        "iphttps" in interface.name.lower()
        and interface.advertising is True
        and interface.forwarding is False
        for interface in interfaces
    )


def _problem_of(component: str) -> Problem | None:
    name = component.lower().rstrip(".\u2026 ")
    for beginning, code in _BY_COMPONENT.items():
        if name.startswith(beginning):
            return PROBLEMS[code]
    return None


RULES = (
    Rule(tuple(PROBLEMS[fault.value] for fault in _FAULTS), operations_error, Role.SERVER),
    Rule(tuple(PROBLEMS[code] for code in _BY_COMPONENT.values()), component_in_error, Role.SERVER),
    Rule((iphttps.URL_IS_IP_ADDRESS,), connects_to_address, Role.SERVER),
)
