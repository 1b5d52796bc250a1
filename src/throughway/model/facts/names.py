"""Facts about name resolution and the location of a client."""

from dataclasses import dataclass
from enum import StrEnum

from throughway.model.evidence import Role
from throughway.model.facts.base import Fact


class PolicyView(StrEnum):
    """Which table a rule was read from."""

    POLICY = "policy"
    """What Group Policy delivered."""
    EFFECTIVE = "effective"
    """What holds now."""
    RULE = "rule"
    """A rule as it is stored, from Get-DnsClientNrptRule or the registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NRPTRule(Fact):
    """One rule of the name resolution policy table."""

    QUESTION = "Which name resolution rules does the client have?"
    COLLECT = (
        "netsh namespace show policy",
        "netsh namespace show effectivepolicy",
        "Get-DnsClientNrptPolicy -Effective",
    )

    view: PolicyView
    namespaces: tuple[str, ...] | None = None
    """".corp.example" is a suffix, "host.example" one name, "." all; None: cut off."""
    directaccess: bool | None = None
    dns_servers: tuple[str, ...] | None = None
    """Of DirectAccess; () is an exemption, None does not say."""
    name_servers: tuple[str, ...] | None = None
    """Of a rule without DirectAccess."""
    proxy: str | None = None
    """Bypass, default, or a name."""
    dnssec_required: bool | None = None
    ipsec_required: bool | None = None
    rule_name: str = ""
    version: int | None = None
    by_policy: bool | None = None
    """It comes from Group Policy; False is a local rule."""

    @property
    def exempts(self) -> bool:
        """Names of this rule are asked outside."""
        return not self.dns_servers and not self.name_servers and self.namespaces is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NRPTTable(Fact):
    """A table as a whole: that it was printed, and what it says of itself."""

    QUESTION = NRPTRule.QUESTION
    COLLECT = NRPTRule.COLLECT

    view: PolicyView
    rules: int
    """0: it was printed and is empty."""
    inside: bool | None = None
    """True: it says that DirectAccess is inactive because the client is inside."""
    error_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSClientState(Fact):
    """``netsh dnsclient show state``."""

    QUESTION = "Where does the client believe to be?"
    COLLECT = ("netsh dnsclient show state",)
    ROLE = Role.CLIENT

    inside: bool | None = None
    configured: bool | None = None
    enabled: bool | None = None
    location_behaviour: str | None = None
    query_failure: str | None = None
    query_resolution: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NRPTSettings(Fact):
    """The global settings: Get-DnsClientNrptGlobal, Get-DAClientDNSConfiguration."""

    QUESTION = "Which global name resolution settings are there?"
    COLLECT = ("Get-DnsClientNrptGlobal",)

    suffixes: tuple[str, ...] = ()
    enable_for_all_networks: str | None = None
    query_policy: str | None = None
    fallback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NCSIPolicy(Fact):
    """Get-NCSIPolicyConfiguration: how the client finds out where it is."""

    QUESTION = "How does the client find out where it is?"
    COLLECT = ("Get-NCSIPolicyConfiguration",)

    location_url: str | None = None
    probe_host: str | None = None
    probe_address: str | None = None
    probe_url: str | None = None
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DAConnectionStatus(Fact):
    """Get-DAConnectionStatus: what the Network Connectivity Assistant says."""

    QUESTION = "What does the Network Connectivity Assistant say?"
    COLLECT = ("Get-DAConnectionStatus",)
    ROLE = Role.CLIENT

    status: str | None = None
    """ConnectedLocally, ConnectedRemotely, ActionableError, Error, Disabled."""
    substatus: str | None = None
    failed: str | None = None
    """The error that the command itself ended with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DAClientExperience(Fact):
    """Get-DAClientExperienceConfiguration."""

    QUESTION = "Which endpoints and probes was the client given?"
    COLLECT = ("Get-DAClientExperienceConfiguration",)
    ROLE = Role.CLIENT

    friendly_name: str | None = None
    tunnel_endpoints: tuple[str, ...] = ()
    corporate_resources: tuple[str, ...] = ()
    passive_mode: bool | None = None
    user_interface: bool | None = None
    prefer_local_names: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NCALog(Fact):
    """The log of the Network Connectivity Assistant or of its predecessor, the DCA."""

    QUESTION = "What does the log of the Network Connectivity Assistant say?"
    COLLECT = ("ms-settings:network-directaccess (Collect)",)
    ROLE = Role.CLIENT

    status: str | None = None
    """RED, YELLOW or GREEN of the probes."""
    failed_probes: tuple[str, ...] = ()
    passed_probes: tuple[str, ...] = ()
    failed_endpoints: tuple[str, ...] = ()
    passed_endpoints: tuple[str, ...] = ()
    """Tunnel endpoints (DTE) that did not answer a ping, and that did."""
