"""Faults of the gateway's own parts, and of the intranet behind it."""

from throughway.lab.faults.fault import GATEWAY, Fault
from throughway.lab.faults.steps import Filter, Frozen, Stopped

INPUT = """
  chain input {{
    type filter hook input priority filter - 5;
    {rule}
  }}"""

FAULTS = (
    Fault(
        name="ike-daemon-hung",
        title="charon on the gateway is there and does nothing",
        steps=(Frozen(GATEWAY, "charon"),),
        client="ipsec-negotiation-timeout",
        gateway="ipsec-daemon-down",
        mended=True,
    ),
    Fault(
        name="domain-controller-silent",
        title="the domain controller answers neither DNS nor Kerberos nor LDAP",
        steps=(
            Filter(
                "dc1",
                INPUT.format(rule="meta l4proto { tcp, udp } th dport { 53, 88, 389, 464 } drop"),
            ),
        ),
        client="nrpt-dns-server-unreachable",
        gateway="dc-unreachable",
    ),
    Fault(
        name="location-server-down",
        title="the Network Location Server's web server is stopped",
        steps=(Stopped("nls", "nginx", ("nginx", "-c", "/etc/nginx/nginx.conf")),),
        gateway="nls-unreachable-inside",
    ),
)
