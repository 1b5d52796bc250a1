"""The machine, its adapters, routes, proxies and tests of reachability."""

from throughway.doctor.parsers.network import (
    get_date,
    ipconfig,
    netsh_winhttp,
    nslookup,
    ping,
    resolve_dnsname,
    services,
    test_netconnection,
)

PARSERS = (
    ipconfig.PARSER,
    netsh_winhttp.PARSER,
    ping.PARSER,
    nslookup.PARSER,
    resolve_dnsname.PARSER,
    test_netconnection.PARSER,
    services.PARSER,
    get_date.PARSER,
)
