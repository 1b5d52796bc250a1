"""Problems of the network before a Windows client, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.catalogue import internet
from throughway.model.findings import Advice, Component, Problem, Severity

_SHOW = "netsh winhttp show proxy"
_BYPASS = 'netsh winhttp set proxy PROXY "bypass-list=HOST"'
_STATE = "netsh interface httpstunnel show interfaces"

PROXY_STATIC_CANCELS_IPHTTPS = Problem(
    code="proxy-static-cancels-iphttps",
    title="A proxy is set for the whole machine, wherever it is",
    severity=Severity.WARNING,
    component=Component.INTERNET,
    cause=(
        "WinHTTP has a fixed proxy, and IP-HTTPS uses it on every network. Outside the network "
        "of that proxy IP-HTTPS cannot get through."
    ),
    resolution=(
        "Take the fixed proxy away, or put the name of the DirectAccess server on its bypass "
        "list. Browsers are better served by a configuration script, which knows where it is."
    ),
    fix=("netsh winhttp reset proxy", "Restart-Service iphlpsvc"),
    verify=(_SHOW, _STATE),
    depends_on=(
        internet.CAPTIVE_PORTAL,
        internet.PROXY_UNREACHABLE,
        internet.PROXY_BLOCKS_IPHTTPS,
    ),
)

PROBLEMS = (PROXY_STATIC_CANCELS_IPHTTPS,)

ADVICE: Mapping[str, Advice] = {
    internet.CAPTIVE_PORTAL.code: Advice(
        cause="The network answers web requests itself until somebody signs in.",
        resolution="Sign in to the network with a browser; IP-HTTPS then connects by itself.",
        fix=("start http://www.msftconnecttest.com/redirect",),
        verify=(_STATE,),
    ),
    internet.INTERNET_DOWN.code: Advice(
        cause=(
            "The machine has no way to the Internet: no network, no address, no default "
            "gateway, or nothing beyond it answers."
        ),
        resolution="Mend the connection to the Internet first; all else follows from it.",
        fix=("ipconfig /renew",),
        verify=("ping www.msftconnecttest.com", "Test-NetConnection HOST -Port 443"),
    ),
    internet.PROXY_REQUIRED_NOT_CONFIGURED.code: Advice(
        cause=(
            "The browser uses a proxy, but WinHTTP, which IP-HTTPS uses, has none: where the "
            "network lets nobody out directly, IP-HTTPS cannot get out."
        ),
        resolution=(
            "Give WinHTTP the proxy of the browser, and take it away again when the machine "
            "leaves this network; better, let TCP 443 to the server pass directly."
        ),
        fix=("netsh winhttp import proxy source=ie",),
        verify=(_SHOW, _STATE),
    ),
    internet.PROXY_UNREACHABLE.code: Advice(
        cause="The proxy that WinHTTP is set to does not answer; it may be of another network.",
        resolution="Reset it, unless this network has a proxy: then correct its address.",
        fix=("netsh winhttp reset proxy",),
        verify=(_SHOW, _STATE),
    ),
    internet.PROXY_AUTHENTICATION_REQUIRED.code: Advice(
        cause=(
            "The proxy asks for a user's name and password (407). IP-HTTPS runs as the system "
            "and has none to give."
        ),
        resolution=(
            "Let connections to the DirectAccess server pass the proxy unauthenticated; or past "
            "it, where the network lets TCP 443 out."
        ),
        fix=(_BYPASS, "Restart-Service iphlpsvc"),
        verify=(_STATE,),
    ),
    internet.PROXY_BLOCKS_IPHTTPS.code: Advice(
        cause="The proxy refuses CONNECT to the DirectAccess server's name on port 443.",
        resolution="Allow it on the proxy, or let TCP 443 to the server pass directly.",
        fix=(_BYPASS, "Restart-Service iphlpsvc"),
        verify=(_STATE,),
    ),
    internet.PATH_MTU_BLACK_HOLE.code: Advice(
        cause=internet.PATH_MTU_BLACK_HOLE.cause,
        resolution=(
            'Let ICMP "packet too big" and fragments pass the firewalls of both sides. Until then '
            "a smaller MTU on the client helps."
        ),
        fix=('netsh interface ipv4 set subinterface "INTERFACE" mtu=1300 store=persistent',),
        verify=("ping -f -l 1400 HOST", "ping -f -l 1200 HOST", _STATE),
    ),
}
