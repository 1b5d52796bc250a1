"""wireguard-go: WireGuard in user space, over UDP."""

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.load import reachable
from bench.peers.peer import Ends, Peer, Unmeasured, package_version, write
from bench.world import GATEWAY, Space, World, wait

SERVER, CLIENT = "10.98.0.1", "10.98.0.2"
PORT = 51820
INTERFACE = "wg0"


class WireGuardGo(Peer):
    """One process at each end."""

    name = "wireguard-go"
    settings = "UDP, ChaCha20-Poly1305 (it knows no other), MTU 1420"

    def version(self) -> tuple[str, str]:
        return "wireguard-go", package_version("wireguard-go")

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        keys = {space: space.run("wg", "genkey").strip() for space in world.spaces}
        public = {
            space: space.run("wg", "pubkey", stdin=key).strip() for space, key in keys.items()
        }
        for space, address, other in (
            (world.gateway, SERVER, world.client),
            (world.client, CLIENT, world.gateway),
        ):
            _start(space)
            key = write(space.folder / "key", keys[space])
            space.run("wg", "set", INTERFACE, "listen-port", str(PORT), "private-key", key)
            peer = ("wg", "set", INTERFACE, "peer", public[other], "allowed-ips", "10.98.0.0/24")
            where = ("endpoint", f"{GATEWAY}:{PORT}") if space is world.client else ()
            space.run(*peer, *where)
            space.run("ip", "addr", "add", f"{address}/24", "dev", INTERFACE)
            space.run("ip", "link", "set", INTERFACE, "mtu", "1420", "up")
        ends = Ends((SERVER,), (CLIENT,))
        wait("wireguard-go: a ping", partial(reachable, ends.up(world)[0]))
        yield ends

    def tls_port(self, world: World) -> int:
        raise Unmeasured("no TLS; its Noise handshake is not a session that a load can set up")

    def idle_memory(self, world: World) -> float:
        raise Unmeasured("no sessions: its peers are configured, not connected")


def _start(space: Space) -> None:
    environment = {"WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "error"}
    space.start("wireguard-go", INTERFACE, log="wireguard.log", environment=environment)
    wait("wireguard-go", lambda: INTERFACE in space.run("wg", "show", "interfaces", check=False))
