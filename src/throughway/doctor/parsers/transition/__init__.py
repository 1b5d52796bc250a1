"""IP-HTTPS, Teredo, 6to4, ISATAP and the IPv6 interfaces."""

from throughway.doctor.parsers.transition import (
    get_netiphttps,
    get_netipinterface,
    get_nettransition,
    netsh_6to4,
    netsh_httpstunnel,
    netsh_ipv6_interfaces,
    netsh_isatap,
    netsh_teredo,
)

PARSERS = (
    netsh_httpstunnel.PARSER,
    get_netiphttps.PARSER,
    netsh_teredo.PARSER,
    netsh_6to4.PARSER,
    netsh_isatap.PARSER,
    get_nettransition.PARSER,
    netsh_ipv6_interfaces.PARSER,
    get_netipinterface.PARSER,
)
