"""Faults of the way from the client to the gateway: networks, names, ports."""

from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene
from throughway.lab.faults.steps import BadLine, Edit, Filter, Heard, Run
from throughway.lab.impair import Impairment
from throughway.lab.topology import GATEWAY_NAME

EDGE = "131.107.0.2"
FORWARD = """
  chain forward {{
    type filter hook forward priority filter - 5;
    {rule}
  }}"""
TO_443 = f"ip daddr {EDGE} tcp dport 443"


def _restart_dns(scene: Scene) -> None:
    """Dnsmasq reads its records only when it starts."""
    command = "pkill -x dnsmasq; while pgrep -x dnsmasq >/dev/null; do sleep 0.02; done; dnsmasq"
    scene.lab.run("inet1", ["sh", "-c", f"{command} --conf-file=/etc/dnsmasq.conf"], check=True)


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
        name="public-record-missing",
        title="the public DNS does not know the gateway's name any more",
        steps=(
            Heard(
                (
                    Edit(
                        "inet1",
                        "/etc/dnsmasq.conf",
                        f"host-record={GATEWAY_NAME},{EDGE}",
                        f"# host-record={GATEWAY_NAME},{EDGE}",
                    ),
                ),
                _restart_dns,
            ),
        ),
        client="iphttps-name-unresolvable",
    ),
    Fault(
        name="packet-loss",
        title="the client's line loses a fifth of all frames",
        steps=(BadLine(Impairment(loss=20, delay=5)),),
    ),
    Fault(
        name="ipv6-disabled",
        title="IPv6 is switched off on the client",
        steps=(
            Run(
                CLIENT,
                ("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1"),
                ("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0"),
                ("CLIENT:disable_ipv6",),
            ),
        ),
        client="ipv6-disabled-by-registry",
        mended=True,
    ),
    Fault(
        name="forwarding-disabled",
        title="the gateway does not forward IPv6 any more",
        steps=(
            Run(
                GATEWAY,
                ("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=0"),
                ("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1"),
                (f"{GATEWAY}:forwarding",),
            ),
        ),
        gateway="iphttps-forwarding-disabled",
        mended=True,
    ),
)
