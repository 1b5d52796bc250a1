"""Every problem the product can name, once: daemons report them, everything else prints them."""

from collections.abc import Mapping
from types import MappingProxyType

from throughway.catalogue import (
    access,
    authoriser,
    daemons,
    domain,
    enrolment,
    firewall,
    gateway,
    host,
    internet,
    iphttps,
    iphttps_certificate,
    iphttps_clients,
    iphttps_revocation,
    ipsec,
    ipsec_certificate,
    location,
    names,
    one_time_code,
    policy,
    resolving,
    sixtofour,
    smart_card,
    teredo,
    translation,
)
from throughway.catalogue.on_windows import domain as windows_domain
from throughway.catalogue.on_windows import firewall as windows_firewall
from throughway.catalogue.on_windows import host as windows_host
from throughway.catalogue.on_windows import internet as windows_internet
from throughway.catalogue.on_windows import ipsec as windows_ipsec
from throughway.catalogue.on_windows import location as windows_location
from throughway.catalogue.on_windows import names as windows_names
from throughway.catalogue.on_windows import policy as windows_policy
from throughway.catalogue.on_windows import server as windows_server
from throughway.catalogue.on_windows import transitions as windows_transitions
from throughway.model.findings import Problem

MODULES = (
    host,
    daemons,
    windows_host,
    internet,
    windows_internet,
    resolving,
    policy,
    windows_policy,
    location,
    windows_location,
    iphttps,
    iphttps_certificate,
    iphttps_clients,
    iphttps_revocation,
    windows_transitions,
    teredo,
    sixtofour,
    ipsec,
    ipsec_certificate,
    enrolment,
    smart_card,
    one_time_code,
    windows_ipsec,
    firewall,
    windows_firewall,
    names,
    windows_names,
    domain,
    windows_domain,
    authoriser,
    access,
    gateway,
    translation,
    windows_server,
)
"""In the order in which a connection comes up."""

PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {problem.code: problem for module in MODULES for problem in module.PROBLEMS}
)
"""By code."""


def find(code: str) -> Problem:
    """Return the problem of that code; an unknown code is a :exc:`KeyError`, hence a bug."""
    return PROBLEMS[code]
