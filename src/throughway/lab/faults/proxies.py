"""Faults of what stands between: proxies, portals, inspection, application delivery controllers."""

from throughway.lab import portal, processes
from throughway.lab.faults.fault import Fault, Scene
from throughway.lab.faults.made import Made
from throughway.lab.faults.servers import (
    DIVERT,
    ELSEWHERE,
    FRONT_PORT,
    Front,
    Program,
    Restarted,
    between,
)
from throughway.lab.faults.steps import Edit, Filter, Frozen, Heard, Put, Stopped
from throughway.lab.squid import CONFIGURATION

OFFICE = "officegw"
SCRIPT = "/var/www/wpad.office.example/wpad.dat"
WORLD = "www.example.com"
SQUID = ("sh", "-c", f"exec squid -N -f {CONFIGURATION} </dev/null >/dev/null 2>&1 &")
ASKS = """\
auth_param basic program /bin/cat
auth_param basic realm office
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""


def _restart_squid(scene: Scene) -> None:
    """Squid ends what goes through it, and reads its configuration."""
    step = Stopped(OFFICE, "squid", SQUID)
    step.do(scene)
    scene.lab.run(OFFICE, ["rm", "-f", "/run/squid.pid"], check=True)
    step.undo(scene)
    processes.wait_port(scene.lab.namespaces(OFFICE), "192.168.139.1", 3128)


TO_GATEWAY = """
  chain output {
    type filter hook output priority filter - 5;
    tcp dport 443 drop
  }"""

FAULTS = (
    Fault(
        name="proxy-gone",
        title="the office's proxy does not run",
        steps=(Stopped(OFFICE, "squid", SQUID),),
        client="proxy-unreachable",
        place="office",
    ),
    Fault(
        name="proxy-hung",
        title="the office's proxy takes connections and says nothing",
        steps=(Frozen(OFFICE, "squid"),),
        client="proxy-unreachable",
        place="office",
    ),
    Fault(
        name="gateway-silent-behind-proxy",
        title="the office's proxy is there, and nothing of the gateway comes back to it",
        steps=(Filter(OFFICE, TO_GATEWAY),),
        client="iphttps-port-blocked",
        place="office",
    ),
    Fault(
        name="proxy-asks-who",
        title="the office's proxy wants a name and a password",
        steps=(
            Heard((Edit(OFFICE, CONFIGURATION, "http_access allow all\n", ASKS),), _restart_squid),
        ),
        client="proxy-authentication-required",
        place="office",
    ),
    Fault(
        name="proxy-forbids",
        title="the office's proxy does not let anybody through to port 443",
        steps=(
            Heard(
                (
                    Edit(
                        OFFICE,
                        CONFIGURATION,
                        "acl connectable port 443",
                        "acl connectable port 563",
                    ),
                ),
                _restart_squid,
            ),
        ),
        client="proxy-blocks-iphttps",
        place="office",
    ),
    Fault(
        name="proxy-script-broken",
        title="the script that says where the office's proxy is cannot be read",
        steps=(
            Put(OFFICE, SCRIPT, lambda scene: b"function FindProxyForURL(url, host) { return "),
            Heard((), _restart_squid),
        ),
        client="proxy-script-unusable",
        place="office",
    ),
    Fault(
        name="captive-portal",
        title="the hotel shows a page to sign in before anything passes",
        steps=(
            Program(portal.ROUTER, "portal", portal.SERVER),
            Filter(portal.ROUTER, portal.CHAINS),
            Restarted(),
        ),
        client="captive-portal",
        place="hotel",
    ),
    Fault(
        name="tls-inspected",
        title="the client's network decrypts TLS, with a certificate of its own for the gateway",
        steps=between(Made(issuer="Home Security Inspection")),
        client="iphttps-tls-inspected",
    ),
    Fault(
        name="adc-demands-certificates",
        title="an ADC before the gateway demands certificates of an authority of its own",
        steps=between(
            Made(),
            "ssl_verify_client on; ssl_client_certificate /etc/nginx/front.crt;",
        ),
        client="iphttps-connection-reset",
    ),
    Fault(
        name="adc-without-null-suites",
        title="an ADC before the gateway offers TLS 1.2 without NULL suites",
        steps=between(Made(), "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;"),
    ),
    Fault(
        name="nat-to-another-server",
        title="the router before the gateway leads TCP 443 to another web server",
        steps=(
            Front(
                host="inet1",
                make=Made(name=WORLD),
                listen="131.107.0.1:443",
                upstream="131.107.0.1:80",
                encrypted=False,
            ),
            Filter("homenat", ELSEWHERE.format(to="131.107.0.1:443")),
        ),
        client="iphttps-cert-name-mismatch",
    ),
    Fault(
        name="nat-to-a-stranger",
        title="the router before the gateway leads TCP 443 to its own web page",
        steps=(
            Front(
                host="homenat",
                make=Made(name="router.home.test", issuer="Router"),
                upstream="131.107.0.1:80",
                encrypted=False,
            ),
            Filter("homenat", DIVERT.format(to=f"redirect to :{FRONT_PORT}")),
        ),
        client="iphttps-wrong-server",
    ),
    Fault(
        name="nat-to-another-port",
        title="the router before the gateway leads TCP 443 to a port where nobody speaks TLS",
        steps=(Filter("homenat", ELSEWHERE.format(to="131.107.0.1:80")),),
        client="iphttps-wrong-server",
    ),
    Fault(
        name="nat-to-a-closed-port",
        title="the router before the gateway leads TCP 443 to a machine that does not listen",
        steps=(Filter("homenat", ELSEWHERE.format(to="131.107.0.10:443")),),
        client="iphttps-connection-refused",
    ),
    Fault(
        name="nat-to-another-page",
        title="another web server has the gateway's certificate, and knows nothing of IP-HTTPS",
        steps=(
            Front(
                host="inet1",
                make=Made(),
                listen="131.107.0.1:443",
                upstream="131.107.0.1:80",
                encrypted=False,
            ),
            Filter("homenat", ELSEWHERE.format(to="131.107.0.1:443")),
        ),
        client="iphttps-http-refused",
    ),
)
