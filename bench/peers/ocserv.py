"""ocserv and openconnect, over TLS only."""

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.load import reachable
from bench.peers.peer import Ends, Peer, package_version, resident, write
from bench.world import GATEWAY, World, wait

SERVER, CLIENT = "10.98.0.1", "10.98.0.2"
PORT = 443
MTU = 1528
"""Of which it takes 28 octets off for UDP, though there is none."""
BASE_MTU = 1600
"""Told to openconnect, so that Ethernet's 1500 bytes fit inside: TCP below does not mind."""
IDLE_SESSIONS = 20
USER, PASSWORD = "user", "secret"
PRIORITIES = "NORMAL:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-SECP256R1"
SCRIPT = """#!/bin/sh
[ "$reason" = connect ] || exit 0
ip link set "$TUNDEV" mtu "$INTERNAL_IP4_MTU" up
ip addr add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
ip route replace 10.98.0.0/24 dev "$TUNDEV"
"""


class OCServ(Peer):
    """One server with a process for each session, and one client."""

    name = "ocserv"
    settings = (
        "openconnect over TLS (no DTLS), TLS 1.3 AES-128-GCM with P-256, MTU 1500, "
        "no compression, workers not isolated by seccomp"
    )

    def version(self) -> tuple[str, str]:
        return (
            "ocserv",
            f"{package_version('ocserv')}, openconnect {package_version('openconnect')}",
        )

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        _start_server(world)
        _start_client(world, "client")
        space = world.client
        wait("ocserv: a session", lambda: "10.98.0." in space.run("ip", "-4", "addr"))
        address = next(
            word.partition("/")[0]
            for word in space.run("ip", "-4", "-o", "addr").split()
            if word.startswith("10.98.0.")
        )
        ends = Ends((SERVER,), (address,))
        wait("ocserv: a ping", partial(reachable, ends.up(world)[0]))
        yield ends

    def tls_port(self, world: World) -> int:
        return PORT

    def idle_memory(self, world: World) -> float:
        _start_server(world)
        before = resident(world.gateway.processes())
        for number in range(IDLE_SESSIONS):
            _start_client(world, f"client{number}")
        gateway = world.gateway
        wait(
            "ocserv: the sessions",
            lambda: gateway.run("ip", "-o", "link").count("vpns") >= IDLE_SESSIONS,
        )
        return (resident(world.gateway.processes()) - before) / IDLE_SESSIONS


def _start_server(world: World) -> None:
    folder = world.gateway.folder
    passwords = str(folder / "passwd")
    world.gateway.run("ocpasswd", "-c", passwords, USER, stdin=f"{PASSWORD}\n" * 2)
    configuration = write(
        *(folder / "ocserv.conf", f'auth = "plain[passwd={passwords}]"', f"tcp-port = {PORT}"),
        *("run-as-user = root", "run-as-group = root", "socket-file = /run/ocserv.socket"),
        *(f"server-cert = {world.folder}/cert.pem", f"server-key = {world.folder}/key.pem"),
        *("isolate-workers = false", "max-clients = 0", "max-same-clients = 0", "keepalive = 3600"),
        *("rate-limit-ms = 0", "max-ban-score = 0", "compression = false", "device = vpns"),
        *(f'tls-priorities = "{PRIORITIES}"', "ipv4-network = 10.98.0.0/24", f"mtu = {MTU}"),
        *("try-mtu-discovery = false", "predictable-ips = false", "route = 10.98.0.0/24"),
        *(
            "cisco-client-compat = false",
            "dtls-legacy = false",
            "use-occtl = false",
            "ping-leases = false",
        ),
    )
    server = world.gateway
    server.start("ocserv", "-f", "-d", "1", "-c", configuration, log="ocserv.log")
    wait("ocserv: the server", lambda: f":{PORT} " in server.run("ss", "-ltn"))


def _start_client(world: World, name: str) -> None:
    script = world.client.folder / "script"
    if not script.exists():
        write(script, SCRIPT)
        script.chmod(0o755)
        write(world.client.folder / "password", PASSWORD)
    command = f"exec openconnect --no-dtls --user={USER} --passwd-on-stdin --non-inter"
    options = (
        f"--cafile={world.folder}/cert.pem --script={script} --disable-ipv6 "
        f"--base-mtu={BASE_MTU} --gnutls-priority={PRIORITIES}"
    )
    destination = f"https://{GATEWAY}:{PORT} < {world.client.folder}/password"
    world.client.start("sh", "-c", f"{command} {options} {destination}", log=f"{name}.log")
