"""The machine, its adapters, routes, proxies and tests of reachability."""

from throughway.doctor.parsers.network import ipconfig, netsh_winhttp, ping, services

PARSERS = (
    ipconfig.PARSER,
    netsh_winhttp.PARSER,
    ping.PARSER,
    services.PARSER,
)
