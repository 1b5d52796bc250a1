"""Problems of the Windows firewall and its connection security rules."""

from collections.abc import Mapping

from throughway.catalogue.on_windows.policy import GPO_NOT_APPLIED
from throughway.model.findings import Advice, Component, Problem, Severity

_PROFILE = "netsh advfirewall show currentprofile"
_ACTIVE = "netsh advfirewall monitor show consec"

SERVICE_STOPPED = Problem(
    code="firewall-service-stopped",
    title="The Windows Firewall service does not run",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause="Without the service (mpssvc) there is no IPsec, and without IPsec no DirectAccess.",
    resolution="Start the service and let it start by itself; turn profiles off instead, if ever.",
    fix=("sc config mpssvc start= auto", "Start-Service mpssvc"),
    verify=("Get-Service mpssvc", _ACTIVE),
)

FIREWALL_OFF = Problem(
    code="firewall-off",
    title="The Windows Firewall is off in the profile that is in use",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause="Connection security rules are not in force while the firewall of the profile is off.",
    resolution="Turn the firewall on for all profiles; a third-party one may stay beside it.",
    fix=("netsh advfirewall set allprofiles state on",),
    verify=(_PROFILE, _ACTIVE),
    depends_on=(SERVICE_STOPPED,),
)

DOMAIN_PROFILE_OUTSIDE = Problem(
    code="firewall-domain-profile-outside",
    title="A network is in the domain profile although the client is outside",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause=(
        "A VPN is up, or a domain controller answers from the Internet. DirectAccess rules hold "
        "in the public and private profiles only, so the tunnels are not built."
    ),
    resolution="Disconnect the VPN; make domain controllers unreachable from the Internet.",
    fix=("Get-NetConnectionProfile",),
    verify=(_PROFILE, _ACTIVE),
)

CONSEC_RULES_MISSING = Problem(
    code="consec-rules-missing",
    title="The DirectAccess connection security rules are missing",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause="The policy store holds no rule of DirectAccess: the client's policy was not applied.",
    resolution="See to edition and security group, then fetch the policy.",
    fix=("gpupdate /force",),
    verify=("netsh advfirewall consec show rule name=all", "gpresult /r /scope computer"),
    depends_on=(GPO_NOT_APPLIED,),
)

CONSEC_RULES_INACTIVE = Problem(
    code="consec-rules-inactive",
    title="The DirectAccess connection security rules are there but not in force",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause="They are stored, yet the monitor shows none: the firewall is off or the profile wrong.",
    resolution="Look at the profile in use and at the firewall's state.",
    fix=(_PROFILE,),
    verify=(_ACTIVE,),
    depends_on=(SERVICE_STOPPED, FIREWALL_OFF, DOMAIN_PROFILE_OUTSIDE, CONSEC_RULES_MISSING),
)

PROBLEMS: tuple[Problem, ...] = (
    SERVICE_STOPPED,
    FIREWALL_OFF,
    DOMAIN_PROFILE_OUTSIDE,
    CONSEC_RULES_MISSING,
    CONSEC_RULES_INACTIVE,
)

ADVICE: Mapping[str, Advice] = {}
