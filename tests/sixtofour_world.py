"""A small IPv4 Internet for the 6to4 tests, in namespaces.

client 131.107.0.50 ---+                       +--- gateway 131.107.0.2 and .3
                       +--- internet (bridge) ---+
nat 131.107.0.100 -----+
    \\--- subscriber 131.107.9.9, an address that only looks public
"""

import asyncio
from collections.abc import Callable
from typing import Self

import pytest

from tests.ipsec_world import Host
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.client.sixtofour import SixToFour
from throughway.gateway import sixtofour as module
from throughway.gateway.sixtofour import SixToFourServer
from throughway.model.config import SixToFourServerConfig
from throughway.model.errors import TransportError
from throughway.model.policy import Policy
from throughway.model.status import SixToFourServerStatus
from throughway.net import sit

ENDPOINTS = ("2002:836b:2::836b:2", "2002:836b:3::836b:3")
GATEWAY = ("131.107.0.2", "131.107.0.3")
CLIENT, SUBSCRIBER = "131.107.0.50", "131.107.9.9"
CLIENT_ADDRESS = "2002:836b:32::836b:32"


class Internet:
    """The hosts and their wires."""

    def __init__(self) -> None:
        self.switch, self.client, self.gateway = Host(), Host(), Host()
        self.nat, self.subscriber = Host(), Host()
        self._ip(self.switch, "link add net0 type bridge stp_state 0 mcast_snooping 0")
        self._ip(self.switch, "link set net0 up")
        self._join(self.client, CLIENT)
        self._join(self.gateway, *GATEWAY)
        self._join(self.nat, "131.107.0.100")
        for endpoint in ENDPOINTS:
            self._ip(self.gateway, f"-6 address add {endpoint}/128 dev lo")
        self._ip(self.nat, f"link add lan type veth peer name eth0 netns {self.subscriber.pid}")
        self._ip(self.nat, "address add 131.107.9.1/24 dev lan")
        self._ip(self.nat, "link set lan up")
        self._ip(self.subscriber, f"address add {SUBSCRIBER}/24 dev eth0")
        self._ip(self.subscriber, "link set eth0 up")
        self._ip(self.subscriber, "route add default via 131.107.9.1")
        self.nat.command("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.nat.command("nft", "add table ip nat")
        chain = "{ type nat hook postrouting priority 100; }"
        self.nat.command("nft", f"add chain ip nat post {chain}")
        self.nat.command("nft", "add rule ip nat post oifname eth0 masquerade")

    def _ip(self, host: Host, command: str) -> None:
        host.command("ip", *command.split())

    def _join(self, host: Host, *addresses: str) -> None:
        port = f"p{host.pid}"
        self._ip(self.switch, f"link add {port} type veth peer name eth0 netns {host.pid}")
        self._ip(self.switch, f"link set {port} master net0 up")
        for address in addresses:
            self._ip(host, f"address add {address}/24 dev eth0")
        self._ip(host, "link set eth0 up")

    def close(self) -> None:
        for host in (self.client, self.gateway, self.nat, self.subscriber, self.switch):
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def veth_for_sit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a kernel without sit make another device in its place: all but the packets is real."""
    run = sit.run_command

    def instead(command: sit.Command, text: str) -> str:
        if command[:3] == ("ip", "link", "add"):
            name = command[3]
            command = ("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        return run(command, text)

    monkeypatch.setattr(sit, "run_command", instead)


class Owner:
    """Notes what the gateway's part says."""

    def __init__(self) -> None:
        self.serving: list[SixToFourServerStatus] = []
        self.errors: list[TransportError] = []
        self.changed = asyncio.Event()

    def sixtofour_serves(self, status: SixToFourServerStatus) -> None:
        self.serving.append(status)
        self.changed.set()

    def sixtofour_down(self, error: TransportError) -> None:
        self.errors.append(error)
        self.changed.set()

    async def wait(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


class Server:
    """The gateway's part, running in its host."""

    def __init__(self, host: Host, config: SixToFourServerConfig | None = None) -> None:
        self.host = host
        self.owner = Owner()
        # On a busy machine a process begins late, and is not hung for that.
        self._patience = pytest.MonkeyPatch()
        for limit in ("HUNG_AFTER", "REPORT_TIMEOUT"):
            self._patience.setattr(module, limit, PATIENCE)
        self._config = config or SixToFourServerConfig()
        self._server = host.run(self._make())

    async def _make(self) -> SixToFourServer:
        server = SixToFourServer(self._config, ENDPOINTS, self.owner)
        server.start()
        return server

    def wait(self, holds: Callable[[], bool]) -> None:
        self.host.run(self.owner.wait(holds), PATIENCE + 5)

    def wait_serving(self, times: int = 1) -> None:
        self.wait(lambda: len(self.owner.serving) >= times)

    def report(self) -> SixToFourServerStatus:
        return self.host.run(self._server.report())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.run(self._server.stop())
        self._patience.undo()


class Client:
    """The client's transport, running in its host."""

    def __init__(self, host: Host, policy: Policy = POLICY) -> None:
        self.host = host
        self.changes = 0
        self._changed = asyncio.Event()
        self.transport = SixToFour(policy, self._on_change)

    def _on_change(self) -> None:
        self.changes += 1
        self._changed.set()

    async def _start(self) -> None:
        self.transport.start()

    def start(self) -> None:
        self.host.run(self._start())

    def network_changed(self) -> None:
        async def tell() -> None:
            self.transport.network_changed()

        self.host.run(tell())

    def update_policy(self, policy: Policy) -> None:
        async def update() -> None:
            self.transport.update_policy(policy)

        self.host.run(update())

    def broken(self) -> bool:
        """Ask it in its own network: where the kernel carries, the name decides."""

        async def ask() -> bool:
            return self.transport.broken

        return self.host.run(ask())

    async def stir(self) -> None:
        """Let the transport look at itself when nothing has happened."""
        self.transport._step()

    async def _wait(self, holds: Callable[[SixToFour], bool]) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(PATIENCE):
            while not holds(self.transport):
                self._changed.clear()
                await self._changed.wait()
        return loop.time() - began

    def wait(self, holds: Callable[[SixToFour], bool]) -> float:
        """Wait for something to hold; return the seconds that it took."""
        return self.host.run(self._wait(holds), PATIENCE + 5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.run(self.transport.stop())
