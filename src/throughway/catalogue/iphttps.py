"""Problems of the IP-HTTPS link: its URL, its way to the gateway, its interface, its listener."""

from throughway.catalogue.daemons import GATEWAY_NOT_RUNNING
from throughway.catalogue.firewall import DROPS_TUNNELS
from throughway.catalogue.host import IPV6_DISABLED, WORKER_RESTARTING
from throughway.catalogue.internet import PATH_MTU_BLACK_HOLE
from throughway.catalogue.iphttps_certificate import REFUSED as CERTIFICATE_REFUSED
from throughway.catalogue.iphttps_peer import NAME_LEADS_INSIDE as NAME_LEADS_INSIDE
from throughway.catalogue.iphttps_peer import NO_WAY
from throughway.catalogue.iphttps_peer import TLS_INSPECTED as TLS_INSPECTED
from throughway.catalogue.iphttps_peer import WRONG_SERVER as WRONG_SERVER
from throughway.catalogue.on_windows.host import IPHLPSVC_STOPPED, IPV6_DISABLED_BY_REGISTRY
from throughway.model.findings import Component, Problem, Severity

URL_TOO_LONG = Problem(
    code="iphttps-url-too-long",
    title="The IP-HTTPS URL is longer than 256 characters",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "Windows clients cannot hold an IP-HTTPS URL of more than 256 characters nor a "
        "certificate subject of 235 or more; they would never connect to this gateway."
    ),
    resolution="Choose a shorter public name and path, issue the certificate for it, publish both.",
    fix=("throughway gateway check --config /etc/throughway/gateway.toml",),
    verify=("throughway gateway status iphttps",),
)

URL_IS_IP_ADDRESS = Problem(
    code="iphttps-url-is-ip-address",
    title="The IP-HTTPS URL holds an address instead of a name",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "A certificate proves a name. With an address in the URL there is nothing to compare it "
        "with, and Windows refuses such a URL (0x4BE)."
    ),
    resolution="Put the gateway's public DNS name into the URL and publish the policy again.",
    fix=("throughway policy build --config /etc/throughway/gateway.toml",),
    verify=("throughway gateway check --config /etc/throughway/gateway.toml",),
)

URL_INVALID = Problem(
    code="iphttps-url-invalid",
    title="The IP-HTTPS URL cannot be understood",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The URL is not of the form https://NAME:PORT/PATH.",
    resolution="Correct the URL in the gateway's configuration and publish the policy again.",
    fix=("throughway policy build --config /etc/throughway/gateway.toml",),
    verify=("throughway gateway check --config /etc/throughway/gateway.toml",),
    depends_on=(URL_IS_IP_ADDRESS,),
)

NOT_CONFIGURED = Problem(
    code="iphttps-not-configured",
    title="No IP-HTTPS server is configured",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The policy of this client names no IP-HTTPS URL, or the client has no policy at all.",
    resolution="Join the deployment with the bundle that its administrator gives out.",
    fix=("throughway client join policy.bundle",),
    verify=("throughway client status",),
)

INTERFACE_CREATION_FAILED = Problem(
    code="iphttps-interface-creation-failed",
    title="The IP-HTTPS interface could not be created",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The kernel refused the TUN device: /dev/net/tun is missing, the daemon lacks the right "
        "to use it (CAP_NET_ADMIN), or another program holds an interface of the same name."
    ),
    resolution="Load the tun module, start the daemon as root, or remove the other interface.",
    fix=("modprobe tun", "ip link show INTERFACE", "systemctl restart throughway-client"),
    verify=("ip -6 address show dev INTERFACE",),
    depends_on=(IPV6_DISABLED, IPV6_DISABLED_BY_REGISTRY),
)

IDLE_OTHER_TRANSPORT_IN_USE = Problem(
    code="iphttps-idle-other-transport-in-use",
    title="IP-HTTPS is idle because another transport carries the tunnels",
    severity=Severity.INFO,
    component=Component.IPHTTPS,
    cause=(
        "The client has native IPv6, 6to4 or Teredo to the gateway; IP-HTTPS is the transport "
        "of last resort."
    ),
    resolution="Nothing is wrong; nothing needs to be done.",
    verify=("throughway client status",),
)

NRPT_PUBLIC_NAME_NOT_EXEMPT = Problem(
    code="nrpt-public-name-not-exempt",
    title="A public name that is needed for connecting is not exempt",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause=(
        "The name of the gateway, of the network location server or of a CRL distribution "
        "point lies under an intranet suffix without an exemption of its own."
    ),
    resolution="Add a rule without servers for exactly that name and publish the policy.",
    fix=(
        "throughway policy build --config /etc/throughway/gateway.toml",
        "throughway client refresh",
    ),
    verify=("throughway client status",),
)

NAME_CAPTURED_BY_NRPT = Problem(
    code="iphttps-name-captured-by-nrpt",
    title="The public name of the gateway is asked of the intranet's DNS servers",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "An NRPT rule covers the name in the IP-HTTPS URL. Its address would be asked through "
        "the tunnel that can only be built once the address is known."
    ),
    resolution=(
        "Publish an exemption for the gateway's public name: an NRPT rule for exactly this name "
        "that has no servers."
    ),
    fix=("throughway policy build --config /etc/throughway/gateway.toml",),
    verify=("throughway client status", "getent ahosts HOST"),
    depends_on=(NRPT_PUBLIC_NAME_NOT_EXEMPT,),
)

NAME_UNRESOLVABLE = Problem(
    code="iphttps-name-unresolvable",
    title="The public name of the gateway has no address",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The DNS servers of this network know no address for the host in the IP-HTTPS URL: the "
        "public DNS record is missing or wrong, or the network's DNS does not answer."
    ),
    resolution=(
        "When other names resolve, the record in the public DNS zone must be created or mended; "
        "when none does, mend this network's DNS."
    ),
    verify=("getent ahosts HOST", "dig HOST", "throughway client status"),
    depends_on=(*NO_WAY, NAME_CAPTURED_BY_NRPT),
)

LISTENER_DOWN = Problem(
    code="iphttps-listener-down",
    title="The gateway does not listen for IP-HTTPS",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The port could not be opened: another program holds it, the address is not on this "
        "host, or certificate or key cannot be read."
    ),
    resolution="Free the port or correct the listen address, then reload the gateway.",
    fix=("ss -ltnp sport = :PORT", "throughway gateway reload"),
    verify=("throughway gateway status iphttps",),
    depends_on=(
        IPHLPSVC_STOPPED,
        IPV6_DISABLED_BY_REGISTRY,
        GATEWAY_NOT_RUNNING,
        WORKER_RESTARTING,
    ),
)

PORT_BLOCKED = Problem(
    code="iphttps-port-blocked",
    title="No answer from the gateway's port",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The TCP connection timed out, or a router says that the host cannot be reached: a "
        "firewall before the gateway or in this network drops the port, the public address is "
        "wrong, or the gateway's host is down."
    ),
    resolution=(
        "Try from another network. If it works there, this network blocks the port; if not, "
        "check the address record, the firewall before the gateway and the gateway itself."
    ),
    verify=(
        "openssl s_client -connect HOST:PORT -servername HOST -brief",
        "throughway client status",
    ),
    depends_on=(*NO_WAY, NAME_UNRESOLVABLE, NAME_LEADS_INSIDE, DROPS_TUNNELS),
)

CONNECTION_REFUSED = Problem(
    code="iphttps-connection-refused",
    title="The gateway's host refuses the connection",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The host answered, but nothing listens on the port: the gateway daemon is stopped, the "
        "port is forwarded to the wrong host, or the name leads to another machine."
    ),
    resolution="Start the gateway daemon, or correct the address record or port forwarding.",
    fix=("systemctl start throughway-gateway",),
    verify=(
        "ss -ltn sport = :PORT",
        "openssl s_client -connect HOST:PORT -servername HOST -brief",
    ),
    depends_on=(*NO_WAY, NAME_LEADS_INSIDE, DROPS_TUNNELS, LISTENER_DOWN),
)

NULL_SUITES_MISSING = Problem(
    code="iphttps-null-suites-missing",
    title="The gateway and the client have no cipher suite in common",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The handshake was refused right after the client's first message. Windows 8 and later "
        "offer NULL suites first, and the device that ends TLS before the gateway allows none."
    ),
    resolution=(
        "Allow the suites TLS_RSA_WITH_NULL_SHA256 and TLS_RSA_WITH_NULL_SHA on that device for "
        "this name, or let TLS end at the gateway."
    ),
    verify=("openssl s_client -connect HOST:PORT -servername HOST -brief",),
    depends_on=(TLS_INSPECTED,),
)

CONNECTION_RESET = Problem(
    code="iphttps-connection-reset",
    title="The connection to the gateway is cut off",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The connection was made and then reset or closed before the link was up: a firewall "
        "that inspects TLS, a load balancer without a working server, or the gateway's limits."
    ),
    resolution=(
        "Read the gateway's log for this client's address. When it shows nothing, a device in "
        "between cut the connection."
    ),
    fix=("journalctl -u throughway-gateway --since -10min",),
    verify=("throughway client status",),
    depends_on=(*NO_WAY, NULL_SUITES_MISSING, PATH_MTU_BLACK_HOLE, DROPS_TUNNELS),
)

TLS_HANDSHAKE_FAILED = Problem(
    code="iphttps-tls-handshake-failed",
    title="The TLS handshake with the gateway fails",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Both sides could not agree: versions or cipher suites do not match, a device between "
        "them interferes, or what answers does not speak TLS."
    ),
    resolution="Compare the TLS versions and suites of both sides; TLS 1.2 is the least.",
    fix=("journalctl -u throughway-gateway --since -10min",),
    verify=("openssl s_client -connect HOST:PORT -servername HOST -tls1_2 -brief",),
    depends_on=(
        WRONG_SERVER,
        TLS_INSPECTED,
        NULL_SUITES_MISSING,
        CONNECTION_RESET,
        PATH_MTU_BLACK_HOLE,
        *CERTIFICATE_REFUSED,
    ),
)

HTTP_REFUSED = Problem(
    code="iphttps-http-refused",
    title="The web server refuses the IP-HTTPS request",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "TLS came up, but the answer to the POST was not 200: the path of the URL is another "
        "one, a reverse proxy does not pass it on, or the gateway is full or stopping."
    ),
    resolution="Compare the path of the URL with the gateway's; read the gateway's log.",
    fix=("journalctl -u throughway-gateway --since -10min",),
    verify=("throughway gateway status iphttps", "throughway client status"),
    depends_on=(WRONG_SERVER,),
)

ROUTE_UNPUBLISHED = Problem(
    code="iphttps-route-unpublished",
    title="Clients are not told the way to the intranet",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The Router Advertisement of the gateway carries no route to the endpoints or the "
        "intranet, or the route is missing on the gateway itself."
    ),
    resolution="Let the gateway put the routes back; it does so when it reloads.",
    fix=("throughway gateway reload",),
    verify=("ip -6 route show dev INTERFACE", "throughway gateway status iphttps"),
    depends_on=(LISTENER_DOWN,),
)

ADVERTISING_DISABLED = Problem(
    code="iphttps-advertising-disabled",
    title="The gateway sends no Router Advertisements on the IP-HTTPS link",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Clients form their address from the gateway's Router Advertisement; without it the "
        "link stays without a global address."
    ),
    resolution=(
        "Reload the gateway. (On a Windows server this is advertise=enabled; the often quoted "
        "forwarding=enabled is another setting and does not help.)"
    ),
    fix=("throughway gateway reload",),
    verify=("throughway gateway status iphttps",),
    depends_on=(LISTENER_DOWN,),
)

FORWARDING_DISABLED = Problem(
    code="iphttps-forwarding-disabled",
    title="The gateway does not forward IPv6",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The kernel's IPv6 forwarding is off: packets of clients end at the gateway.",
    resolution="Switch forwarding on and make sure that no file under /etc/sysctl.d undoes it.",
    fix=(
        "sysctl -w net.ipv6.conf.all.forwarding=1",
        "grep -rs ipv6.conf.all.forwarding /etc/sysctl.conf /etc/sysctl.d",
    ),
    verify=("sysctl net.ipv6.conf.all.forwarding", "throughway gateway status iphttps"),
)

NO_LINK = (
    NOT_CONFIGURED,
    URL_INVALID,
    URL_IS_IP_ADDRESS,
    INTERFACE_CREATION_FAILED,
    NAME_CAPTURED_BY_NRPT,
    NAME_UNRESOLVABLE,
    PORT_BLOCKED,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    NAME_LEADS_INSIDE,
    WRONG_SERVER,
    TLS_INSPECTED,
    NULL_SUITES_MISSING,
    TLS_HANDSHAKE_FAILED,
    HTTP_REFUSED,
)
"""Why the link does not come up, certificates apart."""

NO_ROUTER_ADVERTISEMENT = Problem(
    code="iphttps-no-router-advertisement",
    title="The link is up, but the gateway does not announce itself on it",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "No Router Advertisement came through the link: advertising is off on the gateway, or "
        "this host ignores advertisements (accept_ra)."
    ),
    resolution="Look at the gateway first; on this host accept_ra of the interface must be 2.",
    fix=("sysctl -w net.ipv6.conf.INTERFACE.accept_ra=2", "throughway client refresh"),
    verify=("ip -6 route show default dev INTERFACE", "throughway gateway status iphttps"),
    depends_on=(
        IPV6_DISABLED,
        IPV6_DISABLED_BY_REGISTRY,
        *NO_LINK,
        ROUTE_UNPUBLISHED,
        FORWARDING_DISABLED,
        ADVERTISING_DISABLED,
    ),
    visible_after=5.0,
)

NO_GLOBAL_ADDRESS = Problem(
    code="iphttps-no-global-address",
    title="The IP-HTTPS interface has no global address",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The link is up, but the kernel formed no address from the advertised prefix: "
        "autoconfiguration is off, or duplicate address detection failed."
    ),
    resolution="Allow autoconf on the interface, then let the client connect again.",
    fix=("sysctl -w net.ipv6.conf.INTERFACE.autoconf=1", "throughway client refresh"),
    verify=("ip -6 address show dev INTERFACE scope global",),
    depends_on=(NO_ROUTER_ADVERTISEMENT,),
    visible_after=5.0,
)

PROBLEMS = (
    *NO_LINK,
    URL_TOO_LONG,
    IDLE_OTHER_TRANSPORT_IN_USE,
    LISTENER_DOWN,
    ROUTE_UNPUBLISHED,
    ADVERTISING_DISABLED,
    FORWARDING_DISABLED,
    NO_ROUTER_ADVERTISEMENT,
    NO_GLOBAL_ADDRESS,
)
