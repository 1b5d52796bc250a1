"""Problems of 6to4, on clients and on gateways."""

from throughway.catalogue.internet import NO_WAY_OUT
from throughway.catalogue.on_windows.host import (
    IPHLPSVC_STOPPED,
    IPV6_DISABLED_BY_REGISTRY,
    IPV6_TRANSITION_DISABLED,
)
from throughway.model.findings import Component, Problem, Severity

_BASE = (IPHLPSVC_STOPPED, IPV6_DISABLED_BY_REGISTRY, IPV6_TRANSITION_DISABLED)

DISABLED = Problem(
    code="sixtofour-disabled",
    title="6to4 is switched off",
    severity=Severity.INFO,
    component=Component.SIXTOFOUR,
    cause=(
        "The policy does not offer it, or the gateway's endpoints are no 6to4 addresses. Teredo "
        "and IP-HTTPS serve in its place."
    ),
    resolution="Leave it, unless 6to4 is wanted.",
    verify=("throughway client status",),
    depends_on=_BASE,
)

PSEUDO_PUBLIC_ADDRESS = Problem(
    code="sixtofour-pseudo-public-address",
    title="6to4 uses an address that only looks public",
    severity=Severity.CRITICAL,
    component=Component.SIXTOFOUR,
    cause=(
        "This computer has an IPv4 address that looks public, but no answer of the gateway comes "
        "back to it: it is behind a NAT after all, or protocol 41 is dropped on the way."
    ),
    resolution=(
        "Nothing needs to be done: 6to4 is not used before it is proven, and another transport "
        "serves."
    ),
    verify=("ip -4 address show", "throughway client status"),
    depends_on=_BASE,
)

RELAY_UNREACHABLE = Problem(
    code="sixtofour-relay-unreachable",
    title="The 6to4 relay does not answer",
    severity=Severity.CRITICAL,
    component=Component.SIXTOFOUR,
    cause=(
        "The gateway has ceased to answer over 6to4, or the network says that it does not pass "
        "protocol 41."
    ),
    resolution=(
        "Another transport serves meanwhile. On the gateway look whether 6to4 is served and no "
        "other firewall drops protocol 41."
    ),
    fix=("throughway gateway status",),
    verify=("throughway client status",),
    depends_on=(*_BASE, *NO_WAY_OUT, PSEUDO_PUBLIC_ADDRESS),
)

NO_PUBLIC_ADDRESS = Problem(
    code="sixtofour-no-public-address",
    title="6to4 has no public IPv4 address to work with",
    severity=Severity.INFO,
    component=Component.SIXTOFOUR,
    cause=(
        "Packets to the gateway leave from a private IPv4 address, or from none; behind a NAT 6to4 "
        "does not work, and need not."
    ),
    resolution="Nothing needs to be done where 6to4 is not used.",
    verify=("ip -4 address show",),
    depends_on=_BASE,
)

INTERFACE_DOWN = Problem(
    code="sixtofour-interface-down",
    title="6to4 does not work on this machine",
    severity=Severity.WARNING,
    component=Component.SIXTOFOUR,
    cause=(
        "An endpoint's public IPv4 address is not on this machine, the device or the raw socket "
        "cannot be made, or the process that carries the packets has ended."
    ),
    resolution=(
        "Assign both IPv4 addresses; it begins again by itself. Where 6to4 is not wanted, take "
        "[sixtofour] out of the configuration."
    ),
    fix=("ip -4 address show", "journalctl -u throughway-gateway -u throughway-client --since -1h"),
    verify=("throughway gateway status",),
    depends_on=_BASE,
)

PROBLEMS = (DISABLED, PSEUDO_PUBLIC_ADDRESS, RELAY_UNREACHABLE, NO_PUBLIC_ADDRESS, INTERFACE_DOWN)
