"""One module for each kind of evidence; this tuple is all of them."""

from throughway.doctor.parser import Parser
from throughway.doctor.parsers import (
    captures,
    certificates,
    collection,
    domain,
    firewall,
    ipsec,
    linux,
    logs,
    names,
    network,
    registry,
    server,
    transition,
)

PARSERS: tuple[Parser, ...] = (
    *transition.PARSERS,
    *names.PARSERS,
    *network.PARSERS,
    *firewall.PARSERS,
    *ipsec.PARSERS,
    *certificates.PARSERS,
    *domain.PARSERS,
    *server.PARSERS,
    *logs.PARSERS,
    *registry.PARSERS,
    *captures.PARSERS,
    *collection.PARSERS,
    *linux.PARSERS,
)
