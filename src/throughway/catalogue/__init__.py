"""Every problem the product can name, once: daemons report them, everything else prints them."""

from collections.abc import Mapping
from types import MappingProxyType

from throughway.catalogue import (
    authoriser,
    domain,
    firewall,
    gateway,
    host,
    internet,
    iphttps,
    iphttps_certificate,
    ipsec,
    ipsec_certificate,
    location,
    names,
    policy,
)
from throughway.model.findings import Problem

MODULES = (
    host,
    internet,
    policy,
    location,
    iphttps,
    iphttps_certificate,
    ipsec,
    ipsec_certificate,
    firewall,
    names,
    domain,
    authoriser,
    gateway,
)
"""In the order in which a connection comes up."""

PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {problem.code: problem for module in MODULES for problem in module.PROBLEMS}
)
"""By code."""


def find(code: str) -> Problem:
    """Return the problem of that code; an unknown code is a :exc:`KeyError`, hence a bug."""
    return PROBLEMS[code]
