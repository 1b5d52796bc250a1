"""Problems of what answers in the gateway's place: another host, or a device in between."""

from throughway.catalogue.internet import NO_WAY_OUT
from throughway.catalogue.on_windows.host import IPHLPSVC_STOPPED, IPV6_DISABLED_BY_REGISTRY
from throughway.catalogue.on_windows.internet import PROXY_STATIC_CANCELS_IPHTTPS
from throughway.catalogue.resolving import DNS_INVENTS, DNS_SILENT
from throughway.model.findings import Component, Problem, Severity

NO_WAY = (
    *NO_WAY_OUT,
    DNS_SILENT,
    DNS_INVENTS,
    PROXY_STATIC_CANCELS_IPHTTPS,
    IPHLPSVC_STOPPED,
    IPV6_DISABLED_BY_REGISTRY,
)
"""Then nothing is asked, or nothing gets there."""

NAME_LEADS_INSIDE = Problem(
    code="iphttps-name-leads-inside",
    title="The public name of the gateway leads to an address of the intranet",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Outside, the name in the IP-HTTPS URL was answered with a private address. Inside and "
        "outside share a zone, and the record of the inside is published, or the network's own "
        "DNS knows the name."
    ),
    resolution="Let the public zone hold the gateway's public address for this name.",
    verify=("getent ahosts HOST", "throughway client status"),
    depends_on=NO_WAY,
)

WRONG_SERVER = Problem(
    code="iphttps-wrong-server",
    title="Something that is no IP-HTTPS server answers",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "What answers on the port does not speak TLS or HTTP as an IP-HTTPS server does: the "
        "port is forwarded to another host, or a web server took it."
    ),
    resolution="Let the public address and port lead to the gateway daemon and nothing else.",
    verify=(
        "openssl s_client -connect HOST:PORT -servername HOST",
        "ss -ltnp sport = :PORT",
    ),
    depends_on=(*NO_WAY, NAME_LEADS_INSIDE),
)

TLS_INSPECTED = Problem(
    code="iphttps-tls-inspected",
    title="A device in between opens the encrypted connection",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The certificate shown is not the gateway's: a firewall or security product of this "
        "network puts its own in the place of the real one."
    ),
    resolution=(
        "Ask the network's administrator to exempt the gateway's name from TLS inspection. Do "
        "not trust the inspector's root certificate for IP-HTTPS."
    ),
    verify=("openssl s_client -connect HOST:PORT -servername HOST -showcerts",),
    depends_on=NO_WAY,
)
