"""Problems of Teredo, on clients and on gateways."""

from throughway.catalogue.internet import NO_WAY_OUT
from throughway.catalogue.on_windows.host import (
    IPHLPSVC_STOPPED,
    IPV6_DISABLED_BY_REGISTRY,
    IPV6_TRANSITION_DISABLED,
)
from throughway.model.findings import Component, Problem, Severity

_BASE = (IPHLPSVC_STOPPED, IPV6_DISABLED_BY_REGISTRY, IPV6_TRANSITION_DISABLED)

DISABLED = Problem(
    code="teredo-disabled",
    title="Teredo is switched off",
    severity=Severity.INFO,
    component=Component.TEREDO,
    cause="The policy names no Teredo server. IP-HTTPS serves in its place.",
    resolution="Leave it, unless Teredo is wanted; then configure [teredo] on the gateway.",
    verify=("throughway client status",),
    depends_on=_BASE,
)

ADAPTER_MISSING = Problem(
    code="teredo-adapter-missing",
    title="The Teredo adapter is missing",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause="The device teredo0 or its socket cannot be made, or somebody has deleted the device.",
    resolution="Look whether another program holds a device of that name. It is tried again.",
    fix=("ip link show", "journalctl -u throughway-client --since -1h"),
    verify=("throughway client status",),
    depends_on=_BASE,
)

UDP_BLOCKED = Problem(
    code="teredo-udp-blocked",
    title="Teredo's UDP packets do not get through",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause=(
        "The Teredo server does not answer over UDP port 3544: this network or its firewall "
        "drops it, or the server is gone."
    ),
    resolution="Nothing needs to be done: another transport serves.",
    verify=("throughway client status",),
    depends_on=(*_BASE, *NO_WAY_OUT, ADAPTER_MISSING),
)

SERVER_UNREACHABLE = Problem(
    code="teredo-server-unreachable",
    title="The Teredo server does not answer",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause="Packets to the Teredo server cannot even leave this computer: there is no way to it.",
    resolution="Look for a default route, and for a local firewall that forbids UDP port 3544.",
    fix=("ip -4 route", "nft list ruleset"),
    verify=("throughway client status",),
    depends_on=(*_BASE, *NO_WAY_OUT, ADAPTER_MISSING, UDP_BLOCKED),
)

SYMMETRIC_NAT = Problem(
    code="teredo-symmetric-nat",
    title="The NAT of this network cannot be passed by Teredo",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause="It is symmetric: it maps each destination to another port, and nothing comes back.",
    resolution="Nothing needs to be done: another transport serves.",
    verify=("throughway client status",),
    depends_on=(*_BASE, *NO_WAY_OUT),
)

SECOND_ADDRESS_MISSING = Problem(
    code="teredo-second-address-missing",
    title="The server lacks the second public address that Teredo needs",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause=(
        "A Teredo server needs two consecutive public IPv4 addresses. The one after its first is "
        "not on this machine, or does not answer clients."
    ),
    resolution="Assign both addresses, and let UDP port 3544 through to both.",
    fix=("ip -4 address show",),
    verify=("throughway gateway status",),
    depends_on=(IPHLPSVC_STOPPED,),
)

SERVER_STOPPED = Problem(
    code="teredo-server-stopped",
    title="The Teredo server does not run",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause=(
        "Its address is not on this machine, the device or a socket cannot be made, or the "
        "process that serves has ended."
    ),
    resolution="It begins again by itself. Where Teredo is not wanted, take [teredo] out.",
    fix=("ip -4 address show", "journalctl -u throughway-gateway --since -1h"),
    verify=("throughway gateway status",),
    depends_on=(*_BASE, SECOND_ADDRESS_MISSING),
)

RELAY_UNREACHABLE = Problem(
    code="teredo-relay-unreachable",
    title="The gateway does not answer over Teredo",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause=(
        "The Teredo server answers, but no answer of the gateway's IPsec endpoint comes back: "
        "its relay is down, or the endpoint is not on the gateway."
    ),
    resolution="Look at the gateway's status; another transport serves meanwhile.",
    fix=("throughway gateway status",),
    verify=("throughway client status",),
    depends_on=(*_BASE, *NO_WAY_OUT, SYMMETRIC_NAT),
)

PROBLEMS: tuple[Problem, ...] = (
    DISABLED,
    ADAPTER_MISSING,
    UDP_BLOCKED,
    SERVER_UNREACHABLE,
    SYMMETRIC_NAT,
    SECOND_ADDRESS_MISSING,
    SERVER_STOPPED,
    RELAY_UNREACHABLE,
)
