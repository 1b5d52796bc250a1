"""A small IPv4 Internet for the Teredo tests, in namespaces.

gateway 131.107.0.2 and .3 --- internet (bridge) --- a NAT of each kind --- a client behind it
"""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Self

import pytest

from tests.ipsec_world import Host
from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY as ANY_POLICY
from throughway.client.teredo import Teredo
from throughway.gateway import teredo as module
from throughway.gateway.teredo import TeredoGateway
from throughway.model.config import TeredoServerConfig
from throughway.model.errors import TransportError
from throughway.model.policy import Policy, TransportsPolicy
from throughway.model.status import TeredoServerStatus

ENDPOINTS = ("2002:836b:2::836b:2", "2002:836b:3::836b:3")
SERVER, SECOND = "131.107.0.2", "131.107.0.3"
POLICY = replace(ANY_POLICY, transports=TransportsPolicy(teredo_server=SERVER))
INNER = "192.168.137.101"


class Kind(StrEnum):
    """What nftables can make of a NAT."""

    CONE = "cone"
    ADDRESS = "restricted"
    PORT = "restricted (port)"
    SYMMETRIC = "symmetric (port)"
    BLOCKED = "no UDP 3544"


_MASQUERADE = "add rule ip nat post oifname eth0 masquerade"
_IN = "add chain ip nat pre { type nat hook prerouting priority -100; }"
_TO_CLIENT = f"udp dport 1024-65535 dnat to {INNER}"
RULES = {
    Kind.CONE: (_MASQUERADE, _IN, f"add rule ip nat pre iifname eth0 {_TO_CLIENT}"),
    Kind.ADDRESS: (
        "add set ip nat seen { type ipv4_addr; flags dynamic; timeout 5m; size 65535; }",
        "add rule ip nat post oifname eth0 add @seen { ip daddr } masquerade",
        _IN,
        f"add rule ip nat pre iifname eth0 ip saddr @seen {_TO_CLIENT}",
    ),
    Kind.PORT: (_MASQUERADE,),
    Kind.SYMMETRIC: (f"{_MASQUERADE} fully-random",),
    Kind.BLOCKED: (
        _MASQUERADE,
        "add chain ip nat forward { type filter hook forward priority 0; }",
        "add rule ip nat forward udp dport 3544 drop",
    ),
}


class Internet:
    """The hosts and their wires."""

    def __init__(self, kinds: Iterable[Kind] = Kind) -> None:
        self.switch, self.gateway = Host(), Host()
        self.nats: dict[Kind, Host] = {}
        self.clients: dict[Kind, Host] = {}
        _ip(self.switch, "link add net0 type bridge stp_state 0 mcast_snooping 0")
        _ip(self.switch, "link set net0 up")
        self._join(self.gateway, SERVER, SECOND)
        for endpoint in ENDPOINTS:
            _ip(self.gateway, f"-6 address add {endpoint}/128 dev lo")
        for number, kind in enumerate(kinds, 100):
            self._behind(kind, f"131.107.0.{number}")

    def _behind(self, kind: Kind, public: str) -> None:
        nat, client = Host(), Host()
        self.nats[kind], self.clients[kind] = nat, client
        self._join(nat, public)
        _ip(nat, f"link add lan type veth peer name eth0 netns {client.pid}")
        _ip(nat, "address add 192.168.137.1/24 dev lan")
        _ip(nat, "link set lan up")
        _ip(client, f"address add {INNER}/24 dev eth0")
        _ip(client, "link set eth0 up")
        _ip(client, "route add default via 192.168.137.1")
        nat.command("sysctl", "-qw", "net.ipv4.ip_forward=1")
        chain = "add chain ip nat post { type nat hook postrouting priority 100; }"
        base = ("add table ip nat", chain)
        for rule in (*base, *RULES[kind]):
            nat.command("nft", rule)

    def forget(self) -> None:
        """Have no NAT remember whom its client has talked to."""
        if Kind.ADDRESS in self.nats:
            self.nats[Kind.ADDRESS].command("nft", "flush set ip nat seen")

    def _join(self, host: Host, *addresses: str) -> None:
        port = f"p{host.pid}"
        _ip(self.switch, f"link add {port} type veth peer name eth0 netns {host.pid}")
        _ip(self.switch, f"link set {port} master net0 up")
        for address in addresses:
            _ip(host, f"address add {address}/24 dev eth0")
        _ip(host, "link set eth0 up")

    def close(self) -> None:
        for host in (*self.clients.values(), *self.nats.values(), self.gateway, self.switch):
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _ip(host: Host, command: str) -> None:
    host.command("ip", *command.split())


class Owner:
    """Notes what the gateway's part says."""

    def __init__(self) -> None:
        self.serving: list[TeredoServerStatus] = []
        self.errors: list[TransportError] = []
        self.changed = asyncio.Event()

    def teredo_serves(self, status: TeredoServerStatus) -> None:
        self.serving.append(status)
        self.changed.set()

    def teredo_down(self, error: TransportError) -> None:
        self.errors.append(error)
        self.changed.set()

    async def wait(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


class Server:
    """The gateway's part, running in its host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.owner = Owner()
        # On a busy machine a process begins late, and is not hung for that.
        self._patience = pytest.MonkeyPatch()
        for limit in ("HUNG_AFTER", "REPORT_TIMEOUT"):
            self._patience.setattr(module, limit, PATIENCE)
        self._server = host.run(self._make())

    async def _make(self) -> TeredoGateway:
        server = TeredoGateway(TeredoServerConfig(address=SERVER), ENDPOINTS, self.owner)
        server.start()
        return server

    def wait(self, holds: Callable[[], bool]) -> None:
        self.host.run(self.owner.wait(holds), PATIENCE + 5)

    def wait_serving(self, times: int = 1) -> None:
        self.wait(lambda: len(self.owner.serving) >= times)

    def report(self) -> TeredoServerStatus:
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
        self._changed = asyncio.Event()
        self.transport = Teredo(policy, self._changed.set)

    async def _start(self) -> None:
        self.transport.start()

    def start(self) -> None:
        self.host.run(self._start())

    def network_changed(self) -> None:
        async def tell() -> None:
            self.transport.network_changed()

        self.host.run(tell())

    async def _wait(self, holds: Callable[[Teredo], bool]) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(PATIENCE):
            while not holds(self.transport):
                self._changed.clear()
                await self._changed.wait()
        return loop.time() - began

    def wait(self, holds: Callable[[Teredo], bool]) -> float:
        """Wait for something to hold; return the seconds that it took."""
        return self.host.run(self._wait(holds), PATIENCE + 5)

    def ping(self, endpoint: str, count: int = 2) -> None:
        """Have the computer's own ping go by the device."""
        route = ("ip", "-6", "route", "replace", f"{endpoint}/128", "dev", self.transport.interface)
        self.host.command(*route)
        limits = ("-c", str(count), "-i", "0.1", "-W", f"{PATIENCE:g}")
        self.host.command("ping", *limits, endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.run(self.transport.stop())


class Program:
    """A program of somebody else's in a host; ended when done with."""

    def __init__(self, host: Host, *command: str) -> None:
        inside = ("nsenter", f"--net={host.namespace}")
        guard = ("setpriv", "--pdeathsig", "KILL")
        self._process = subprocess.Popen(
            (*inside, *guard, *command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def miredo(host: Host, folder: Path, *lines: str, server: bool = False) -> Program:
    """Run Debian's Teredo client, relay or server."""
    folder.mkdir(parents=True)
    configuration = folder / "conf"
    configuration.write_text("\n".join((*lines, "SyslogFacility user", "")))
    name = "miredo-server" if server else "miredo"
    files = ("-c", str(configuration), "-p", str(folder / "pid"))
    return Program(host, name, "-f", "-u", "nobody", *files)


def wait(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that nobody tells of."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def each(hosts: Iterable[Kind], work: Callable[[Kind], object]) -> None:
    """Do the same in several networks at once."""
    kinds = list(hosts)
    with ThreadPoolExecutor(len(kinds)) as pool:
        list(pool.map(work, kinds))
