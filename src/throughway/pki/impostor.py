"""Who answers in a server's place: what a certificate says that was not accepted for it."""

import re
from collections.abc import Iterable, Sequence

from cryptography import x509

from throughway.pki.judgement import name_of, names
from throughway.pki.pem import UNREADABLE

INSPECTORS = re.compile(
    r"fortigate|fortinet|zscaler|blue ?coat|palo ?alto|sophos|websense|forcepoint|netskope"
    r"|web gateway|check ?point|barracuda|watchguard|sonicwall|untangle|kaspersky|\beset\b"
    r"|avast|avg web|bitdefender|mitmproxy|fiddler|charles proxy|squid|umbrella|menlo|smoothwall"
    r"|lightspeed|iboss|contentkeeper|cato networks|stormshield|clearswift|inspection"
    r"|(?:ssl|tls|https) (?:inspect|intercept|scan)|ssl[ -]proxy|decrypt|intercept",
    re.IGNORECASE,
)
"""What programs and devices that open TLS call their own authorities."""
UNTRUSTED = frozenset({"iphttps-cert-untrusted-root", "iphttps-cert-intermediate-missing"})
MISMATCH = "iphttps-cert-name-mismatch"


def domain(name: str) -> tuple[str, ...]:
    """Return the last two labels."""
    return tuple(name.lower().rstrip(".").split(".")[-2:])


def related(own: Iterable[str], host: str) -> bool:
    """Whether one of a certificate's names is at least of a host's domain."""
    return any(domain(name) == domain(host) for name in own)


def unmasked(problem: str, chain: Sequence[bytes], host: str) -> str:
    """Return what lies behind a problem with a chain (DER), or the problem itself.

    An authority that calls itself one of inspectors has put its own certificate in the place of
    the real one; a certificate for other people's names is another server's.
    """
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain]
        issuers = [name_of(each.issuer) for each in certificates]
        own = names(certificates[0]) if certificates else ()
    except UNREADABLE:
        return problem
    if problem in UNTRUSTED and any(INSPECTORS.search(issuer) for issuer in issuers):
        return "iphttps-tls-inspected"
    if problem in UNTRUSTED | {MISMATCH} and own and not related(own, host):
        return "iphttps-wrong-server"
    return problem
