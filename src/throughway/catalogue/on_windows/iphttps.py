"""What mends IP-HTTPS where client and server run Windows."""

from collections.abc import Mapping

from throughway.catalogue import iphttps
from throughway.model.findings import Advice, Problem

_STATE = "netsh interface httpstunnel show interfaces"
_ADDRESS = "ipconfig /all"
_POLICY_KEY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\TCPIP\v6Transition\IPHTTPS"
_RETRY = ("Restart-Service iphlpsvc",)
_CONNECT = "Test-NetConnection HOST -Port 443"
_RESET_URL = (f"reg delete {_POLICY_KEY} /f", "gpupdate /force")

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {
    iphttps.URL_TOO_LONG.code: Advice(
        cause=(
            "netsh cannot hold a URL of more than 256 characters. It comes from a certificate "
            "whose subject is longer than 235."
        ),
        resolution=(
            "Issue a certificate with a short subject, let the server use it, then delete the "
            "policy's key on the client and fetch the policy again."
        ),
        fix=_RESET_URL,
        verify=(_STATE,),
    ),
    iphttps.URL_IS_IP_ADDRESS.code: Advice(
        cause=(
            "The server was set up with an address instead of a public name. IP-HTTPS refuses "
            "an address in its URL (0x4BE), and no certificate could prove it."
        ),
        resolution="Configure a public DNS name on the server with a certificate for it.",
        fix=("Set-DAServer -ConnectToAddress HOST", "gpupdate /force"),
        verify=("Get-RemoteAccess", _STATE),
    ),
    iphttps.URL_INVALID.code: Advice(
        cause="The URL is not of the form https://NAME:443/IPHTTPS.",
        resolution="Configure the public name on the server again and let clients fetch it.",
        fix=("Set-DAServer -ConnectToAddress HOST", "gpupdate /force"),
        verify=(_STATE,),
    ),
    iphttps.NOT_CONFIGURED.code: Advice(
        cause="The machine has no IP-HTTPS URL: the client's group policy has not reached it.",
        resolution="Put the computer into the clients' group, then fetch the policy inside.",
        fix=("gpupdate /force",),
        verify=("gpresult /r /scope computer", _STATE),
    ),
    iphttps.INTERFACE_CREATION_FAILED.code: Advice(
        cause=(
            "Windows could not make the IP-HTTPS adapter (0x34, 0x643): an old or broken one is "
            "in its place, or the tunnel interfaces are disabled in the registry. On a server "
            "the URL reservation of http.sys may be in the way."
        ),
        resolution=(
            "Remove the IP-HTTPS adapters in Device Manager, hidden ones too, clear "
            "DisabledComponents, and start IP Helper again."
        ),
        fix=(
            'Get-PnpDevice -FriendlyName "*IP-HTTPS*"',
            r"reg query HKLM\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters "
            "/v DisabledComponents",
            *_RETRY,
        ),
        verify=(_STATE, _ADDRESS),
    ),
    iphttps.IDLE_OTHER_TRANSPORT_IN_USE.code: Advice(
        cause=(
            "Another interface has global IPv6, or 6to4 or Teredo work; IP-HTTPS is used last "
            "and waits."
        ),
        resolution="Nothing is wrong; nothing needs to be done.",
        verify=(_ADDRESS,),
    ),
    iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT.code: Advice(
        cause=(
            "Inside and outside share a namespace, and the name resolution policy sends the "
            "server's public name to the intranet's DNS, which is reached only through the "
            "tunnel that needs this name."
        ),
        resolution=(
            "Add an exemption for exactly the public name (a suffix without DNS servers) to the "
            "DirectAccess server's DNS configuration, and let the client fetch the policy."
        ),
        fix=(
            'Add-DAClientDnsConfiguration -DnsSuffix "HOST"',
            "gpupdate /force",
        ),
        verify=("netsh namespace show policy", "Resolve-DnsName HOST"),
    ),
    iphttps.NAME_CAPTURED_BY_NRPT.code: Advice(
        cause="A rule of the name resolution policy covers the name in the IP-HTTPS URL.",
        resolution="Exempt exactly this name in the DirectAccess server's DNS configuration.",
        fix=('Add-DAClientDnsConfiguration -DnsSuffix "HOST"', "gpupdate /force"),
        verify=("netsh namespace show policy", "Resolve-DnsName HOST"),
    ),
    iphttps.NAME_UNRESOLVABLE.code: Advice(
        cause=(
            "The host name in the IP-HTTPS URL has no address for this client: the public "
            "record is missing or wrong, the network's DNS does not answer, or a fixed proxy "
            "stands in the way."
        ),
        resolution=(
            "Look the name up at a public DNS server. Where it has no record there, create one; "
            "where it has, mend this network's DNS or the proxy."
        ),
        fix=("nslookup HOST 9.9.9.9", "ipconfig /flushdns", "netsh winhttp show proxy"),
        verify=("Resolve-DnsName HOST", _STATE),
    ),
    iphttps.PORT_BLOCKED.code: Advice(
        cause=(
            "Nothing answers on TCP 443: a firewall before the server or in this network drops "
            "it, the public address is wrong, or the server is down."
        ),
        resolution="Try from another network; then check the record, the firewall, the server.",
        fix=(_CONNECT,),
        verify=(_CONNECT, _STATE),
    ),
    iphttps.CONNECTION_REFUSED.code: Advice(
        cause=(
            "The host refuses TCP 443: nothing listens there (IP Helper or its binding is gone), "
            "a firewall answers for it, or the name leads to another host."
        ),
        resolution="Look at the server's listener, then at the address the name leads to.",
        fix=("Restart-Service iphlpsvc", "netsh http show sslcert", "Resolve-DnsName HOST"),
        verify=(_CONNECT, _STATE),
    ),
    iphttps.CONNECTION_RESET.code: Advice(
        cause=(
            "The connection is cut off during or after its making: a device inspects TLS, or a "
            "load balancer has no working server behind it."
        ),
        resolution="Exempt the server's name from inspection; check the load balancer's probes.",
        fix=(_CONNECT,),
        verify=(_STATE,),
    ),
    iphttps.NAME_LEADS_INSIDE.code: Advice(
        cause=(
            "Outside, the name in the IP-HTTPS URL is answered with a private address: the "
            "inside record of a shared zone is published, or this network's DNS knows the name."
        ),
        resolution="Publish the server's public address for this name in the public zone.",
        fix=("nslookup HOST 9.9.9.9", "ipconfig /flushdns"),
        verify=("Resolve-DnsName HOST", _STATE),
    ),
    iphttps.WRONG_SERVER.code: Advice(
        cause="What answers on TCP 443 is not the DirectAccess server.",
        resolution="Let the public address and port 443 lead to the DirectAccess server alone.",
        fix=("Resolve-DnsName HOST", _CONNECT),
        verify=(_STATE,),
    ),
    iphttps.TLS_INSPECTED.code: Advice(
        cause="A device between opens the TLS connection and shows a certificate of its own.",
        resolution="Exempt the server's name from TLS inspection; do not trust the device for it.",
        fix=(_CONNECT,),
        verify=(_STATE,),
    ),
    iphttps.NULL_SUITES_MISSING.code: Advice(
        cause=(
            "Client and server (or the device before it) have no cipher suite in common. Windows "
            "8 and later offer NULL suites for IP-HTTPS, and hardening takes them away."
        ),
        resolution=(
            "Allow TLS_RSA_WITH_NULL_SHA256 and TLS_RSA_WITH_NULL_SHA on whatever ends the TLS "
            "of this name; IPsec protects what is inside."
        ),
        fix=(
            "Enable-TlsCipherSuite -Name TLS_RSA_WITH_NULL_SHA256",
            "Get-TlsCipherSuite -Name NULL",
        ),
        verify=("Get-TlsCipherSuite -Name NULL", _STATE),
    ),
    iphttps.TLS_HANDSHAKE_FAILED.code: Advice(
        cause=(
            "The TLS handshake was refused (0x80090326). Known causes: a device before the "
            "server does client-certificate authentication with a wrong or missing authority; "
            "NULL suites are not enabled there for Windows 8 and later; TLS is inspected; or "
            "port 443 leads to another host."
        ),
        resolution=(
            "Capture the handshake. It fails right after ClientHello: the suites. It fails after "
            "ServerHello: the client certificate and the authority configured for it."
        ),
        fix=(
            r"netsh trace start capture=yes tracefile=C:\da.etl",
            *_RETRY,
            "netsh trace stop",
        ),
        verify=(_STATE,),
    ),
    iphttps.HTTP_REFUSED.code: Advice(
        cause=(
            "TLS came up, but the HTTP answer was no 200: another web server or reverse proxy "
            "answers, or the path of the URL is another one."
        ),
        resolution="Let the public name lead to the DirectAccess server, with the path /IPHTTPS.",
        fix=("netsh http show urlacl",),
        verify=(_STATE,),
    ),
    iphttps.LISTENER_DOWN.code: Advice(
        cause="The server's IP-HTTPS interface is not active and shows an error.",
        resolution="Look up the code, check the certificate's binding, start IP Helper again.",
        fix=("netsh http show sslcert", *_RETRY),
        verify=(_STATE,),
    ),
    iphttps.ROUTE_UNPUBLISHED.code: Advice(
        cause=(
            "The route to the clients' prefix on the server's IP-HTTPS interface is missing or "
            "not published, so that clients get no prefix."
        ),
        resolution="Add the route with the property Publish, then restart the management service.",
        fix=(
            "New-NetRoute -AddressFamily IPv6 "
            "-DestinationPrefix (Get-RemoteAccess).ClientIPv6Prefix "
            '-InterfaceAlias "Microsoft IP-HTTPS Platform Interface" -Publish Yes',
            "Restart-Service RaMgmtSvc",
        ),
        verify=("netsh interface ipv6 show route level=verbose", "Get-RemoteAccessHealth"),
    ),
    iphttps.ADVERTISING_DISABLED.code: Advice(
        cause="The server's IP-HTTPS interface sends no Router Advertisements.",
        resolution=(
            "Enable advertising on it. (Some pages print forwarding=enabled for this; that is "
            "another setting and does not help here.)"
        ),
        fix=("netsh interface ipv6 set interface INDEX advertise=enabled",),
        verify=("netsh interface ipv6 show interface INDEX",),
    ),
    iphttps.FORWARDING_DISABLED.code: Advice(
        cause=(
            "The server's IP-HTTPS interface does not forward: packets of clients end there, and "
            "its advertisements name no default router."
        ),
        resolution="Enable forwarding on the interface.",
        fix=("netsh interface ipv6 set interface INDEX forwarding=enabled",),
        verify=("netsh interface ipv6 show interface INDEX",),
    ),
    iphttps.NO_ROUTER_ADVERTISEMENT.code: Advice(
        cause="The link is up, but no Router Advertisement of the server reaches the client.",
        resolution="Look at the server: published route, advertising and forwarding.",
        fix=("Get-RemoteAccessHealth", *_RETRY),
        verify=(_ADDRESS,),
    ),
    iphttps.NO_GLOBAL_ADDRESS.code: Advice(
        cause=(
            "IP-HTTPS is connected, but its adapter has no address of 2000::/3 or fc00::/7: the "
            "server sends no prefix (route not published, advertising or forwarding off)."
        ),
        resolution="Mend the server's IP-HTTPS interface; then let the client connect again.",
        fix=("Get-RemoteAccessHealth", *_RETRY),
        verify=(_ADDRESS,),
    ),
}
