"""Problems of the gateway daemon."""

from throughway.catalogue.host import IPV6_DISABLED
from throughway.catalogue.iphttps_certificate import ISSUE
from throughway.model.findings import Component, Problem, Severity

NETWORK_ADAPTER_DOWN = Problem(
    code="network-adapter-down",
    title="A network adapter of the gateway is down",
    severity=Severity.CRITICAL,
    component=Component.GATEWAY,
    cause="The adapter that holds a configured address has no carrier or was switched off.",
    resolution="Connect it and switch it on.",
    fix=("ip -brief link show", "ip link set INTERFACE up"),
    verify=("ip -brief address show", "throughway gateway status"),
    depends_on=(IPV6_DISABLED,),
)

CONNECTION_LIMIT_REACHED = Problem(
    code="connection-limit-reached",
    title="The gateway is at its limit of connections",
    severity=Severity.WARNING,
    component=Component.GATEWAY,
    cause=(
        "As many sessions are open, in all or from one address, as the configuration allows: one "
        "more is answered 503, unless its client only comes back. Or more connections than that "
        "have asked for nothing yet; the oldest of those that say nothing make room."
    ),
    resolution=(
        "If they are all real clients, raise the limit; many from one address that never "
        "authenticate are an attack or a broken client."
    ),
    fix=("throughway gateway status --json", "throughway gateway reload"),
    verify=("throughway gateway status",),
)

CONFIGURATION_REFUSED = Problem(
    code="configuration-refused",
    title="A changed configuration was not taken over",
    severity=Severity.WARNING,
    component=Component.GATEWAY,
    cause="The file has an error; the daemon goes on with the configuration it had.",
    resolution="Correct what the check names, then reload.",
    fix=(
        "throughway gateway check --config /etc/throughway/gateway.toml",
        "throughway gateway reload",
    ),
    verify=("throughway gateway status",),
)

OWN_CERT_REVOKED = Problem(
    code="gateway-cert-revoked",
    title="A certificate of this gateway was revoked",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause=(
        "The gateway has fetched the list, or asked the responder, that the certificate names, and "
        "its authority says there that it was revoked, or that an authority above it was. Clients "
        "that check revocation, as they do by default, refuse this gateway; the key may be stolen."
    ),
    resolution=(
        "Put a certificate with a new key in the place of the file that is named, and reload; find "
        "out why the old one was revoked. Where an authority above it was revoked, take another "
        "authority. If it was on hold by mistake, publish a list without it."
    ),
    fix=(ISSUE, "throughway gateway reload"),
    verify=("throughway pki cache list", "throughway gateway status certificates"),
)

PROBLEMS = (
    NETWORK_ADAPTER_DOWN,
    CONNECTION_LIMIT_REACHED,
    CONFIGURATION_REFUSED,
    OWN_CERT_REVOKED,
)
