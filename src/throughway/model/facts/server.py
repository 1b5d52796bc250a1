"""Facts about the DirectAccess server: configuration and Operations Status."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.evidence import Role
from throughway.model.facts.base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAccessConfiguration(Fact):
    """Get-RemoteAccess."""

    QUESTION = "How is the server configured?"
    COLLECT = ("Get-RemoteAccess",)
    ROLE = Role.SERVER

    installed: bool | None = None
    connect_to: str | None = None
    """The public name or address in the URL."""
    internet_interface: str | None = None
    internal_interface: str | None = None
    client_prefix: str | None = None
    client_gpo: str | None = None
    server_gpo: str | None = None
    client_groups: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    """NRPT suffixes and exemptions."""
    force_tunnel: bool | None = None
    downlevel: bool | None = None
    """Windows 7 clients."""
    computer_certificates: bool | None = None
    user_authentication: str | None = None
    location_url: str | None = None
    only_remote_computers: bool | None = None
    teredo: bool | None = None


class HealthState(StrEnum):
    """The state of a component of Operations Status."""

    OK = "OK"
    WARNING = "Warning"
    ERROR = "Error"
    UNKNOWN = "Unknown"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth(Fact):
    """One row of Get-RemoteAccessHealth."""

    QUESTION = "What does Operations Status show?"
    COLLECT = ("Get-RemoteAccessHealth -Verbose | Format-List *",)
    ROLE = Role.SERVER

    component: str
    """As printed, possibly cut: "IP-Https", "Network Location ..."."""
    state: HealthState
    server: str = ""
    operation_status: tuple[str, ...] = ()


class ServerFault(StrEnum):
    """An error of Operations Status or Configuration Status by its meaning; named as the problem.

    The value is the catalogue's code, so that one rule serves all of them.
    """

    IPHLPSVC_STOPPED = "iphlpsvc-stopped"
    ROUTE_UNPUBLISHED = "iphttps-route-unpublished"
    CERT_EXPIRED = "iphttps-cert-expired"
    ADVERTISING_DISABLED = "iphttps-advertising-disabled"
    FORWARDING_DISABLED = "iphttps-forwarding-disabled"
    IPSEC_NO_CERT = "ipsec-no-machine-cert"
    SIXTOFOUR_DOWN = "sixtofour-interface-down"
    TEREDO_STOPPED = "teredo-server-stopped"
    TEREDO_SECOND_ADDRESS = "teredo-second-address-missing"
    SERVER_BINDING = "server-cert-binding-changed"
    KERBEROS_BINDING = "kerberos-proxy-binding-changed"
    NAT64_BROKEN = "nat64-broken"
    DNS64_BROKEN = "dns64-broken"
    ISATAP_NAME = "isatap-name-unresolvable"
    ISATAP_ADVERTISING = "isatap-advertising-disabled"
    NLS_UNREACHABLE = "nls-unreachable-inside"
    GPO_NOT_LINKED = "gpo-not-linked"
    GPO_DELETED = "gpo-deleted"
    CONFIG_NOT_RETRIEVED = "server-config-not-retrieved"
    CONFIG_NOT_APPLIED = "server-config-not-applied"
    MULTISITE_MISMATCH = "multisite-config-mismatch"
    DC_UNREACHABLE = "dc-unreachable"
    DNS_UNREACHABLE = "nrpt-dns-server-unreachable"
    MANAGEMENT_UNREACHABLE = "management-server-unreachable"
    OTP_UNREACHABLE = "otp-server-unreachable"
    CLUSTER_NODE_DOWN = "high-availability-node-down"
    ENTRY_POINT_DOWN = "entry-point-down"
    ADAPTER_DOWN = "network-adapter-down"
    SPOOFING = "ipsec-spoofing-reported"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsError(Fact):
    """An error text of Operations Status or Configuration Status: console, health or alert."""

    QUESTION = ComponentHealth.QUESTION
    COLLECT = ComponentHealth.COLLECT
    ROLE = Role.SERVER

    fault: ServerFault
    component: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDistributed(Fact):
    """Configuration Status says that all is well."""

    ROLE = Role.SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAccessConnection(Fact):
    """One connection: Get-RemoteAccessConnectionStatistics."""

    QUESTION = "Which clients are connected?"
    COLLECT = ("Get-RemoteAccessConnectionStatistics | Format-List *",)
    ROLE = Role.SERVER

    addresses: tuple[str, ...] = ()
    user: str = ""
    computer: str = ""
    type: str = ""
    status: str = ""
