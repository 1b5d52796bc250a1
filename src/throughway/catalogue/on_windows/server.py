"""Problems of the DirectAccess server on Windows, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.catalogue import gateway, translation
from throughway.model.findings import Advice, Component, Problem, Severity

_HEALTH = "Get-RemoteAccessHealth"

SERVER_CERT_BINDING_CHANGED = Problem(
    code="server-cert-binding-changed",
    title="Another certificate is bound to the server's HTTPS port",
    severity=Severity.CRITICAL,
    component=Component.GATEWAY,
    cause="Another program has bound its own certificate to port 443, and IP-HTTPS shows that.",
    resolution="Let DirectAccess bind its certificate again; give the other program a port.",
    fix=("netsh http show sslcert", "Set-RemoteAccess -SslCertificate (Get-Item THUMBPRINT)"),
    verify=("netsh http show sslcert", _HEALTH),
)

KERBEROS_PROXY_BINDING_CHANGED = Problem(
    code="kerberos-proxy-binding-changed",
    title="The certificate binding of the Kerberos proxy has changed",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause=(
        "Another program rebound HTTPS port 443. With the wrong certificate clients cannot "
        "authenticate with Kerberos through the proxy."
    ),
    resolution=(
        "Restore the binding; where another program needs port 443, let DirectAccess use the "
        "same certificate as that program."
    ),
    fix=("netsh http show sslcert", "Set-RemoteAccess -SslCertificate (Get-Item THUMBPRINT)"),
    verify=("netsh http show sslcert", _HEALTH),
    depends_on=(SERVER_CERT_BINDING_CHANGED,),
)

OTP_SERVER_UNREACHABLE = Problem(
    code="otp-server-unreachable",
    title="The server for one-time passwords does not answer",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause="The RADIUS server or the authority for OTP certificates cannot be reached.",
    resolution="Look at that server, its shared secret and the way to it.",
    fix=("Get-DAOtpAuthentication",),
    verify=(_HEALTH,),
)

HIGH_AVAILABILITY_NODE_DOWN = Problem(
    code="high-availability-node-down",
    title="A server of the cluster is down or out of step",
    severity=Severity.WARNING,
    component=Component.GATEWAY,
    cause="A node does not answer, or network load balancing is stopped on it.",
    resolution="Start load balancing on the node, or the node itself.",
    fix=("Start-NlbClusterNode",),
    verify=("Get-NlbClusterNode", _HEALTH),
)

ENTRY_POINT_DOWN = Problem(
    code="entry-point-down",
    title="An entry point of the deployment is down",
    severity=Severity.WARNING,
    component=Component.GATEWAY,
    cause="No server of that entry point answers. Clients of Windows 8 and later use another one.",
    resolution="Bring its servers back; Windows 7 clients have no other entry point.",
    fix=("Get-DAEntryPoint",),
    verify=(_HEALTH,),
)

PROBLEMS: tuple[Problem, ...] = (
    SERVER_CERT_BINDING_CHANGED,
    KERBEROS_PROXY_BINDING_CHANGED,
    OTP_SERVER_UNREACHABLE,
    HIGH_AVAILABILITY_NODE_DOWN,
    ENTRY_POINT_DOWN,
)

ADVICE: Mapping[str, Advice] = {
    gateway.NETWORK_ADAPTER_DOWN.code: Advice(
        cause="A network adapter of the server is disconnected or has lost its address.",
        resolution="Connect it, or give it back the address that DirectAccess was set up with.",
        fix=("Get-NetAdapter", "ipconfig /all"),
        verify=(_HEALTH,),
    ),
    translation.NAT64_BROKEN.code: Advice(
        cause=(
            "NAT64 is disabled, its prefix is wrong, an address it needs cannot be reached, or its "
            "ports (6001 to 49000 of each address) are used up."
        ),
        resolution="Enable it, check the prefix, add addresses where the ports are used up.",
        fix=("Get-NetNatTransitionConfiguration", "Restart-Service iphlpsvc"),
        verify=("Get-NetNatTransitionConfiguration", _HEALTH),
    ),
    translation.DNS64_BROKEN.code: Advice(
        cause="DNS64 is disabled, or the intranet's DNS servers behind it do not answer.",
        resolution="Enable it and look whether the server itself resolves intranet names.",
        fix=("Get-NetDnsTransitionConfiguration", "Restart-Service iphlpsvc"),
        verify=("Get-NetDnsTransitionMonitoring", _HEALTH),
    ),
}
