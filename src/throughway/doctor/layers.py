"""How far up the way a problem stands: what is lower is asked and shown first."""

from throughway.model.findings import Component, Layer, Problem

_BY_COMPONENT = {
    Component.HOST: Layer.LOCAL,
    Component.INTERNET: Layer.NETWORK,
    Component.IPHTTPS: Layer.TCP,
    Component.TEREDO: Layer.LINK,
    Component.SIXTOFOUR: Layer.LINK,
    Component.ISATAP: Layer.LINK,
    Component.LOCATION: Layer.LOCAL,
    Component.NAMES: Layer.LOCAL,
    Component.POLICY: Layer.LOCAL,
    Component.FIREWALL: Layer.LOCAL,
    Component.IPSEC: Layer.IKE,
    Component.DOMAIN: Layer.DOMAIN,
    Component.AUTHORISER: Layer.IKE,
    Component.CERTIFICATES: Layer.IPSEC_CERTIFICATES,
    Component.GATEWAY: Layer.LOCAL,
}
_BY_CODE = (
    ("iphttps-url", Layer.LOCAL),
    ("iphttps-not-configured", Layer.LOCAL),
    ("iphttps-interface", Layer.LOCAL),
    ("iphttps-idle", Layer.LOCAL),
    ("iphttps-name", Layer.NAMES),
    ("nrpt-public-name", Layer.NAMES),
    ("iphttps-wrong-server", Layer.TLS),
    ("iphttps-tls", Layer.TLS),
    ("iphttps-null", Layer.TLS),
    ("iphttps-cert", Layer.TLS),
    ("iphttps-crl", Layer.TLS),
    ("iphttps-client-cert", Layer.TLS),
    ("iphttps-no-usable-cert", Layer.TLS),
    ("iphttps-http", Layer.HTTP),
    ("iphttps-no-", Layer.LINK),
    ("iphttps-route", Layer.LINK),
    ("iphttps-advertising", Layer.LINK),
    ("iphttps-forwarding", Layer.LINK),
    ("ipsec-cert", Layer.IPSEC_CERTIFICATES),
    ("ipsec-crl", Layer.IPSEC_CERTIFICATES),
    ("ipsec-no-machine-cert", Layer.IPSEC_CERTIFICATES),
    ("ipsec-endpoint", Layer.LINK),
    ("ipsec-audit", Layer.DOMAIN),
    ("nrpt-dns-server", Layer.INSIDE_NAMES),
    ("dns64", Layer.INSIDE_NAMES),
    ("nat64", Layer.INSIDE_NAMES),
    ("app-bypasses", Layer.INSIDE_NAMES),
)
"""Beginnings of codes that stand elsewhere than their component; the first that fits counts."""


def layer_of(problem: Problem) -> Layer:
    """Return where a problem stands."""
    for beginning, layer in _BY_CODE:
        if problem.code.startswith(beginning):
            return layer
    return _BY_COMPONENT[problem.component]
