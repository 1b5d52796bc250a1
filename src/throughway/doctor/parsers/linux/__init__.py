"""What is found on a Linux machine that is our client or gateway."""

from throughway.doctor.parsers.linux import (
    certificates,
    client_status,
    daemons,
    gateway_status,
    gateway_toml,
    ip_address,
    ip_route,
    kept,
    netcheck,
    nft,
    ss,
    sysctl,
)

PARSERS = (
    client_status.PARSER,
    gateway_status.PARSER,
    daemons.PARSER,
    ip_address.PARSER,
    ip_route.PARSER,
    sysctl.PARSER,
    ss.PARSER,
    nft.PARSER,
    gateway_toml.PARSER,
    certificates.PARSER,
    netcheck.PARSER,
    kept.PARSER,
)
