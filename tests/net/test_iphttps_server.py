"""Both ends in network namespaces, with kernels and TLS, and the server over loopback."""

import asyncio
import contextlib
import ctypes
import hashlib
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest

from bench import scale
from tests.clock import pass_time
from tests.net.iphttps_world import CORP, NAME, PREFIX, ROUTER, Authority, wait_for
from tests.patience import PATIENCE
from throughway.model.config import IPHTTPSServerConfig
from throughway.net.iphttps_client import IPHTTPSClient
from throughway.net.iphttps_server import IPHTTPSServer, tls_context
from throughway.net.link import HELD_LIMIT, tune
from throughway.net.offload import Pump, choose, pure
from throughway.net.tls import client_context
from throughway.net.tun import TUN, configure_client, configure_gateway, global_addresses, open_tun
from throughway.proto.iphttps.client import State
from throughway.proto.iphttps.http import build_request, parse_url
from throughway.proto.iphttps.server import MAX_HALF_OPEN
from throughway.proto.iphttps.session import Drop
from throughway.wire.icmpv6 import Echo, build_icmpv6
from throughway.wire.ipv6 import parse_address

URL = f"https://{NAME}/IPHTTPS"
LINK_LOCAL_ROUTER = "fe80::1"
BULK = int(os.environ.get("THROUGHWAY_BULK", 1 << 30))
"""Bytes carried each way."""
CHUNK = os.urandom(9_999_991)
"""What they are made of, again and again; its length is prime, so that no two packets are alike."""


class Namespace:
    """An anonymous network namespace; it goes with its process."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.pid = self._holder.pid
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{self.pid}/ns/net").readlink() == own:
            assert self._holder.poll() is None
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *words: str) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.pid), "-n", *words)

    def run(self, *words: str) -> None:
        subprocess.run(self.command(*words), check=True, capture_output=True)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Make sockets and devices there: they stay where they were made."""
        with open("/proc/self/ns/net") as home, open(f"/proc/{self.pid}/ns/net") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


def _setns(fd: int) -> None:
    assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0, ctypes.get_errno()


@dataclass
class World:
    """A gateway and two clients."""

    authority: Authority
    config: IPHTTPSServerConfig
    gateway: Namespace
    clients: list[Namespace]
    server: IPHTTPSServer = field(init=False)

    def tls(self) -> ssl.SSLContext:
        return client_context(anchors=[self.authority.root.pem], system=False)

    def outer(self, number: int) -> str:
        return f"10.9.{number}.1"

    def connect(self, number: int) -> socket.socket:
        with self.clients[number].inside():
            sock = socket.create_connection((self.outer(number), 443), timeout=PATIENCE)
        tune(sock)
        return sock

    async def ping(self, number: int, target: str, patience: float = PATIENCE) -> bool:
        words = self.clients[number].command("ping", "-6", "-c1", f"-W{patience:g}", target)
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
        return await process.wait() == 0

    @contextlib.asynccontextmanager
    async def client(
        self,
        number: int,
        key: str = "",
        secret: bytes | None = None,
        pump: Pump | None = None,
    ) -> AsyncIterator[tuple[IPHTTPSClient, TUN]]:
        """Bring a client up, until its kernel has an address."""

        async def dial(host: str, port: int) -> socket.socket:
            assert (host, port) == (NAME, 443)
            return self.connect(number)

        namespace = self.clients[number]
        with namespace.inside():
            tun = open_tun("iphttps0", pump=pump)
            configure_client(tun, secret=secret)
        client = IPHTTPSClient(URL, tun, dial=dial, tls=self.tls(), session=key)
        client.start()
        try:
            await wait_for(lambda: client.state is State.LINK_UP)
            await wait_for(lambda: self.addresses(number))
            yield client, tun
        finally:
            await client.close()
            tun.close()

    def addresses(self, number: int) -> tuple[str, ...]:
        with self.clients[number].inside():
            return global_addresses("iphttps0")

    def drops(self) -> dict[Drop, int]:
        found: dict[Drop, int] = {}
        for session in self.server.machine.sessions.values():
            for reason, count in session.drops.items():
                found[reason] = found.get(reason, 0) + count
        return found


@contextlib.asynccontextmanager
async def serving(world: World, pump: Pump | None = None) -> AsyncIterator[World]:
    with world.gateway.inside():
        tun = open_tun("iphttps0", pump=pump)
        configure_gateway(tun, (parse_address(ROUTER), parse_address(LINK_LOCAL_ROUTER)))
        tls = tls_context(world.config)
        world.server = IPHTTPSServer(world.config, tun, tls=tls, routes=["2001:db8:c0::/48"])
        world.server.start()
    try:
        yield world
    finally:
        await world.server.close()
        tun.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        spaces = []
        for _ in range(3):
            spaces.append(Namespace())
            stack.callback(spaces[-1].close)
        gateway, *clients = spaces
        for number, client in enumerate(clients):
            ends = (f"gw{number}", "netns", str(gateway.pid)), ("eth0", "netns", str(client.pid))
            words = ("ip", "link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1])
            subprocess.run(words, check=True)
            for space, name, host in ((gateway, f"gw{number}", 1), (client, "eth0", 2)):
                space.run("ip", "addr", "add", f"10.9.{number}.{host}/24", "dev", name)
                space.run("ip", "link", "set", name, "up")
        gateway.run("ip", "addr", "add", f"{CORP}/128", "dev", "lo")
        authority = Authority(tmp_path)
        pair = authority.issue(NAME)
        config = IPHTTPSServerConfig(
            url=URL,
            listen=(("0.0.0.0", 443),),
            certificate=pair.certificate,
            key=pair.key,
            prefix=PREFIX,
        )
        yield World(authority, config, gateway, clients)


@pytest.mark.lab
def test_kernels_at_both_ends_talk(world: World) -> None:
    async def scenario() -> None:
        async with serving(world), world.client(0) as (client, _):
            assert await world.ping(0, ROUTER)
            assert await world.ping(0, CORP)
            with world.clients[0].inside():
                status = client.status()
            (session,) = world.server.sessions()
            assert status.addresses == session.addresses
            assert status.tls.startswith("TLSv1.3")
            assert session.dropped == 0

    asyncio.run(scenario())


@pytest.mark.lab
def test_clients_do_not_reach_each_other_unless_allowed(world: World) -> None:
    async def scenario() -> None:
        async with serving(world), world.client(0), world.client(1):
            (second,) = world.addresses(1)
            assert await world.ping(1, CORP)
            assert not await world.ping(0, second, 1)
            await wait_for(world.drops)
            assert world.drops() == {Drop.CLIENT_TO_CLIENT: 1}
            allowed = replace(world.config, client_to_client=True)
            assert world.server.reload(allowed, tls_context(allowed)) == ()
            assert await world.ping(0, second)

    asyncio.run(scenario())


@pytest.mark.lab
def test_foreign_sources_are_dropped(world: World) -> None:
    async def scenario() -> None:
        async with serving(world), world.client(0), world.client(1):
            (first,) = world.addresses(0)
            assert await world.ping(0, CORP)  # first come
            world.clients[1].run("ip", "addr", "add", "2001:db8:ff::1/128", "dev", "iphttps0")
            world.clients[1].run("ip", "addr", "add", f"{first}/128", "dev", "iphttps0")
            ping = ("ping", "-6", "-c1", "-W1")
            for source, reason in (("2001:db8:ff::1", Drop.SPOOFED), (first, Drop.CONTESTED)):
                words = world.clients[1].command(*ping, "-I", source, CORP)
                process = await asyncio.create_subprocess_exec(
                    *words, stdout=asyncio.subprocess.DEVNULL
                )
                assert await process.wait() != 0
                await wait_for(lambda reason=reason: reason in world.drops())  # type: ignore[misc]
                assert world.drops()[reason] == 1
            contests = world.server.machine.neighbours._contests
            await wait_for(lambda: contests[parse_address(first)].settled)  # the owner was heard of
            assert world.server.sessions()[0].addresses == (first,)
            assert await world.ping(0, CORP)

    asyncio.run(scenario())


@pytest.mark.lab
def test_a_client_that_returns_without_its_key_gets_its_address_back(world: World) -> None:
    async def scenario() -> None:
        secret = bytes(range(16))
        async with serving(world), world.client(0, secret=secret):
            (address,) = world.addresses(0)
            assert await world.ping(0, CORP)
            world.clients[0].run("ip", "link", "set", "eth0", "down")  # the session is half-dead
            async with world.client(1, secret=secret):
                assert world.addresses(1) == (address,)
                assert not await world.ping(1, CORP, 1), "the first session might still live"
                async with asyncio.timeout(PATIENCE):
                    while not await world.ping(1, CORP, 1):
                        pass
                assert len(world.server.sessions()) == 2

    asyncio.run(scenario())


@pytest.mark.lab
def test_a_lost_link_is_back_at_once_with_its_address(world: World) -> None:
    async def scenario() -> None:
        async with serving(world), world.client(0, key="secret") as (client, _):
            before = world.addresses(0)
            world.clients[0].run("ip", "addr", "flush", "dev", "eth0")
            client.network_changed()
            assert client.state is State.LINK_DOWN
            world.clients[0].run("ip", "addr", "add", "10.9.0.2/24", "dev", "eth0")
            client.network_changed()
            await wait_for(lambda: client.state is State.LINK_UP)
            assert await world.ping(0, CORP)
            assert world.addresses(0) == before
            assert len(world.server.sessions()) == 1  # the old one made way

    asyncio.run(scenario())


def pump_called(name: str) -> Pump:
    found = pure("asked for") if name == "pure" else choose({})
    if found.name != name:
        pytest.skip(found.why)
    return found


def chunks() -> Iterator[bytes]:
    """Return what is carried, in parts."""
    for start in range(0, BULK, len(CHUNK)):
        yield CHUNK[: BULK - start]


@cache
def digest() -> bytes:
    """Return the SHA-256 of what is carried."""
    whole = hashlib.sha256()
    for chunk in chunks():
        whole.update(chunk)
    return whole.digest()


async def carry(source: socket.socket, target: socket.socket) -> None:
    """Send much from one to the other, and see it arrive whole."""
    loop = asyncio.get_running_loop()

    async def send() -> None:
        for chunk in chunks():
            await loop.sock_sendall(source, chunk)

    sending = loop.create_task(send())
    arrived, missing, buffer = hashlib.sha256(), BULK, memoryview(bytearray(1 << 20))
    while missing:
        size = await asyncio.wait_for(loop.sock_recv_into(target, buffer), timeout=PATIENCE)
        assert size
        arrived.update(buffer[:size])
        missing -= size
    await sending
    assert arrived.digest() == digest()


@pytest.mark.lab
@pytest.mark.parametrize("near", ["native", "pure"])
@pytest.mark.parametrize("far", ["native", "pure"])
def test_bulk_arrives_whole(world: World, near: str, far: str) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        pumps = pump_called(far), pump_called(near)
        async with serving(world, pumps[0]), world.client(0, pump=pumps[1]) as (client, _):
            with world.clients[0].inside():
                assert client.status().pump == str(pumps[1])
            assert world.server.packet_pump == str(pumps[0])
            with world.gateway.inside():
                listener = socket.create_server((CORP, 80), family=socket.AF_INET6)
            with world.clients[0].inside():
                ours = socket.socket(socket.AF_INET6)
            with listener, ours:
                for sock in (listener, ours):
                    sock.setblocking(False)
                accepting = loop.create_task(loop.sock_accept(listener))
                await asyncio.wait_for(loop.sock_connect(ours, (CORP, 80)), timeout=PATIENCE)
                theirs, _ = await accepting
                with theirs:
                    await carry(ours, theirs)
                    await carry(theirs, ours)

    asyncio.run(scenario())


@pytest.mark.lab
@pytest.mark.parametrize("pump", ["native", "pure"])
def test_datagrams_arrive_one_by_one(world: World, pump: str) -> None:
    """Each is what was sent: merging and cutting on the way is not seen.

    They are fewer than the shorter queue of the devices holds.
    """

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        mine = pump_called(pump)
        sizes = [1200] * 20 + [700, 1200, 1, 0, 1200, 1200, 3]
        sent = [os.urandom(size) for size in sizes]
        async with serving(world, mine), world.client(0, pump=mine):
            assert await world.ping(0, CORP)
            with world.gateway.inside():
                far = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                far.bind((CORP, 5000))
            with world.clients[0].inside():
                near = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                near.connect((CORP, 5000))
            with near, far:
                far.setblocking(False)
                near.setblocking(False)
                for data in sent:
                    near.send(data)
                async with asyncio.timeout(PATIENCE):
                    got = [await loop.sock_recvfrom(far, 9999) for _ in sent]
                assert [data for data, _ in got] == sent
                for data in sent:
                    far.sendto(data, got[0][1])
                async with asyncio.timeout(PATIENCE):
                    back = [await loop.sock_recv(near, 9999) for _ in sent]
                assert back == sent

    asyncio.run(scenario())


@pytest.mark.lab
def test_openssl_by_hand_is_served(world: World) -> None:
    async def scenario() -> None:
        async with serving(world):
            words = ("openssl", "s_client", "-connect", "10.9.0.1:443", "-quiet", "-ign_eof")
            process = await asyncio.create_subprocess_exec(
                *world.clients[0].command(*words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            source, router = parse_address("2001:db8:da:1000::5"), parse_address(ROUTER)
            echo = Echo(reply=False, identifier=7, sequence=1, data=b"by hand")
            asked = build_icmpv6(echo, source=source, destination=router)
            process.stdin.write(build_request(parse_url(URL)) + asked)
            reply = replace(echo, reply=True)
            answer = build_icmpv6(reply, source=router, destination=source)[8:]  # but the label
            got = b""
            while answer not in got:
                more = await asyncio.wait_for(process.stdout.read(4096), timeout=PATIENCE)
                assert more
                got += more
            assert got.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
            process.stdin.close()
            process.kill()
            await process.wait()

    asyncio.run(scenario())


BAD_STREAMS = {
    "oversized head": (b"POST /IPHTTPS HTTP/1.1\r\nX: " + b"a" * 9000, b"HTTP/1.1 431 "),
    "no HTTP": (b"\x00\x01garbage\r\n\r\n", b"HTTP/1.1 400 "),
    "slow head": (b"POST /IPHTTPS HT", b""),
    "another page": (b"GET / HTTP/1.1\r\nHost: da.example.com\r\n\r\n", b"HTTP/1.1 404 "),
    "no IPv6": (build_request(parse_url(URL)) + b"\x45" * 60, b"HTTP/1.1 200 "),
}


@pytest.mark.lab
def test_bad_peers_are_cut_off_while_a_client_works(world: World) -> None:
    async def bad(data: bytes) -> bytes:
        """Send something, and return everything that comes until the end."""
        sock = world.connect(1)
        context = world.tls()
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=NAME)
        writer.write(data)
        got = await asyncio.wait_for(reader.read(), timeout=PATIENCE)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return got

    async def scenario() -> None:
        world.config = replace(world.config, head_timeout=PATIENCE / 2)
        async with serving(world), world.client(0):
            asking = {
                name: asyncio.create_task(bad(data)) for name, (data, _) in BAD_STREAMS.items()
            }
            await asyncio.gather(*(asking[name] for name in asking if name != "slow head"))
            begun = len(BAD_STREAMS["slow head"][0])
            links = world.server._links
            await wait_for(lambda: begun in {link.connection.bytes_in for link in links.values()})
            pass_time(PATIENCE / 2)
            answers = await asyncio.gather(*asking.values())
            for (name, (_, expected)), got in zip(BAD_STREAMS.items(), answers, strict=True):
                assert got.startswith(expected), name
                assert expected or not got
            assert await world.ping(0, CORP)
            assert len(world.server.sessions()) == 1

    asyncio.run(scenario())


# Very many sessions. The figures are those of `python -m bench.scale`, the load is less here.


@pytest.fixture
def many() -> Iterator[scale.World]:
    """Where other tests keep every core busy, handshakes of very many take their time."""
    with scale.world(head_timeout=PATIENCE) as made:
        yield made


@pytest.mark.lab
def test_a_rush_of_2000_clients_is_served_whole(many: scale.World) -> None:
    told = many.open(2000, at_once=2000)
    assert (told["opened"], told["failed"]) == (2000, {})
    assert many.server.ask()["refusals"] == {}


@pytest.mark.lab
@pytest.mark.parametrize("hello", [False, True])
def test_clients_come_through_a_flood_that_never_ends_a_handshake(
    many: scale.World, hello: bool
) -> None:
    """It says nothing, or no more than the first word of TLS."""
    many.crowd.ask(do="silent", count=MAX_HALF_OPEN + 500, hello=hello)
    told = many.open(300)
    assert (told["opened"], told["failed"]) == (300, {})
    assert set(many.server.ask()["refusals"]) <= {"half-open-limit"}


@pytest.mark.lab
def test_no_ping_of_1000_sessions_is_lost(many: scale.World) -> None:
    """Three rounds, evenly spread; and one in which all ask at once."""
    many.open(1000)
    told = many.crowd.ask(do="ping", count=1000, seconds=3)
    assert (told["sent"], told["lost"]) == (3000, 0)
    told = many.crowd.ask(do="ping", count=1000, seconds=0.001, interval=0.001)
    assert (told["sent"], told["lost"]) == (1000, 0)


@pytest.mark.lab
def test_an_idle_session_takes_little_memory(many: scale.World) -> None:
    many.open(100)
    many.ping(100)
    before = many.server.anonymous()
    many.open(1000)
    many.ping(1100)
    assert (many.server.anonymous() - before) / 1000 < 20


@pytest.mark.lab
def test_sessions_that_do_not_read_hold_no_more_than_their_budget(many: scale.World) -> None:
    # What the kernel holds for each is little: so there is too much of it before the kernel ends
    # the first one, 20 s after it has ceased to read, also where this takes its time.
    for buffer in ("rmem", "wmem"):
        many.run("sysctl", "-qw", f"net.ipv4.tcp_{buffer}=4096 16384 16384")
    many.open(520)
    many.ping(520)
    many.crowd.ask(do="stop_reading", count=500)
    before = many.server.anonymous()
    many.crowd.ask(do="bulk", count=500, size=250_000)
    held = (many.server.anonymous() - before) * 1024
    assert many.server.ask()["drops"]["queue-full"] > 0, "there was more than they may have"
    assert held < 1.25 * HELD_LIMIT  # what freed memory leaves behind comes on top
    told = many.crowd.ask(do="ping", count=20, seconds=1, first=500)
    assert (told["sent"], told["lost"]) == (20, 0)


@pytest.mark.lab
@pytest.mark.parametrize("kind", ["bulk", "slow"])
def test_who_floods_does_not_starve_who_pings(many: scale.World, kind: str) -> None:
    many.open(30)
    many.ping(30)
    many.crowd.ask(do="flood", count=4, kind=kind)
    told = many.crowd.ask(do="ping", count=20, seconds=3, first=10)
    many.crowd.ask(do="flood", count=0, kind=kind)
    assert (told["sent"], told["lost"]) == (60, 0)
    if kind == "slow":
        assert many.server.ask()["drops"]["too-often"] > 0
