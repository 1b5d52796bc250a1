"""SoftEther VPN: Ethernet over TLS, with TAP devices."""

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.load import reachable
from bench.peers.peer import Ends, Peer, package_version, resident, write
from bench.world import GATEWAY, Space, World, wait

SERVER, CLIENT = "10.98.0.1", "10.98.0.2"
PORT = 443
CONNECTIONS = 2
"""TCP connections of a session: 1 and 8, as its manual has it for fast lines, carried less."""
PROGRAMS = "/usr/libexec/softether"
SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256"
IDLE_SESSIONS = 20
HUB, USER, PASSWORD = "bench", "user", "secret"


class SoftEther(Peer):
    """A server with a hub that is bridged to a TAP device, and a client with a virtual NIC."""

    name = "softether"
    settings = (
        f"TLS over TCP, AES-128-GCM, {CONNECTIONS} TCP connections, Ethernet MTU 1500, no UDP "
        "acceleration, no compression, no packet log, TAP bridge"
    )

    def version(self) -> tuple[str, str]:
        return "softether", package_version("softether-vpnserver")

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        _start_server(world)
        _start_client(world, 1)
        for space, interface, address in (
            (world.gateway, "tap_bench", SERVER),
            (world.client, "vpn_bench1", CLIENT),
        ):
            space.run("ip", "addr", "add", f"{address}/24", "dev", interface)
            space.run("ip", "link", "set", interface, "up")
        ends = Ends((SERVER,), (CLIENT,))
        wait("softether: a ping", partial(reachable, ends.up(world)[0]))
        yield ends

    def tls_port(self, world: World) -> int:
        return PORT

    def idle_memory(self, world: World) -> float:
        _start_server(world)
        before = resident(world.gateway.processes())
        _start_client(world, IDLE_SESSIONS)
        return (resident(world.gateway.processes()) - before) / IDLE_SESSIONS


def _start_server(world: World) -> None:
    space = world.gateway
    _start(space, "vpnserver", ("localhost:443", "/SERVER"))
    _command(
        *(space, ("localhost:443", "/SERVER"), "KeepDisable", f"ServerCipherSet {SUITE}"),
        f"ServerCertSet /LOADCERT:{world.folder}/cert.pem /LOADKEY:{world.folder}/key.pem",
        *(f"HubCreate {HUB} /PASSWORD:", f"BridgeCreate {HUB} /DEVICE:bench /TAP:yes"),
        *(f"Hub {HUB}", "LogDisable packet", "LogDisable security"),
        f"UserCreate {USER} /GROUP:none /REALNAME:none /NOTE:none",
        f"UserPasswordSet {USER} /PASSWORD:{PASSWORD}",
    )


def _start_client(world: World, sessions: int) -> None:
    space, tool = world.client, ("localhost", "/CLIENT")
    _start(space, "vpnclient", tool)
    for number in range(1, sessions + 1):
        nic = f"bench{number}"
        _command(
            *(space, tool, f"NicCreate {nic}"),
            f"AccountCreate {nic} /SERVER:{GATEWAY}:{PORT} /HUB:{HUB} /USERNAME:{USER} "
            f"/NICNAME:{nic}",
            f"AccountPasswordSet {nic} /PASSWORD:{PASSWORD} /TYPE:standard",
            f"AccountDetailSet {nic} /MAXTCP:{CONNECTIONS} /INTERVAL:1 /TTL:0 /HALF:no /BRIDGE:no "
            "/MONITOR:no /NOTRACK:yes /NOQOS:yes /DISABLEUDP:yes",
            f"AccountConnect {nic}",
        )

    def connected() -> bool:
        listed = space.run("vpncmd", *tool, "/CSV", "/CMD", "AccountList")
        return listed.count(",Connected,") == sessions

    wait("softether: the sessions", connected)


def _start(space: Space, program: str, tool: tuple[str, str]) -> None:
    space.run("mkdir", "-p", "/run/softether", "/var/lib/softether", "/var/log/softether")
    space.start(f"{PROGRAMS}/{program}/{program}", "execsvc", log=f"{program}.log")

    def answers() -> bool:
        return "completed successfully" in space.run("vpncmd", *tool, "/CMD", "About", check=False)

    wait(f"softether: {program}", answers)


def _command(space: Space, tool: tuple[str, str], *lines: str) -> None:
    commands = write(space.folder / "commands", *lines)
    space.run("vpncmd", *tool, f"/IN:{commands}")
