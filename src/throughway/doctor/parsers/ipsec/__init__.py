"""Associations of IPsec, and whether their failures are audited."""

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.ipsec import auditpol, get_netipsecsa, netsh_monitor_sa

PARSERS: tuple[Parser, ...] = (
    netsh_monitor_sa.PARSER,
    get_netipsecsa.PARSER,
    auditpol.PARSER,
)
