"""throughway's own IP-HTTPS link, with either of its packet pumps.

Run in a namespace as ``python -m bench.peers.throughway gateway|client …`` it is one end of it.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import scale
from bench.load import reachable
from bench.peers.peer import SUITE, Ends, Peer, tls_environment
from bench.world import GATEWAY, NAME, BenchError, Space, World, client_address, next_line, wait

if TYPE_CHECKING:
    import subprocess

PREFIX = "2001:db8:da:1000::/63"
PORT = 443
SETTINGS = f"IP-HTTPS, TLS 1.3 {SUITE}, MTU 1280"
IDLE_SESSIONS = 1000


class Throughway(Peer):
    """The link by a gateway's worker processes, with one client or two."""

    def __init__(self, name: str, *, pure: bool, workers: int = 1, clients: int = 1) -> None:
        self.name = name
        self.clients = clients
        self._workers = workers
        self._pump = "pure" if pure else "native"
        self.settings = f"{SETTINGS}, {self._pump} packet pump, {workers} worker"
        if clients > 1:
            self.measures = ("two-clients-up", "two-clients-down")
            self.settings += f"{'s' * (workers > 1)}, {clients} clients"

    def version(self) -> tuple[str, str]:
        from throughway import __version__

        return "throughway", __version__

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        addresses = [
            inner_addresses(number, self._workers) for number in range(1, self.clients + 1)
        ]
        if len({gateway for gateway, _ in addresses}) != self._workers:
            raise BenchError(f"{self.name}: the clients do not spread over the workers")
        folder = str(world.folder)
        start_gateway(world.gateway, folder, self._pump, self._environment(world), self._workers)
        for space, (_, address) in zip(world.clients, addresses, strict=True):
            start_client(space, folder, self._pump, self._environment(world), address)
        ends = Ends(*zip(*addresses, strict=True))
        for stream in ends.up(world):
            wait(f"{self.name}: a ping", partial(reachable, stream))
        yield ends

    def tls_port(self, world: World) -> int:
        return PORT

    def idle_memory(self, world: World) -> float:
        with scale.world() as here:
            here.open(scale.WARM_UP)
            time.sleep(scale.SETTLE)
            before = here.server.memory()
            here.open(IDLE_SESSIONS)
            time.sleep(scale.SETTLE)
            return (here.server.memory() - before) / IDLE_SESSIONS

    def _environment(self, world: World) -> dict[str, str]:
        return link_environment(world, self._pump)


def link_environment(world: World, pump: str) -> dict[str, str]:
    """Return what throughway's processes are told: which pump, which cipher suite."""
    return tls_environment(world) | {"THROUGHWAY_PURE": "1" if pump == "pure" else "0"}


def inner_addresses(client: int, workers: int) -> tuple[str, str]:
    """Return gateway's and client's address inside: on the link of the worker that will have it."""
    from throughway.net.steering import chosen
    from throughway.proto.router import Link
    from throughway.wire.ipv6 import format_address

    link = Link.within(PREFIX, chosen(socket.inet_aton(client_address(client)), workers))
    own = link.prefix[:15] + bytes((0xC0 + client,))
    return format_address(link.address), format_address(own)


def start_gateway(
    space: Space, folder: str, pump: str, environment: dict[str, str], workers: int = 1
) -> None:
    """Start the gateway's end, and wait until it serves."""
    _check(_part(space, environment, "gateway", folder, str(workers)), pump)


def start_client(
    space: Space, folder: str, pump: str, environment: dict[str, str], address: str
) -> None:
    """Start a client's end, and wait until the link is up."""
    _check(_part(space, environment, "client", folder, address), pump)


def _part(space: Space, environment: dict[str, str], *words: str) -> "subprocess.Popen[bytes]":
    return space.start(sys.executable, "-m", __name__, *words, environment=environment)


def _check(part: "subprocess.Popen[bytes]", pump: str) -> None:
    said = next_line(part)
    if not said.startswith(pump):
        raise BenchError(f"the {pump} packet pump is not to be had: {said}")


# In the namespaces, each in a process of its own


class _Owner:
    """Hears what the workers tell, and says what is wrong."""

    def session_opened(self, session: object) -> None:
        """Nothing to do."""

    def session_closed(self, session: object, reason: str) -> None:
        """Nothing to do."""

    def limit_reached(self, source: str) -> None:
        """Nothing to do."""

    def client_refused(self, peer: str, problem: str, reason: str) -> None:
        """Nobody asks for certificates here."""

    def worker_ended(self, worker: object) -> None:
        print(f"a worker ended: {worker}", file=sys.stderr, flush=True)

    def worker_serves(self, worker: object) -> None:
        """Nothing to do."""

    def link_mended(self, worker: object) -> None:
        """Nothing to do."""

    def failed(self, what: str, error: BaseException | None) -> None:
        print(f"{what}: {error}", file=sys.stderr, flush=True)


def gateway(folder: str, workers: str) -> None:
    """Serve IP-HTTPS until told to end."""
    from throughway.gateway.workers import Workers
    from throughway.model.config import IPHTTPSServerConfig

    config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("0.0.0.0", PORT),),
        certificate=Path(folder, "cert.pem"),
        key=Path(folder, "key.pem"),
        prefix=PREFIX,
        workers=int(workers),
    )

    async def serve() -> None:
        serving = Workers(config, _Owner(), routes=())
        serving.open()
        await serving.start()
        print(serving.pump, flush=True)
        await _told_to_end()
        await serving.close()

    asyncio.run(serve())


def client(folder: str, address: str) -> None:
    """Hold the link until told to end."""
    from throughway.model.errors import TransportError
    from throughway.net.iphttps_client import IPHTTPSClient
    from throughway.net.link import tune
    from throughway.net.tls import client_context
    from throughway.net.tun import add_address, configure_client, open_tun
    from throughway.proto.iphttps.client import State
    from throughway.wire.ipv6 import parse_address

    async def dial(_host: str, port: int) -> socket.socket:
        sock = socket.create_connection((GATEWAY, port))
        tune(sock)
        return sock

    tls = client_context(anchors=[Path(folder, "cert.pem").read_text()], system=False)

    async def link() -> None:
        tun = open_tun("iphttps0")
        configure_client(tun)
        add_address("iphttps0", parse_address(address), 64)
        up = asyncio.Event()

        def note(state: State, _error: TransportError | None) -> None:
            if state is State.LINK_UP:
                up.set()

        ours = IPHTTPSClient(f"https://{NAME}/IPHTTPS", tun, dial=dial, tls=tls, on_state=note)
        ours.start()
        await up.wait()
        if SUITE not in ours.status().tls:
            raise SystemExit(f"not {SUITE}, but {ours.status().tls}")
        print(ours.status().pump, flush=True)
        await _told_to_end()

    asyncio.run(link())


async def _told_to_end() -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()


PARTS: dict[str, Callable[..., None]] = {"gateway": gateway, "client": client}

if __name__ == "__main__":
    PARTS[sys.argv[1]](*sys.argv[2:])
