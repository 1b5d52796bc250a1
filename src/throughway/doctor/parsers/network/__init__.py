"""The machine, its adapters, routes, proxies and tests of reachability."""

from throughway.doctor.parsers.network import (
    dfsrmig,
    get_date,
    get_netroute,
    ipconfig,
    net_start,
    net_view,
    netsh_ipv6_routes,
    netsh_winhttp,
    nslookup,
    ping,
    resolve_dnsname,
    route_print,
    services,
    systeminfo,
    test_netconnection,
    tracert,
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
    dfsrmig.PARSER,
    get_netroute.PARSER,
    net_start.PARSER,
    net_view.PARSER,
    netsh_ipv6_routes.PARSER,
    route_print.PARSER,
    systeminfo.PARSER,
    tracert.PARSER,
)
