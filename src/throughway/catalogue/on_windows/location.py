"""Problems of finding out the location where Windows runs, and what mends the shared ones."""

from collections.abc import Mapping

from throughway.catalogue import iphttps, location
from throughway.catalogue.on_windows.host import UNSUPPORTED_EDITION
from throughway.model.findings import Advice, Component, Problem, Severity

_STATE = "netsh dnsclient show state"
_TABLE = "netsh namespace show effectivepolicy"
_LOOK = "Invoke-WebRequest NLS_URL -UseBasicParsing"
_AGAIN = "Restart-Service NlaSvc -Force"

NCASVC_STOPPED = Problem(
    code="ncasvc-stopped",
    title="The Network Connectivity Assistant does not run",
    severity=Severity.WARNING,
    component=Component.LOCATION,
    cause=(
        "The service (NcaSvc) starts only where a DirectAccess policy has arrived and the "
        "edition of Windows can be a client; else, or when it was disabled, it stays off. "
        "Without it nobody says how the connection is; the tunnels do not need it."
    ),
    resolution="Start it; if it does not start, look at edition and policy of this computer.",
    fix=("Start-Service NcaSvc",),
    verify=("Get-DAConnectionStatus",),
    depends_on=(UNSUPPORTED_EDITION, iphttps.NOT_CONFIGURED),
)

PROBLEMS: tuple[Problem, ...] = (NCASVC_STOPPED,)

ADVICE: Mapping[str, Advice] = {
    location.NLS_UNREACHABLE_INSIDE.code: Advice(
        cause=(
            "The network location server does not answer: its web server is down, its "
            "certificate has expired, or its name is gone from the DNS. Clients inside then "
            "believe to be outside."
        ),
        resolution=(
            "Mend the web server. Only https counts: where just the ping is blocked, this is "
            "cosmetic and can be left."
        ),
        fix=(_LOOK,),
        verify=("Get-RemoteAccessHealth",),
    ),
    location.NLS_REACHABLE_OUTSIDE.code: Advice(
        cause=(
            "The network location server answers clients that are outside: its name is not "
            "exempted from the rule for the intranet (so that it is reached by the tunnel), or "
            "it is published to the Internet. They then believe to be inside and switch "
            "DirectAccess off."
        ),
        resolution=(
            "Exempt the server's name (a rule without DNS servers), and let nobody outside "
            "connect to its address."
        ),
        fix=('Add-DAClientDnsConfiguration -DnsSuffix "NAME"', "gpupdate /force"),
        verify=(_STATE, _TABLE),
    ),
    location.NLS_CERTIFICATE_INVALID.code: Advice(
        cause=(
            "The certificate of the network location server has expired, is for another name, "
            "is not trusted, or its revocation list cannot be fetched inside. Clients in the "
            "intranet then believe to be outside."
        ),
        resolution="Renew the certificate and publish its revocation list inside.",
        fix=("Set-DANetworkLocationServer -Url NLS_URL",),
        verify=(_LOOK, _STATE),
    ),
    location.INSIDE_DETECTED_WRONGLY.code: Advice(
        cause=(
            "The network location server was reached with a valid certificate, yet nothing else "
            "of the intranet answers: the server is open to the outside, or another VPN leads "
            "to it alone."
        ),
        resolution="Find out what answers the URL from here, then let the client look again.",
        fix=(_LOOK, _AGAIN),
        verify=(_STATE, "nltest /dsgetdc:DOMAIN /force"),
    ),
    location.OUTSIDE_DETECTED_WRONGLY.code: Advice(
        cause=(
            "The client is in the intranet, but its network location server does not answer "
            "with a valid certificate. It tries to build tunnels, and intranet names do not "
            "resolve meanwhile."
        ),
        resolution="Mend the network location server, then let the client look again.",
        fix=(_LOOK, _AGAIN),
        verify=(_STATE, _TABLE),
    ),
}
