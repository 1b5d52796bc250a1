"""Facts about the ways to carry IPv6 over the Internet: IP-HTTPS, Teredo, 6to4, ISATAP."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.evidence import Role
from throughway.model.facts.base import Fact


class IPHTTPSStatus(StrEnum):
    """What the IP-HTTPS interface says of itself, by its meaning."""

    ACTIVE = "active"
    CONNECTING = "failed, waiting to reconnect"
    NO_USABLE_CERTIFICATE = "no usable certificate"
    INVALID_URL = "invalid URL"
    CREATION_FAILED = "interface creation failure"
    NOT_INSTALLED = "not installed"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class IPHTTPSInterface(Fact):
    """The state of the IP-HTTPS interface, from netsh or Get-NetIPHttpsState."""

    QUESTION = "What does the IP-HTTPS interface say?"
    COLLECT = ("netsh interface httpstunnel show interfaces", "Get-NetIPHttpsState | Format-List")

    name: str = ""
    role: Role | None = None
    url: str | None = None
    last_error: int | None = None
    """Unsigned; 0 is no error."""
    status: IPHTTPSStatus | None = None
    status_text: str = ""
    by_policy: bool | None = None
    more_data: bool = False
    """The command could not print the URL because it is too long."""

    @property
    def role_shown(self) -> Role | None:
        return self.role


@dataclass(frozen=True, slots=True, kw_only=True)
class IPHTTPSConfiguration(Fact):
    """How IP-HTTPS is configured, from Get-NetIPHttpsConfiguration."""

    QUESTION = "How is IP-HTTPS configured?"
    COLLECT = ("Get-NetIPHttpsConfiguration | Format-List",)

    url: str | None = None
    type: str | None = None
    state: str | None = None
    authentication: str | None = None
    """"None" or "Certificates"."""
    strong_crl_required: bool | None = None
    policy_store: str | None = None


class TeredoStatus(StrEnum):
    """The word after State, which no Windows translates."""

    OFFLINE = "offline"
    DORMANT = "dormant"
    PROBE_PRIMARY = "probe (primary server)"
    PROBE_SECONDARY = "probe (secondary server)"
    QUALIFIED = "qualified"
    ONLINE = "online"
    """Of a server alone."""


class TeredoError(StrEnum):
    """The error text by its meaning, whatever the language."""

    NONE = "none"
    PRIMARY_UNREACHABLE = "primary server unreachable over UDP"
    SECONDARY_UNREACHABLE = "secondary server unreachable over UDP"
    SYMMETRIC_NAT = "client behind symmetric NAT"
    MANAGED_NETWORK = "client is in a managed network"
    TUNNEL_ADAPTER = "failed to open tunnel adapter"
    GENERAL_FAILURE = "general system failure"
    SERVER_UNRESOLVED = "server name cannot be resolved"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeredoState(Fact):
    """``netsh interface teredo show state`` or Get-NetTeredoState."""

    QUESTION = "What is the state of Teredo?"
    COLLECT = ("netsh interface teredo show state",)

    type: str | None = None
    """disabled, client, enterpriseclient, natawareclient, server, default; lower case."""
    server: str | None = None
    port: int | None = None
    """0 is "unspecified"."""
    state: TeredoStatus | None = None
    client_type: str | None = None
    """"teredo client" or "teredo host-specific relay"."""
    network: str | None = None
    """managed or unmanaged."""
    nat: str | None = None
    """cone, restricted, restricted (port), symmetric (port), none (global connectivity)."""
    error: TeredoError | None = None
    error_text: str = ""
    error_code: int | None = None
    local_mapping: str | None = None
    external_mapping: str | None = None
    type_by_policy: bool | None = None

    @property
    def role_shown(self) -> Role | None:
        return Role.SERVER if self.type == "server" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SixToFourState(Fact):
    """``netsh interface 6to4 show state|relay|interface`` or Get-Net6to4Configuration."""

    QUESTION = "What is the state of 6to4?"
    COLLECT = ("netsh interface 6to4 show state", "netsh interface 6to4 show relay")

    state: str | None = None
    """default, enabled, disabled, automatic; lower case."""
    undo_on_stop: str | None = None
    relay: str | None = None
    relay_state: str | None = None
    routing: str | None = None
    by_policy: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ISATAPState(Fact):
    """``netsh interface isatap show state|router`` or Get-NetIsatapConfiguration."""

    QUESTION = "What is the state of ISATAP?"
    COLLECT = ("netsh interface isatap show state", "netsh interface isatap show router")

    state: str | None = None
    router: str | None = None
    router_resolved: bool | None = None
    by_policy: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IPv6Interface(Fact):
    """One interface of ``netsh interface ipv6 show interfaces [N]`` or Get-NetIPInterface."""

    QUESTION = "Which IPv6 interfaces are there, and do they forward and advertise?"
    COLLECT = ("netsh interface ipv6 show interfaces level=verbose",)

    name: str
    index: int | None = None
    connected: bool | None = None
    mtu: int | None = None
    metric: int | None = None
    forwarding: bool | None = None
    advertising: bool | None = None
    advertise_default_route: bool | None = None
    router_discovery: str | None = None
    """enabled, disabled, dhcp."""
