"""What to say of a problem where Windows runs."""

from collections.abc import Mapping
from types import MappingProxyType

from throughway.catalogue.on_windows import (
    domain,
    firewall,
    host,
    internet,
    iphttps,
    iphttps_certificate,
    ipsec,
    ipsec_certificate,
    location,
    names,
    policy,
    revocation,
    server,
    transitions,
)
from throughway.model.findings import Advice, Problem

MODULES = (
    host,
    internet,
    iphttps,
    iphttps_certificate,
    transitions,
    names,
    location,
    policy,
    firewall,
    ipsec,
    ipsec_certificate,
    domain,
    revocation,
    server,
)

ADVICE: Mapping[str, Advice] = MappingProxyType(
    {code: advice for module in MODULES for code, advice in module.ADVICE.items()}
)
"""By the problem's code; a problem that only Windows has needs none."""


def advice(problem: Problem) -> Advice:
    """Return the words for Windows."""
    return ADVICE.get(problem.code) or Advice(
        cause=problem.cause,
        resolution=problem.resolution,
        fix=problem.fix,
        verify=problem.verify,
    )
