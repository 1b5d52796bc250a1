"""Faults of names: outside, inside, and of the rules that say who is asked for which."""

from dataclasses import replace

from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene
from throughway.lab.faults.made import Made, Published, newer, republish, signed
from throughway.lab.faults.servers import Front, Program, Restarted
from throughway.lab.faults.steps import Edit, Filter, Heard, Put, Run, restart_client
from throughway.lab.topology import DOMAIN, GATEWAY_NAME, NLS_NAME
from throughway.lab.translation import DNS64_ADDRESS
from throughway.model.policy import NRPTRule, Policy
from throughway.pki.authority import Profile

DNSMASQ = "/etc/dnsmasq.conf"
RECORD = f"host-record={GATEWAY_NAME},131.107.0.2"
OUTSIDE = f"host-record={NLS_NAME},131.107.0.1"
UNKNOWN = "local=//\n"
STUB = "127.0.0.88"
RESOLV_CONF = "/etc/resolv.conf"
HELD = f"""
set -e
echo nameserver 192.168.137.1 >/run/held.conf
mount --bind /run/held.conf {RESOLV_CONF}
mount -o remount,bind,ro {RESOLV_CONF}
"""
TAKER = f"""
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        sock.bind(("{STUB}", 53))
        break
    except OSError:
        time.sleep(0.01)
while True:
    sock.recv(512)
"""
"""Takes the port as soon as the client lets it go, and answers nobody."""
LET_GO = f"! mountpoint -q {RESOLV_CONF} || umount {RESOLV_CONF}"
INPUT = """
  chain input {{
    type filter hook input priority filter - 5;
    {rule}
  }}"""


def _restart_dns(host: str, scene: Scene) -> None:
    """Dnsmasq reads its records only when it starts."""
    end = "pkill -x dnsmasq; while pgrep -x dnsmasq >/dev/null; do sleep 0.02; done; dnsmasq"
    scene.lab.run(host, ["sh", "-c", f"{end} --conf-file={DNSMASQ}"], check=True)


def _public_dns(scene: Scene) -> None:
    _restart_dns("inet1", scene)


def _home_dns(scene: Scene) -> None:
    _restart_dns("homenat", scene)


def _captures(policy: Policy) -> tuple[NRPTRule, ...]:
    """Return the rules with one that sends the gateway's own name into the tunnel."""
    parent = GATEWAY_NAME.partition(".")[2]
    return (*policy.nrpt, replace(policy.nrpt[0], namespace=f".{parent}"))


FAULTS = (
    Fault(
        name="public-record-missing",
        title="the public DNS does not know the gateway's name any more",
        steps=(Heard((Edit("inet1", DNSMASQ, RECORD, f"# {RECORD}"),), _public_dns), Restarted()),
        client="iphttps-name-unresolvable",
    ),
    Fault(
        name="public-record-leads-inside",
        title="the public DNS leads the gateway's name to its address in the intranet",
        steps=(
            Heard(
                (Edit("inet1", DNSMASQ, RECORD, f"host-record={GATEWAY_NAME},10.0.1.1"),),
                _public_dns,
            ),
            Restarted(),
        ),
        client="iphttps-name-leads-inside",
    ),
    Fault(
        name="public-record-old",
        title="the public DNS leads the gateway's name to where nobody listens",
        steps=(
            Heard(
                (Edit("inet1", DNSMASQ, RECORD, f"host-record={GATEWAY_NAME},131.107.0.10"),),
                _public_dns,
            ),
            Restarted(),
        ),
        client="iphttps-connection-refused",
    ),
    Fault(
        name="network-dns-silent",
        title="the DNS server of the client's network does not answer",
        steps=(
            Filter(
                "homenat",
                INPUT.format(rule='iifname "lan" meta l4proto { tcp, udp } th dport 53 drop'),
            ),
            Restarted(),
        ),
        client="network-dns-silent",
    ),
    Fault(
        name="network-dns-invents",
        title="the DNS server of the client's network answers every name with its own address",
        steps=(
            Heard(
                (Edit("homenat", DNSMASQ, "no-hosts\n", "no-hosts\naddress=/#/192.168.137.1\n"),),
                _home_dns,
            ),
            Restarted(),
        ),
        client="network-dns-invents",
    ),
    Fault(
        name="nrpt-captures-public-name",
        # Of no effect: clients ask for the gateway's name outside, whatever the rules say.
        title="a name rule of the policy sends the gateway's own name into the tunnel",
        steps=(Published(signed(nrpt=_captures, version=newer)),),
    ),
    Fault(
        name="nrpt-server-wrong",
        title="the name rule of the intranet names a server that does not exist",
        steps=(
            Heard(
                (
                    Edit(
                        GATEWAY,
                        GATEWAY_CONFIG,
                        f'namespace = ".{DOMAIN}"\nservers = ["{DNS64_ADDRESS}"]',
                        f'namespace = ".{DOMAIN}"\nservers = ["2001:db8:c0:1::99"]',
                    ),
                ),
                republish,
            ),
        ),
        client="nrpt-dns-server-unreachable",
        gateway="nrpt-dns-server-unreachable",
    ),
    Fault(
        name="dns64-silent",
        title="the gateway's DNS64 does not answer",
        steps=(
            Filter(
                GATEWAY,
                INPUT.format(
                    rule=f"ip6 daddr {DNS64_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53 drop"
                ),
            ),
        ),
        client="nrpt-dns-server-unreachable",
        gateway="nrpt-dns-server-unreachable",
    ),
    Fault(
        name="location-server-outside",
        title="the Network Location Server can be reached from the Internet",
        steps=(
            Front(
                host="inet1",
                make=Made(profile=Profile.SERVER, name=NLS_NAME),
                listen="131.107.0.1:443",
                upstream="131.107.0.1:80",
                encrypted=False,
            ),
            Heard(
                (
                    Edit(
                        "inet1", DNSMASQ, UNKNOWN, f"host-record={NLS_NAME},131.107.0.1\n{UNKNOWN}"
                    ),
                ),
                _public_dns,
            ),
            Heard((), restart_client),
        ),
        client="nls-reachable-outside",
    ),
    Fault(
        name="stub-resolver-unreachable",
        title="a packet filter of the client drops what its programs ask the client for names",
        steps=(
            Filter(
                CLIENT,
                INPUT.format(rule='iifname "lo" meta l4proto { tcp, udp } th dport 53 drop'),
            ),
        ),
        client="stub-resolver-down",
    ),
    Fault(
        name="resolver-configuration-overwritten",
        # As a DHCP client does: it is taken for news of the network, and taken over again.
        title="somebody has written another /etc/resolv.conf on the client, once",
        steps=(Put(CLIENT, RESOLV_CONF, lambda scene: b"nameserver 192.168.137.1\n"),),
    ),
    Fault(
        name="resolver-configuration-held",
        title="another /etc/resolv.conf is mounted read-only over the client's",
        steps=(Run(CLIENT, ("sh", "-c", HELD), ("sh", "-c", LET_GO), holds=(RESOLV_CONF,)),),
        client="nrpt-not-effective",
    ),
    Fault(
        name="stub-port-taken",
        title="another resolver of the client has taken the port of the client's own",
        steps=(Program(CLIENT, "other-resolver", TAKER), Restarted()),
        client="stub-resolver-down",
    ),
)
