"""Faults of the ways into the intranet beside the network: URL, advertisement, 6to4, Teredo."""

from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault
from throughway.lab.faults.made import CLIENT_BUNDLE, unchecked
from throughway.lab.faults.servers import Restarted
from throughway.lab.faults.steps import (
    Edit,
    Filter,
    Heard,
    Put,
    Run,
    restart_client,
    restart_gateway,
)
from throughway.lab.topology import GATEWAY_NAME

FIRST, SECOND = "131.107.0.2", "131.107.0.3"
TEREDO_AT = '[teredo]\naddress = "{}"'
TEREDO, SIXTOFOUR = ("teredo",), ("6to4",)
INPUT = """
  chain input {{
    type filter hook input priority filter - 5;
    {rule}
  }}"""
FORWARD = """
  chain forward {{
    type filter hook forward priority filter - 5;
    {rule}
  }}"""


REFUSED = """
ip rule add pref 1 lookup local 2>/dev/null
ip rule del pref 0 && ip rule add pref 0 ipproto ipv6 prohibit
"""
"""The kernel says so by ICMP; its packet filter cannot of 6to4, whose packets have no checksum."""
ACCEPTED = """
ip rule add pref 0 lookup local 2>/dev/null
ip rule del pref 0 ipproto ipv6 prohibit 2>/dev/null
ip rule del pref 1 lookup local 2>/dev/null
true
"""


FAULTS = (
    Fault(
        name="url-is-ip-address",
        title="the policy of the client names an address in the place of the gateway's name",
        steps=(
            Heard(
                (
                    Put(
                        CLIENT, CLIENT_BUNDLE, unchecked(iphttps_url=f"https://{FIRST}:443/IPHTTPS")
                    ),
                ),
                restart_client,
            ),
        ),
        client="iphttps-url-is-ip-address",
    ),
    Fault(
        name="url-invalid",
        title="the policy of the client has a URL that is none",
        steps=(
            Heard(
                (Put(CLIENT, CLIENT_BUNDLE, unchecked(iphttps_url=f"{GATEWAY_NAME}:443")),),
                restart_client,
            ),
        ),
        client="iphttps-url-invalid",
    ),
    Fault(
        name="advertisement-dropped",
        title="a packet filter of the client drops Router Advertisements",
        steps=(
            Filter(CLIENT, INPUT.format(rule="icmpv6 type nd-router-advert drop")),
            Restarted(),
        ),
        client="iphttps-no-router-advertisement",
    ),
    Fault(
        name="filter-rules-gone-at-client",
        title="another program has deleted the client's packet filter",
        steps=(Run(CLIENT, ("sh", "-c", "nft delete table inet throughway-client || true")),),
        client="ipsec-traffic-leak",
    ),
    Fault(
        name="teredo-blocked",
        title="the client's network drops UDP to the Teredo server",
        steps=(
            Filter("homenat", FORWARD.format(rule="udp dport 3544 drop")),
            Restarted(),
        ),
        client="teredo-udp-blocked",
        transports=TEREDO,
    ),
    Fault(
        name="teredo-second-address-missing",
        title="the gateway's Teredo is set up where the next address is not the gateway's, too",
        steps=(
            Heard(
                (Edit(GATEWAY, GATEWAY_CONFIG, TEREDO_AT.format(FIRST), TEREDO_AT.format(SECOND)),),
                restart_gateway,
            ),
        ),
        gateway="teredo-second-address-missing",
    ),
    Fault(
        name="teredo-device-gone",
        title="the device of the gateway's Teredo relay is down",
        steps=(
            Run(
                GATEWAY,
                ("ip", "link", "set", "teredo0", "down"),
                ("ip", "link", "set", "teredo0", "up"),
                (f"{GATEWAY}:teredo0",),
            ),
        ),
        gateway="teredo-server-stopped",
    ),
    Fault(
        name="sixtofour-blocked",
        title="a packet filter of the gateway drops 6to4",
        steps=(
            Filter(GATEWAY, INPUT.format(rule="meta l4proto ipv6 drop")),
            Restarted(),
        ),
        client="sixtofour-pseudo-public-address",
        gateway="firewall-drops-tunnels",
        place="direct",
        transports=SIXTOFOUR,
    ),
    Fault(
        name="sixtofour-refused",
        title="a router refuses 6to4",
        steps=(
            Run(
                GATEWAY,
                ("sh", "-c", REFUSED),
                ("sh", "-c", ACCEPTED),
                (f"{GATEWAY}:rules of routing",),
            ),
            Restarted(),
        ),
        client="sixtofour-relay-unreachable",
        place="direct",
        transports=SIXTOFOUR,
    ),
)
