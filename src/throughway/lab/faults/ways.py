"""Faults of the way from the client to the gateway: networks, routers, ports."""

from throughway.lab.faults.fault import CLIENT, Fault
from throughway.lab.faults.servers import Restarted
from throughway.lab.faults.steps import BadLine, Filter, Run, Unplugged
from throughway.lab.impair import Impairment

EDGE = "131.107.0.2"
FORWARD = """
  chain forward {{
    type filter hook forward priority filter - 5;
    {rule}
  }}"""
BACK = FORWARD.replace("chain forward", "chain back")
OUTPUT = """
  chain output {{
    type filter hook output priority filter - 5;
    {rule}
  }}"""
TO_443 = f"ip daddr {EDGE} tcp dport 443"


FAULTS = (
    Fault(
        name="port-443-blocked",
        title="the client's network drops what goes to TCP 443 of the gateway",
        steps=(Filter("homenat", FORWARD.format(rule=f"{TO_443} drop")),),
        client="iphttps-port-blocked",
    ),
    Fault(
        name="port-443-refused",
        title="a router before the gateway refuses connections to TCP 443",
        steps=(
            Filter(
                "homenat", FORWARD.format(rule=f"{TO_443} reject with icmpx type admin-prohibited")
            ),
        ),
        client="iphttps-port-blocked",
    ),
    Fault(
        name="port-443-reset",
        title="something on the way resets connections to TCP 443",
        steps=(
            Filter(
                "homenat",
                FORWARD.format(rule=f"{TO_443} tcp flags & ack == ack reject with tcp reset"),
            ),
        ),
        client="iphttps-connection-reset",
    ),
    Fault(
        name="packet-loss",
        title="the client's line loses a fifth of all frames",
        steps=(BadLine(Impairment(loss=20, delay=5)),),
    ),
    Fault(
        name="line-long",
        title="the client's line takes 300 ms there and back",
        steps=(BadLine(Impairment(delay=150)),),
    ),
    Fault(
        name="mtu-black-hole",
        title="the client's network swallows big packets without a word",
        steps=(
            Filter(
                "homenat",
                FORWARD.format(rule=f"ip length > 1000 ip daddr {EDGE} drop")
                + BACK.format(rule=f"ip length > 1000 ip saddr {EDGE} drop"),
            ),
            Restarted(),
        ),
        client="path-mtu-black-hole",
    ),
    Fault(
        name="internet-away",
        title="the home's router has no connection to the Internet",
        steps=(
            Filter(
                "homenat",
                FORWARD.format(rule="drop") + OUTPUT.format(rule='oifname "wan" drop'),
            ),
        ),
        client="internet-down",
    ),
    Fault(
        name="cable-pulled",
        title="the client's cable is pulled",
        steps=(Unplugged(),),
        client="internet-down",
    ),
    Fault(
        name="router-gone",
        title="the client has an address, and no way out of its network",
        steps=(
            Run(
                CLIENT,
                ("ip", "route", "del", "default"),
                ("ip", "route", "replace", "default", "via", "192.168.137.1"),
                ("CLIENT:default route",),
            ),
        ),
        client="internet-down",
    ),
)
