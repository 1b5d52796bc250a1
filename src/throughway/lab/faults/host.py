"""Faults of the machines themselves: settings, parts of ours that end or hang, disks, files."""

from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene
from throughway.lab.faults.servers import Program, Restarted
from throughway.lab.faults.steps import (
    Edit,
    Filter,
    Frozen,
    Heard,
    Run,
    reload_gateway,
)
from throughway.lab.topology import INFRASTRUCTURE_ENDPOINT, SWITCH

LIMIT = "pgrep -f '{whose}' | xargs -I P prlimit --pid P --nofile={files}"
DAEMONS = {GATEWAY: "throughway gateway ru[n]", CLIENT: "throughway.clien[t] "}
"""As patterns that do not match who looks for them."""
FEW, ENOUGH = "16:", "1024:"
"""File descriptors: soft limits, since not everybody may raise a hard one again."""
STATE = "/var/lib/throughway/gateway"
CHARON = "charon-systemd"
WORKER = "throughway.gateway.worke[r] "
"""As a pattern that does not match who looks for it."""
DEVICE = "iphttps0"
PREFIX = "2001:db8:da:1000::/64"
INPUT = """
  chain input {{
    type filter hook input priority filter - 5;
    {rule}
  }}"""
KILLER = """
import subprocess, time
while True:
    subprocess.run({command!r})
    time.sleep({pause})
"""


def _killer(*command: str, pause: float) -> str:
    return KILLER.format(command=command, pause=pause)


def _useless(host: str, program: str) -> Run:
    """Let a program end at once with a failure, however often it is started."""
    file = f"file=$(command -v {program}); "
    put = 'mountpoint -q "$file" || mount --bind /bin/false "$file"'
    # Lazily: whoever starts it is using it at any moment.
    away = 'while mountpoint -q "$file"; do umount --lazy "$file"; done'
    return Run(
        host,
        ("sh", "-c", f"{file}{put}; pkill -KILL -x {program[:15]} || true"),
        ("sh", "-c", f"{file}{away}"),
        (f"{host}:{program}",),
    )


def _sysctl(host: str, name: str, bad: int, good: int) -> Run:
    return Run(
        host,
        ("sysctl", "-q", "-w", f"{name}={bad}"),
        ("sysctl", "-q", "-w", f"{name}={good}"),
        (f"{host}:{name}",),
    )


def _shell(host: str, breaks: str, mends: str, *holds: str) -> Run:
    return Run(host, ("sh", "-c", breaks), ("sh", "-c", mends), holds)


class _Daemon:
    """The gateway's daemon does not run."""

    holds = (f"{GATEWAY}:gateway",)

    def do(self, scene: Scene) -> None:
        """Stop it in order."""
        scene.lab.stop_gateway(GATEWAY)

    def undo(self, scene: Scene) -> None:
        """Start it."""
        if scene.lab.service(GATEWAY, "gateway") is None:
            scene.lab.start_gateway(GATEWAY)


SETTINGS = (
    Fault(
        name="ipv6-disabled",
        title="IPv6 is switched off on the client",
        steps=(_sysctl(CLIENT, "net.ipv6.conf.all.disable_ipv6", 1, 0),),
        client="ipv6-disabled",
        mended=True,
    ),
    Fault(
        name="ipv6-disabled-at-gateway",
        title="IPv6 is switched off on a link of the gateway",
        # It switches it on again within seconds, and puts back what was lost with it.
        steps=(_sysctl(GATEWAY, f"net.ipv6.conf.{DEVICE}.disable_ipv6", 1, 0),),
    ),
    Fault(
        name="forwarding-disabled",
        title="the gateway does not forward IPv6 any more",
        steps=(_sysctl(GATEWAY, "net.ipv6.conf.all.forwarding", 0, 1),),
        gateway="iphttps-forwarding-disabled",
        mended=True,
    ),
    Fault(
        name="forwarding-disabled-on-link",
        title="the gateway does not forward what comes from a link of its clients",
        steps=(_sysctl(GATEWAY, f"net.ipv6.conf.{DEVICE}.forwarding", 0, 1),),
        gateway="iphttps-forwarding-disabled",
        mended=True,
    ),
    Fault(
        name="route-unpublished",
        title="the gateway has no route to a link of its clients",
        steps=(
            Run(
                GATEWAY,
                ("ip", "-6", "route", "del", PREFIX, "dev", DEVICE),
                ("ip", "-6", "route", "replace", PREFIX, "dev", DEVICE, "metric", "256"),
                (f"{GATEWAY}:{PREFIX}",),
            ),
        ),
        gateway="iphttps-route-unpublished",
        mended=True,
    ),
    Fault(
        name="endpoint-missing",
        title="the gateway does not have the address of the infrastructure tunnel's end",
        # It puts the address back before anybody misses it, and shows for a moment that it did.
        steps=(
            Run(
                GATEWAY,
                ("ip", "address", "del", f"{INFRASTRUCTURE_ENDPOINT}/128", "dev", "lo"),
                ("ip", "address", "replace", f"{INFRASTRUCTURE_ENDPOINT}/128", "dev", "lo"),
                (f"{GATEWAY}:{INFRASTRUCTURE_ENDPOINT}",),
            ),
        ),
    ),
    Fault(
        name="adapter-outside-down",
        title="the cable of the gateway's outside is pulled",
        steps=(
            Run(
                SWITCH,
                ("ip", "link", "set", f"{GATEWAY}.outside", "down"),
                ("ip", "link", "set", f"{GATEWAY}.outside", "up"),
                (f"{GATEWAY}:outside",),
            ),
        ),
        client="iphttps-port-blocked",
        gateway="network-adapter-down",
    ),
    Fault(
        name="adapter-inside-down",
        title="the cable of the gateway's inside is pulled",
        steps=(
            Run(
                SWITCH,
                ("ip", "link", "set", f"{GATEWAY}.inside", "down"),
                ("ip", "link", "set", f"{GATEWAY}.inside", "up"),
                (f"{GATEWAY}:inside",),
            ),
        ),
        client="nrpt-dns-server-unreachable",
        gateway="network-adapter-down",
    ),
    Fault(
        name="filter-rules-gone",
        title="somebody has deleted the gateway's packet filter",
        # It makes them anew within seconds, and says so in its log.
        steps=(_shell(GATEWAY, "nft delete table inet throughway-gateway || true", ":"),),
    ),
    Fault(
        name="configuration-refused",
        title="the gateway's configuration is not one",
        steps=(Heard((Edit(GATEWAY, GATEWAY_CONFIG, "[iphttps]", "[iphttps"),), reload_gateway),),
        gateway="configuration-refused",
    ),
)

PARTS = (
    Fault(
        name="gateway-stopped",
        title="the gateway's daemon does not run",
        steps=(_Daemon(),),
        client="iphttps-connection-refused",
    ),
    Fault(
        name="ike-daemon-hung",
        title="charon on the gateway is there and does nothing",
        steps=(Frozen(GATEWAY, CHARON),),
        client="ipsec-negotiation-timeout",
        gateway="ipsec-daemon-down",
        mended=True,
    ),
    Fault(
        name="ike-daemon-dies",
        title="charon on the gateway ends as soon as it runs",
        steps=(_useless(GATEWAY, CHARON),),
        client="ipsec-negotiation-timeout",
        gateway="ipsec-daemon-down",
    ),
    Fault(
        name="ike-daemon-hung-at-client",
        title="charon on the client is there and does nothing",
        steps=(Frozen(CLIENT, CHARON),),
        client="ipsec-daemon-down",
        mended=True,
    ),
    Fault(
        name="ike-dropped",
        title="a packet filter of the gateway drops IKE",
        steps=(
            Filter(GATEWAY, INPUT.format(rule="udp dport { 500, 4500 } drop")),
            Restarted(),
        ),
        client="ipsec-negotiation-timeout",
        gateway="firewall-drops-tunnels",
    ),
    Fault(
        name="workers-hung",
        title="the gateway's workers are there and do nothing",
        steps=(
            _shell(
                GATEWAY,
                f"pkill -STOP -f '{WORKER}'",
                f"pkill -CONT -f '{WORKER}' || true",
                f"{GATEWAY}:workers",
            ),
        ),
        gateway="iphttps-listener-down",
        felt="iphttps-port-blocked",
    ),
    Fault(
        name="workers-die",
        title="the gateway's workers end as soon as they run",
        steps=(
            Program(
                GATEWAY,
                "kill-workers",
                _killer("pkill", "-KILL", "-f", WORKER, pause=0.3),
            ),
        ),
        client="iphttps-tls-handshake-failed",
        gateway="worker-restarting",
    ),
    Fault(
        name="nat64-dies",
        title="the translator of the gateway ends as soon as it runs",
        steps=(
            Program(GATEWAY, "kill-tayga", _killer("pkill", "-KILL", "-x", "tayga", pause=0.3)),
        ),
        gateway="nat64-broken",
    ),
    Fault(
        name="state-full",
        title="the disk where the gateway keeps its state is full",
        steps=(
            _shell(
                GATEWAY,
                f"mount -t tmpfs -o size=1m,mode=700 fault {STATE} && "
                f"{{ head -c 2m /dev/zero > {STATE}/fill 2>/dev/null || true; }}",
                f"while umount {STATE} 2>/dev/null; do :; done",
                f"{GATEWAY}:{STATE}",
            ),
        ),
        gateway="files-not-writable",
    ),
    Fault(
        name="state-read-only",
        title="the disk where the gateway keeps its state is read-only",
        steps=(
            _shell(
                GATEWAY,
                f"mount --bind {STATE} {STATE} && mount -o remount,ro,bind {STATE}",
                f"while umount -l {STATE} 2>/dev/null; do :; done",
                f"{GATEWAY}:{STATE}",
            ),
        ),
        gateway="files-not-writable",
    ),
    Fault(
        name="files-exhausted",
        title="the gateway's daemon can open no more files",
        steps=(
            _shell(
                GATEWAY,
                LIMIT.format(whose=DAEMONS[GATEWAY], files=FEW),
                LIMIT.format(whose=DAEMONS[GATEWAY], files=ENOUGH),
                f"{GATEWAY}:files",
            ),
        ),
        gateway="files-exhausted",
    ),
    Fault(
        name="files-exhausted-at-client",
        title="the client's daemon can open no more files",
        steps=(
            _shell(
                CLIENT,
                LIMIT.format(whose=DAEMONS[CLIENT], files=FEW),
                LIMIT.format(whose=DAEMONS[CLIENT], files=ENOUGH),
                "CLIENT:files",
            ),
        ),
        client="files-exhausted",
    ),
)

FAULTS = (*SETTINGS, *PARTS)
