"""OpenVPN over TCP."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.load import reachable
from bench.peers.peer import Ends, Peer, package_version, resident, write
from bench.world import GATEWAY, Space, World, wait

SERVER, CLIENT = "10.98.0.1", "10.98.0.2"
PORT = 1194
IDLE_SESSIONS = 20
COMMON = (
    *("dev tun0", "topology subnet", "tun-mtu 1500", "mssfix 0", "txqueuelen 1000"),
    *("sndbuf 0", "rcvbuf 0", "tcp-nodelay", "data-ciphers AES-128-GCM", "allow-compression no"),
    *("tls-groups P-256", "verb 3", "script-security 0", "persist-tun"),
)


class OpenVPN(Peer):
    """One server process and one client process."""

    name = "openvpn"
    settings = (
        "TCP, TLS 1.3 control channel with P-256, data AES-128-GCM, mssfix 0, tun-mtu 1500 "
        "as hosts behind a gateway have it (9000 carries more, between hosts with such frames), "
        "sndbuf 0 rcvbuf 0 (the kernel's own sizes), tcp-nodelay, no compression"
    )

    def version(self) -> tuple[str, str]:
        return "openvpn", package_version("openvpn")

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        _start_server(world)
        _start_client(world.client, world.folder, "client")
        ends = Ends((SERVER,), (CLIENT,))
        wait("openvpn: a ping", partial(reachable, ends.up(world)[0]))
        yield ends

    def idle_memory(self, world: World) -> float:
        _start_server(world)
        before = resident(world.gateway.processes())
        for number in range(IDLE_SESSIONS):
            _start_client(
                world.client, world.folder, f"client{number}", "dev null", "ifconfig-noexec"
            )
        log = partial(world.gateway.said, "openvpn.log")
        wait("openvpn: the clients", lambda: log().count("SENT CONTROL") >= IDLE_SESSIONS)
        return (resident(world.gateway.processes()) - before) / IDLE_SESSIONS


def _start_server(world: World) -> None:
    own = (f"cert {world.folder}/cert.pem", f"key {world.folder}/key.pem")
    configuration = write(
        *(world.gateway.folder / "openvpn.conf", "mode server", "tls-server", "dh none"),
        *("proto tcp-server", f"port {PORT}", f"ca {world.folder}/cert.pem", *own),
        *(f"ifconfig {SERVER} 255.255.255.0", "ifconfig-pool 10.98.0.2 10.98.0.250"),
        *('push "topology subnet"', "duplicate-cn", "tcp-queue-limit 256", *COMMON),
    )
    world.gateway.start("openvpn", "--config", configuration, log="openvpn.log")
    log = partial(world.gateway.said, "openvpn.log")
    wait("openvpn: the server", lambda: "Initialization Sequence Completed" in log())


def _start_client(space: Space, folder: Path, name: str, *more: str) -> None:
    own = (f"cert {folder}/cert.pem", f"key {folder}/key.pem")
    configuration = write(
        *(space.folder / f"{name}.conf", "client", "proto tcp-client", f"remote {GATEWAY} {PORT}"),
        *("nobind", f"ca {folder}/cert.pem", *own, *COMMON, *more),
    )
    space.start("openvpn", "--config", configuration, log=f"{name}.log")
