"""Facts about the Windows firewall and its connection security rules."""

from dataclasses import dataclass

from throughway.model.facts.base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallProfile(Fact):
    """One profile: ``netsh advfirewall show …profile``, Get-NetFirewallProfile."""

    QUESTION = "Is the firewall on, and which profile is in use?"
    COLLECT = ("netsh advfirewall show currentprofile", "netsh advfirewall show allprofiles")

    name: str
    """domain, private or public; "" where its translated name is not known."""
    enabled: bool | None = None
    current: bool | None = None
    """It is the profile (one of the profiles) in use."""
    effective: bool = True
    """False: of the machine's own store, which a group policy may override."""
    inbound: str | None = None
    outbound: str | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallSettings(Fact):
    """``netsh advfirewall show global``."""

    QUESTION = "Which global IPsec settings are there?"
    COLLECT = ("netsh advfirewall show global",)

    strong_crl_check: int | None = None
    """0 no checking, 1 weak (fails when revoked), 2 strong (fails on any error)."""
    idle_minutes: int | None = None
    through_nat: str | None = None
    rules_owner: str | None = None
    """Whose product the connection security rules are left to: "Windows Firewall", or another."""
    firewall_owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSecurityRule(Fact):
    """One rule: ``netsh advfirewall [monitor] show consec``, Get-NetIPsecRule, Registry.pol."""

    QUESTION = "Which connection security rules are there?"
    COLLECT = (
        "netsh advfirewall consec show rule name=all",
        "netsh advfirewall monitor show consec",
    )

    name: str
    active: bool = False
    """From the monitor: it is in force, not only stored."""
    enabled: bool | None = None
    profiles: tuple[str, ...] = ()
    mode: str | None = None
    """tunnel or transport."""
    local_endpoint: str | None = None
    remote_endpoint: str | None = None
    """Of the tunnel; "" where it is Any."""
    endpoint1: tuple[str, ...] = ()
    endpoint2: tuple[str, ...] = ()
    action: str | None = None
    auth1: str | None = None
    """ComputerCert, ComputerKerb, ComputerPSK, …"""
    auth1_ca: str | None = None
    auth2: str | None = None
    """UserNTLM, UserKerb, UserCert, …"""
    health_certificate: bool | None = None
    quick_mode_methods: str | None = None
    enforcement: str | None = None
    """Why the active store does not enforce it, as PowerShell words it; "" where it does."""

    @property
    def directaccess(self) -> bool:
        """It is one of the rules that the DirectAccess policies bring."""
        return self.name.lower().startswith("directaccess policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoConnectionSecurityRules(Fact):
    """The command said that no rule matches."""

    QUESTION = ConnectionSecurityRule.QUESTION
    COLLECT = ConnectionSecurityRule.COLLECT

    active: bool = False
    wanted: str = ""
    """The name that was asked for; "" is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdPartyFirewall(Fact):
    """A firewall or security product of another maker."""

    QUESTION = "Is there a firewall of another maker?"
    COLLECT = (r"Get-CimInstance -Namespace root\SecurityCenter2 -ClassName FirewallProduct",)

    name: str
    enabled: bool | None = None
