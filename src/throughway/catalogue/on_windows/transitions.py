"""Problems of Teredo, 6to4 and ISATAP."""

from collections.abc import Mapping

from throughway.catalogue import sixtofour, teredo
from throughway.catalogue.on_windows.host import (
    IPHLPSVC_STOPPED,
    IPV6_DISABLED_BY_REGISTRY,
    IPV6_TRANSITION_DISABLED,
)
from throughway.model.findings import Advice, Component, Problem, Severity

_TEREDO = "netsh interface teredo show state"
_DEFAULT = (
    "netsh interface teredo set state disable",
    "netsh interface teredo set state type=default",
)
_BASE = (IPHLPSVC_STOPPED, IPV6_DISABLED_BY_REGISTRY, IPV6_TRANSITION_DISABLED)

TEREDO_GENERAL_FAILURE = Problem(
    code="teredo-general-failure",
    title="Teredo reports a general system failure",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause="The Teredo client could not start; Windows does not say more. Often it is the adapter.",
    resolution="Switch Teredo off and on again, then start IP Helper again.",
    fix=(*_DEFAULT, "Restart-Service iphlpsvc"),
    verify=(_TEREDO,),
    depends_on=(*_BASE, teredo.ADAPTER_MISSING),
)

TEREDO_TYPE_FIXED_BY_POLICY = Problem(
    code="teredo-type-fixed-by-policy",
    title="A policy fixes the Teredo type to one that stays off in managed networks",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause="A group policy sets type client; with a domain controller near, Teredo then stays off.",
    resolution="Let the policy set the type enterpriseclient.",
    fix=("gpupdate /force",),
    verify=(_TEREDO,),
    depends_on=_BASE,
)

TEREDO_MANAGED_NETWORK = Problem(
    code="teredo-managed-network",
    title="Teredo stays off because the network is a managed one",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause=(
        "The client sees a domain controller and its type is client: only enterpriseclient works "
        "in such a network."
    ),
    resolution="Inside nothing is wrong; outside set the type enterpriseclient.",
    fix=("netsh interface teredo set state type=enterpriseclient",),
    verify=(_TEREDO,),
    depends_on=(*_BASE, TEREDO_TYPE_FIXED_BY_POLICY),
)

TEREDO_HOST_SPECIFIC_RELAY = Problem(
    code="teredo-host-specific-relay",
    title="Teredo is only a relay for this host, no client",
    severity=Severity.WARNING,
    component=Component.TEREDO,
    cause=(
        "The machine has global IPv6 of another kind, so Teredo reaches other Teredo hosts only. "
        "Even when its state is qualified it carries no DirectAccess."
    ),
    resolution="Find the other IPv6 address; where it leads nowhere, remove it.",
    fix=("ipconfig /all",),
    verify=(_TEREDO,),
    depends_on=(*_BASE, teredo.ADAPTER_MISSING),
)

ISATAP_NAME_UNRESOLVABLE = Problem(
    code="isatap-name-unresolvable",
    title="The name of the ISATAP router does not resolve",
    severity=Severity.WARNING,
    component=Component.ISATAP,
    cause="It is not in the intranet's DNS, or the DNS server's query block list holds it back.",
    resolution="Publish the name, and take isatap off the block list, where ISATAP is used.",
    fix=("Set-DnsServerGlobalQueryBlockList -List wpad",),
    verify=("nslookup isatap", "netsh interface isatap show router"),
    depends_on=(IPHLPSVC_STOPPED,),
)

ISATAP_ADVERTISING_DISABLED = Problem(
    code="isatap-advertising-disabled",
    title="The ISATAP router does not advertise",
    severity=Severity.WARNING,
    component=Component.ISATAP,
    cause="Advertising or the default route is off on the server's ISATAP adapter.",
    resolution="Enable advertising and the default route on that adapter.",
    fix=(
        "netsh interface ipv6 set interface INDEX advertise=enabled advertisedefaultroute=enabled",
    ),
    verify=("netsh interface ipv6 show interface INDEX",),
    depends_on=(IPHLPSVC_STOPPED,),
)

PROBLEMS: tuple[Problem, ...] = (
    TEREDO_GENERAL_FAILURE,
    TEREDO_TYPE_FIXED_BY_POLICY,
    TEREDO_MANAGED_NETWORK,
    TEREDO_HOST_SPECIFIC_RELAY,
    ISATAP_NAME_UNRESOLVABLE,
    ISATAP_ADVERTISING_DISABLED,
)

ADVICE: Mapping[str, Advice] = {
    teredo.DISABLED.code: Advice(
        cause="Its type is disabled, by a policy or by hand. IP-HTTPS serves in its place.",
        resolution="Leave it, unless Teredo is wanted; then set its type back.",
        fix=("netsh interface teredo set state type=enterpriseclient",),
        verify=(_TEREDO,),
    ),
    teredo.ADAPTER_MISSING.code: Advice(
        cause=(
            "Teredo is configured, but its tunnel interface does not exist or cannot be opened: "
            "the adapter was removed, or its driver failed to install."
        ),
        resolution="Switch Teredo off and on again; where that fails, remove the hidden adapters.",
        fix=_DEFAULT,
        verify=(_TEREDO, "netsh interface ipv6 show interfaces"),
    ),
    teredo.UDP_BLOCKED.code: Advice(
        cause=(
            "The Teredo server does not answer over UDP port 3544: this network or its firewall "
            "drops it, or the server is gone."
        ),
        resolution="Allow UDP 3544 to the outside; else leave it to IP-HTTPS.",
        fix=("netsh interface teredo set state servername=NAME",),
        verify=(_TEREDO,),
    ),
    teredo.SERVER_UNREACHABLE.code: Advice(
        cause=(
            "The client keeps on probing the primary server: its name does not resolve, the server "
            "is down, or UDP port 3544 is dropped on the way."
        ),
        resolution=(
            "Name a server that works; for DirectAccess it is the DirectAccess server itself."
        ),
        fix=("netsh interface teredo set state servername=NAME",),
        verify=(_TEREDO, "nslookup NAME"),
    ),
    teredo.SYMMETRIC_NAT.code: Advice(
        cause="It is symmetric: it maps each destination to another port.",
        resolution=(
            "Use another network, or leave it to IP-HTTPS; where the network stays, Teredo can be "
            "switched off to spare its tries."
        ),
        fix=("netsh interface teredo set state disabled",),
        verify=(_TEREDO,),
    ),
    teredo.SECOND_ADDRESS_MISSING.code: Advice(
        cause=(
            "A Teredo server needs two consecutive public IPv4 addresses on its external adapter."
        ),
        resolution="Assign both addresses, or switch Teredo off on the server.",
        fix=("Restart-Service iphlpsvc",),
        verify=("ipconfig /all", "Get-RemoteAccessHealth"),
    ),
    teredo.SERVER_STOPPED.code: Advice(
        cause="It was stopped by hand, or its two consecutive public IPv4 addresses are not there.",
        resolution="Check the second address, then start IP Helper again.",
        fix=("Restart-Service iphlpsvc",),
        verify=(_TEREDO, "Get-RemoteAccessHealth"),
    ),
    sixtofour.DISABLED.code: Advice(
        cause="A policy or a person disabled it. Teredo and IP-HTTPS serve in its place.",
        resolution="Leave it, unless 6to4 is wanted.",
        fix=("netsh interface 6to4 set state default",),
        verify=("netsh interface 6to4 show state",),
    ),
    sixtofour.PSEUDO_PUBLIC_ADDRESS.code: Advice(
        cause=(
            "The network gives out public-looking IPv4 addresses behind a NAT. 6to4 comes up, its "
            "packets find no way back, and Teredo and IP-HTTPS are not tried."
        ),
        resolution="Switch 6to4 off on clients, best by group policy.",
        fix=("netsh interface 6to4 set state disabled",),
        verify=("netsh interface 6to4 show state", "ipconfig /all"),
    ),
    sixtofour.RELAY_UNREACHABLE.code: Advice(
        cause="Protocol 41 to the relay or back from it is dropped on the way.",
        resolution="Name the DirectAccess server as relay, or switch 6to4 off on clients.",
        fix=("netsh interface 6to4 set relay NAME", "netsh interface 6to4 set state disabled"),
        verify=("netsh interface 6to4 show relay",),
    ),
    sixtofour.NO_PUBLIC_ADDRESS.code: Advice(
        cause=(
            "No adapter has a public IPv4 address; behind a NAT 6to4 does not work, and need not."
        ),
        resolution="Nothing needs to be done where 6to4 is not used.",
        verify=("ipconfig /all",),
    ),
    sixtofour.INTERFACE_DOWN.code: Advice(
        cause="The external adapter has no public IPv4 address, or 6to4 is disabled.",
        resolution="Harmless where 6to4 is not used; else assign the address and enable it.",
        fix=("netsh interface 6to4 set state enabled",),
        verify=("netsh interface 6to4 show interface", "Get-RemoteAccessHealth"),
    ),
}
