"""What mends the IPsec tunnels where Windows runs, and what only Windows has."""

from collections.abc import Mapping

from throughway.catalogue import ipsec
from throughway.model.findings import Advice, Component, Problem, Severity

_MAIN = "netsh advfirewall monitor show mmsa"
_QUICK = "netsh advfirewall monitor show qmsa"
_RULES = "netsh advfirewall consec show rule name=all"
_STORE = "certutil -store My"
_EVENTS = (
    'wevtutil qe Security /q:"*[System[(EventID=4653 or EventID=4984)]]" /f:text /c:20 /rd:true'
)
_UPDATE = "gpupdate /force"
_AUDIT = 'auditpol /set /subcategory:"IPsec Main Mode" /success:enable /failure:enable'
_AUDIT_USER = 'auditpol /set /subcategory:"IPsec Extended Mode" /success:enable /failure:enable'

AUDIT_DISABLED = Problem(
    code="ipsec-audit-disabled",
    title="Failures of IPsec are not audited",
    severity=Severity.INFO,
    component=Component.IPSEC,
    cause="Without auditing of IPsec Main Mode and Extended Mode no event says why a tunnel fails.",
    resolution="Switch it on while the tunnels are examined; it is noisy, so switch it off again.",
    fix=(_AUDIT, _AUDIT_USER),
    verify=('auditpol /get /category:"Logon/Logoff"',),
)

PROBLEMS: tuple[Problem, ...] = (AUDIT_DISABLED,)

ADVICE: Mapping[str, Advice] = {
    ipsec.ENDPOINT_UNREACHABLE.code: Advice(
        cause=(
            "The client has the rules, but the server's tunnel endpoint does not answer: the "
            "transition technology is down, or the server's route or forwarding is missing."
        ),
        resolution="Find where the way ends; then see to that link, or to the server's routing.",
        fix=("tracert -d ENDPOINT",),
        verify=("ping ENDPOINT", _MAIN),
    ),
    ipsec.NEGOTIATION_TIMEOUT.code: Advice(
        cause=(
            "The other side does not answer IKE (13805): the endpoint cannot be reached, or UDP "
            "500 and 4500 are dropped on the way or on the server."
        ),
        resolution="Ping the endpoint. If it answers, look for filters and at the server's IPsec.",
        fix=("ping ENDPOINT", "Get-Service ikeext"),
        verify=(_MAIN,),
    ),
    ipsec.POLICY_MISMATCH.code: Advice(
        cause=(
            "Client and server do not agree (13868, 13825, 13850): one of them has not applied "
            "its present DirectAccess policy, so that rules or proposals differ."
        ),
        resolution="Fetch the policy on both, and compare the rules of both sides.",
        fix=(_UPDATE, _RULES),
        verify=(_MAIN, _QUICK),
    ),
    ipsec.AUTH_FAILURE_UNSPECIFIED.code: Advice(
        cause=(
            "The credentials were not accepted (13801): a certificate that is missing, expired, "
            "without client authentication or from another authority, or a computer account "
            "that is disabled or unknown."
        ),
        resolution=(
            "Check the computer certificates of both sides first; then read the server's events "
            "4653 and 4984, for which auditing must be on."
        ),
        fix=(_STORE, _AUDIT, _EVENTS),
        verify=(_MAIN,),
    ),
    ipsec.COMPUTER_ACCOUNT_REFUSED.code: Advice(
        cause=(
            "The certificate was accepted, the computer account (NTLMv2) was not: the account is "
            "disabled, deleted or has another password than the computer believes."
        ),
        resolution="Enable the account, or repair the computer's trust while it is inside.",
        fix=("Test-ComputerSecureChannel -Repair",),
        verify=("nltest /dsgetdc: /force", _MAIN),
    ),
    ipsec.USER_REFUSED.code: Advice(
        cause=(
            "The certificate was accepted, the user (Kerberos) was not (13827): no ticket could "
            "be had from a domain controller, or the account is disabled or locked."
        ),
        resolution=(
            "See that a domain controller is found through the infrastructure tunnel; then lock "
            "and unlock the session, so that a new ticket is asked for."
        ),
        fix=("klist purge", "nltest /dsgetdc: /force"),
        verify=("klist", _MAIN),
    ),
    ipsec.HEALTH_CERTIFICATE_MISSING.code: Advice(
        cause=(
            "The tunnel demands a health certificate and the computer has none (13905): it is not "
            "compliant, or the health registration authority cannot be reached."
        ),
        resolution="Make the computer compliant and let it fetch the certificate, or relax NAP.",
        fix=("netsh nap client show state",),
        verify=(_STORE, _MAIN),
    ),
    ipsec.SMART_CARD_REQUIRED.code: Advice(
        cause=(
            "The intranet tunnel is for users who logged on with a smart card or a one-time "
            "password (13906); this user's token has neither."
        ),
        resolution=(
            "Log off and on again with the smart card, or enter the one-time password where the "
            "assistant asks for it."
        ),
        fix=("shutdown /l",),
        verify=("klist", _MAIN),
    ),
    ipsec.INFRASTRUCTURE_TUNNEL_DOWN.code: Advice(
        cause=(
            "There is no association to the first endpoint, authenticated by the computer's "
            "certificate and account (ComputerCert, UserNTLM), though the client is outside."
        ),
        resolution=(
            "Check in this order: the endpoint answers a ping, computer certificates of both "
            "sides, events 4653 and 4984 with auditing on."
        ),
        fix=(_STORE, _AUDIT, _EVENTS),
        verify=(_MAIN, _QUICK),
    ),
    ipsec.INTRANET_TUNNEL_DOWN.code: Advice(
        cause=(
            "The infrastructure tunnel is up, but there is no association to the second endpoint "
            "with the user's Kerberos ticket (ComputerCert, UserKerb)."
        ),
        resolution=(
            "Open an intranet resource and look again. If it stays down, look for a domain "
            "controller, the user's ticket, and a smart card that may be required."
        ),
        fix=(r"net view \\SERVER", "nltest /dsgetdc: /force", "klist"),
        verify=(_MAIN, _QUICK),
    ),
}
