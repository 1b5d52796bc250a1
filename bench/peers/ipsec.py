"""ESP in user space (charon's kernel-libipsec): over IP-HTTPS, the whole path, and alone.

Run in a namespace as ``python -m bench.peers.ipsec gateway|client …`` it is one end's charon.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import expect, reachable
from bench.peers.peer import Ends, Peer, Unmeasured, package_version
from bench.peers.throughway import inner_addresses, link_environment, start_client, start_gateway
from bench.world import WIRE, Space, World, wait

if TYPE_CHECKING:
    from throughway.net.charon import Charon

ENDPOINT = "2001:db8:e::1"
"""The gateway's outer address."""
INTRANET, SERVER = "2001:db8:c0::/64", "2001:db8:c0::80"
"""What the tunnel leads to; the gateway itself has the address."""
WIRE_ADDRESSES = ("2001:db8:f1::1", "2001:db8:f1::2")
NAMES = {"gateway": "da.example.com", "client": "client1.corp.example.com"}
SECRET = b"of no use to anybody"
INITIATE_TIMEOUT_MS = 20000
CHARON_IS_UP = 15.0
"""Seconds."""
COMPARED = ("esp", "path")
"""The two of which more is measured than the stream."""
_SETTINGS = "ESP by kernel-libipsec, AES-256-GCM as the product chooses"
_CLAMP = """
table inet bench {{
  chain in {{ type filter hook input priority 0; {rule}; }}
  chain out {{ type filter hook output priority 0; {rule}; }}
}}
"""


class IPsec(Peer):
    """A charon at each end; with a pump they reach each other over IP-HTTPS."""

    def __init__(self, name: str, *, mtu: int = 1280, pump: str = "") -> None:
        self.name = name
        self.measures = ("tcp-1-up", "tcp-1-down", "cpu-up", "cpu-down", "rtt-idle")
        if name in COMPARED:
            self.measures += ("udp-200-up", "udp-200-down", "rtt-loaded-up", "rtt-loaded-down")
        self._mtu = mtu
        self._pump = pump
        below = f"IP-HTTPS ({pump}), MTU 1280" if pump else f"the wire with MTU {mtu}"
        self.settings = f"{_SETTINGS}, over {below}"
        if self._clamped:
            self.settings += ", MSS clamped as the gateway does it"

    @property
    def _clamped(self) -> bool:
        return self._mtu == 1280

    def version(self) -> tuple[str, str]:
        return "strongswan", package_version("charon-systemd")

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        from throughway.net.firewall import MAXIMUM_SEGMENT

        client = self._over_iphttps(world) if self._pump else self._over_wire(world)
        world.gateway.run("ip", "addr", "add", f"{ENDPOINT}/128", "dev", "lo")
        world.gateway.run("ip", "addr", "add", f"{SERVER}/128", "dev", "lo")
        if self._clamped:
            rule = f"tcp flags syn tcp option maxseg size set {MAXIMUM_SEGMENT}"
            world.gateway.run("nft", "-f", "-", stdin=_CLAMP.format(rule=rule))
        _start_charon(world.gateway, "gateway", client)
        _start_charon(world.client, "client", client)
        ends = Ends((SERVER,), (client,))
        wait(f"{self.name}: a ping", partial(reachable, ends.up(world)[0]))
        yield ends

    def tls_port(self, world: World) -> int:
        raise Unmeasured("its handshake is IKE's")

    def idle_memory(self, world: World) -> float:
        raise Unmeasured("not measured")

    def _over_iphttps(self, world: World) -> str:
        """Return the client's outer address."""
        gateway, client = inner_addresses(1, 1)
        environment = link_environment(world, self._pump)
        start_gateway(world.gateway, str(world.folder), self._pump, environment)
        start_client(world.client, str(world.folder), self._pump, environment, client)
        _route(world.client, gateway, "iphttps0")
        return client

    def _over_wire(self, world: World) -> str:
        ends = ((world.gateway, f"{WIRE}1"), (world.client, WIRE))
        for (space, wire), address in zip(ends, WIRE_ADDRESSES, strict=True):
            space.run("ip", "link", "set", wire, "mtu", str(self._mtu))
            space.run("ip", "addr", "add", f"{address}/64", "dev", wire, "nodad")
        _route(world.client, WIRE_ADDRESSES[0], WIRE)
        return WIRE_ADDRESSES[1]


def _route(client: Space, router: str, interface: str) -> None:
    client.run("ip", "-6", "route", "add", f"{ENDPOINT}/128", "via", router, "dev", interface)


def _start_charon(space: Space, role: str, client: str) -> None:
    charon = space.start(sys.executable, "-m", __name__, role, str(space.folder), client)
    expect(charon, "up", CHARON_IS_UP)


# In the namespaces, each in a process of its own


async def _run(role: str, folder: str, client: str) -> None:
    from throughway.model.config import ESPMode
    from throughway.net.charon import PLUGINS, Charon, CharonSettings

    settings = CharonSettings(
        directory=Path(folder, "ipsec"), esp=ESPMode.LIBIPSEC, plugins=PLUGINS
    )
    charon = Charon(settings, on_ready=partial(_load, role=role, client=client))
    await charon.start()
    if role == "client":
        await charon.initiate("bench", ike="bench", timeout_ms=INITIATE_TIMEOUT_MS)
    print("up", flush=True)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    await charon.stop()


async def _load(charon: "Charon", *, role: str, client: str) -> None:
    from throughway.net.charon import ESP_PROPOSALS, IKE_PROPOSALS

    here, there = ("client", "gateway") if role == "client" else ("gateway", "client")
    addresses = {"client": client, "gateway": ENDPOINT}
    selectors = {"client": "dynamic", "gateway": INTRANET}
    await charon.load_secret("bench", "ike", SECRET, list(NAMES.values()))
    connection = {
        "version": "2",
        "local_addrs": [addresses[here]],
        "remote_addrs": [addresses[there]],
        "proposals": list(IKE_PROPOSALS),
        "mobike": "no",
        "local-1": {"auth": "psk", "id": NAMES[here]},
        "remote-1": {"auth": "psk", "id": NAMES[there]},
        "children": {
            "bench": {
                "local_ts": [selectors[here]],
                "remote_ts": [selectors[there]],
                "esp_proposals": list(ESP_PROPOSALS),
            }
        },
    }
    await charon.load_connection("bench", connection)


def gateway(folder: str, client: str) -> None:
    """Wait for the client; what is sent from the endpoint stays outside of the tunnel."""
    from throughway.net.esp import keep_outer_addresses

    keep_outer_addresses([ENDPOINT])
    asyncio.run(_run("gateway", folder, client))


def client(folder: str, address: str) -> None:
    """Bring the tunnel up."""
    asyncio.run(_run("client", folder, address))


PARTS: dict[str, Callable[..., None]] = {"gateway": gateway, "client": client}

if __name__ == "__main__":
    PARTS[sys.argv[1]](*sys.argv[2:])
