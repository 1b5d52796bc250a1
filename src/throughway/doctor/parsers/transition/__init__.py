"""IP-HTTPS, Teredo, 6to4, ISATAP and the IPv6 interfaces."""

from throughway.doctor.parsers.transition import (
    netsh_httpstunnel,
    netsh_ipv6_interfaces,
    netsh_teredo,
)

PARSERS = (
    netsh_httpstunnel.PARSER,
    netsh_teredo.PARSER,
    netsh_ipv6_interfaces.PARSER,
)
