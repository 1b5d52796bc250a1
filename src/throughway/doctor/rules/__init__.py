"""What is concluded from facts; this tuple is all of it, in the order of the way."""

from throughway.doctor.rule import Rule
from throughway.doctor.rules import (
    captures,
    certificates,
    connection,
    domain,
    events,
    firewall,
    host,
    internet,
    iphttps,
    ipsec,
    ipsec_certificates,
    location,
    names,
    policy,
    routes,
    server,
    sixtofour,
    transitions,
)

RULES: tuple[Rule, ...] = (
    *host.RULES,
    *policy.RULES,
    *firewall.RULES,
    *location.RULES,
    *names.RULES,
    *internet.RULES,
    *routes.RULES,
    *iphttps.RULES,
    *certificates.RULES,
    *captures.RULES,
    *transitions.RULES,
    *sixtofour.RULES,
    *server.RULES,
    *ipsec_certificates.RULES,
    *ipsec.RULES,
    *events.RULES,
    *connection.RULES,
    *domain.RULES,
)
