"""Problems of the Windows firewall and its connection security rules."""

from collections.abc import Mapping

from throughway.catalogue.firewall import THIRD_PARTY
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
    depends_on=(
        SERVICE_STOPPED,
        FIREWALL_OFF,
        DOMAIN_PROFILE_OUTSIDE,
        CONSEC_RULES_MISSING,
        THIRD_PARTY,
    ),
)

KEYING_SERVICE_STOPPED = Problem(
    code="ipsec-keying-service-stopped",
    title="The service that negotiates IPsec does not run",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause=(
        "IKE and AuthIP IPsec Keying Modules (ikeext) is stopped or disabled; without it no "
        "association can be negotiated (13883)."
    ),
    resolution="Let the service start by itself, and start it now.",
    fix=("sc config ikeext start= auto", "Start-Service ikeext"),
    verify=("Get-Service ikeext", "netsh advfirewall monitor show mmsa"),
    depends_on=(SERVICE_STOPPED,),
)

NO_IPSEC = (
    SERVICE_STOPPED,
    FIREWALL_OFF,
    DOMAIN_PROFILE_OUTSIDE,
    THIRD_PARTY,
    CONSEC_RULES_MISSING,
    CONSEC_RULES_INACTIVE,
    KEYING_SERVICE_STOPPED,
)
"""Why a Windows client does not even begin to negotiate."""

PROBLEMS: tuple[Problem, ...] = (
    SERVICE_STOPPED,
    FIREWALL_OFF,
    DOMAIN_PROFILE_OUTSIDE,
    CONSEC_RULES_MISSING,
    CONSEC_RULES_INACTIVE,
    KEYING_SERVICE_STOPPED,
)

ADVICE: Mapping[str, Advice] = {
    THIRD_PARTY.code: Advice(
        cause=(
            "A firewall or security product of another maker has taken over connection security "
            "rules, or drops UDP 500 and 4500, ESP or ICMPv6; IPsec of Windows then has no way."
        ),
        resolution=(
            "Let the product leave connection security to Windows and allow these protocols, or "
            "take it off for a test."
        ),
        fix=("netsh advfirewall show global",),
        verify=(_ACTIVE, "netsh advfirewall monitor show mmsa"),
    ),
}
