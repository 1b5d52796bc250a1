"""Direct and proxies raced; every way here is a stand-in, proxies answer on loopback."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from tests.net.test_proxy import proxy_that
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.model.errors import Stage, TransportError
from throughway.net import proxy_dial as module
from throughway.net.proxy import ProxyServer
from throughway.net.proxy_dial import FOUND, Routes, WayDialer, most_telling
from throughway.proto.proxy.ways import DIRECT

TARGET, PORT = "da.example.com", 443
BLOCKED = TransportError(
    Stage.CONNECT, "blocked", windows_code=0x274C, problem="iphttps-port-blocked"
)
NO_NETWORK = TransportError(Stage.CONNECT, "no route", problem="internet-down")


async def grant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await reader.read(1)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    head = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=r\r\n"
    writer.write(head + b"Content-Length: 0\r\n\r\n")


class World:
    """A target that may be reached directly or not, and what the network and people name."""

    def __init__(self) -> None:
        self.direct: TransportError | float = 0.0
        """Why the direct way fails, or the seconds it takes."""
        self.named: Routes = ()
        self.found: Routes | TransportError | None = None
        self.network = "home"
        self.asked: list[str] = []
        self._kept: list[socket.socket] = []

    async def dial(self, host: str, port: int) -> socket.socket:
        if host != TARGET:  # a proxy
            self.asked.append(f"{host}:{port}")
            sock = socket.socket()
            sock.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
            except BaseException:
                sock.close()
                raise
            return sock
        self.asked.append("direct")
        if isinstance(self.direct, TransportError):
            raise self.direct
        await asyncio.sleep(self.direct)
        ours, theirs = socket.socketpair()
        self._kept.append(theirs)
        return ours

    async def name(self, _host: str, _port: int) -> Routes:
        return self.named

    async def find(self, _host: str, _port: int) -> Routes:
        self.asked.append("found")
        if isinstance(self.found, TransportError):
            raise self.found
        return self.found or ()

    def dialer(self) -> WayDialer:
        find = self.find if self.found is not None else None
        return WayDialer(self.dial, named=self.name, find=find, network=lambda: self.network)

    def close(self) -> None:
        for sock in self._kept:
            sock.close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> object:
    world = World()
    monkeypatch.setattr(module, "LEAD", PATIENCE)
    yield world
    world.close()


async def way(dialer: WayDialer) -> str:
    (await dialer(TARGET, PORT)).close()
    return dialer.way


def gone() -> ProxyServer:
    """Return a proxy where nobody is."""
    return ProxyServer("127.0.0.1", free_port(), source="configuration")


def run(world: World, test: Callable[[WayDialer, ProxyServer], object], answer: object) -> None:
    async def inside() -> None:
        async with proxy_that(answer) as port:  # type: ignore[arg-type]
            proxy = ProxyServer("127.0.0.1", port, source="configuration")
            await test(world.dialer(), proxy)  # type: ignore[misc]

    asyncio.run(inside())


def test_without_a_proxy_directly(world: World) -> None:
    assert asyncio.run(way(world.dialer())) == "direct"


def test_the_proxy_that_was_named_goes_first(world: World) -> None:
    async def test(dialer: WayDialer, proxy: ProxyServer) -> None:
        world.named = (proxy,)
        expected = f"proxy 127.0.0.1:{proxy.port} (no authentication; configuration)"
        assert await way(dialer) == expected
        assert world.asked == [str(proxy)]

    run(world, test, grant)


def test_a_proxy_that_is_gone_is_noticed_and_remembered(world: World) -> None:
    world.named = (gone(),)
    dialer = world.dialer()

    async def test() -> None:
        told = await way(dialer)
        assert told.startswith("direct; proxy 127.0.0.1:")
        assert "refused" in told
        dialer.succeeded()
        world.asked.clear()
        await way(dialer)
        assert world.asked == ["direct"]
        world.network = "office"
        world.asked.clear()
        await way(dialer)
        assert world.asked[0] != "direct"

    asyncio.run(test())


def test_a_silent_proxy_does_not_hold_up_the_direct_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAD", 0.02)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def test(dialer: WayDialer, proxy: ProxyServer) -> None:
        world.named = (proxy,)
        assert await way(dialer) == "direct"

    run(world, test, silent)


def test_a_way_that_led_nowhere_goes_last(world: World) -> None:
    async def test(dialer: WayDialer, proxy: ProxyServer) -> None:
        world.named = (proxy,)
        await way(dialer)
        dialer.failed()
        world.asked.clear()
        assert await way(dialer) == "direct"
        assert world.asked == ["direct"]
        dialer.succeeded()
        dialer.failed()  # the link was up: its end says nothing of the way
        world.asked.clear()
        await way(dialer)
        assert world.asked == ["direct"]

    run(world, test, grant)


def test_a_script_s_order_holds(world: World) -> None:
    async def test(dialer: WayDialer, proxy: ProxyServer) -> None:
        world.direct = BLOCKED
        world.named = (None, gone(), proxy)
        assert f":{proxy.port} " in await way(dialer)
        assert world.asked[0] == "direct"

    run(world, test, grant)


def test_the_network_s_own_proxy_where_the_direct_way_is_closed(world: World) -> None:
    async def test(_: WayDialer, proxy: ProxyServer) -> None:
        world.direct, world.found = BLOCKED, (gone(), proxy)
        dialer = world.dialer()
        assert f":{proxy.port} " in await way(dialer)
        dialer.succeeded()
        world.asked.clear()
        await way(dialer)
        assert world.asked[0] == "found"

    run(world, test, grant)


def test_where_the_direct_way_works_nobody_looks_for_proxies(world: World) -> None:
    world.found = ()
    asyncio.run(way(world.dialer()))
    assert world.asked == ["direct"]


def error_of(world: World) -> TransportError:
    with pytest.raises(TransportError) as caught:
        asyncio.run(way(world.dialer()))
    return caught.value


def test_all_ways_closed_tells_of_both(world: World) -> None:
    world.direct, world.named = BLOCKED, (gone(),)
    error = error_of(world)
    assert error.problem == "proxy-unreachable"
    assert "; directly: blocked" in str(error)


def test_all_ways_closed_where_no_proxy_was_named(world: World) -> None:
    world.direct, world.found = BLOCKED, ()
    assert error_of(world) is BLOCKED


def test_without_a_network_the_proxy_is_not_to_blame(world: World) -> None:
    world.direct, world.named = NO_NETWORK, (gone(),)
    assert error_of(world) is NO_NETWORK


def test_a_proxy_that_asks_is_told_before_all_else(world: World) -> None:
    async def test(dialer: WayDialer, proxy: ProxyServer) -> None:
        world.direct, world.named = BLOCKED, (gone(), proxy)
        with pytest.raises(TransportError) as caught:
            await way(dialer)
        assert caught.value.problem == "proxy-authentication-required"

    run(world, test, ask)


def test_a_script_that_fails_does_not_close_the_direct_way(world: World) -> None:
    async def fail(_host: str, _port: int) -> Routes:
        raise TransportError(Stage.PROXY, "no script", problem="proxy-script-unusable")

    dialer = WayDialer(world.dial, named=fail)
    assert asyncio.run(way(dialer)) == "direct; no script"
    world.direct = BLOCKED
    with pytest.raises(TransportError, match="no script; directly: blocked"):
        asyncio.run(way(dialer))


def test_bugs_are_not_taken_for_failures(world: World) -> None:
    async def broken(_host: str, _port: int) -> socket.socket:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(way(WayDialer(broken, named=world.name)))


def test_the_loser_of_a_draw_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways stand in the same moment; an open socket would be a warning, so an error."""
    monkeypatch.setattr(module, "LEAD", 0.0)

    async def test(dialer: WayDialer, proxy: ProxyServer) -> None:
        world.named, world.direct = (proxy,), 0.001
        for _ in range(5):
            await way(dialer)

    run(world, test, grant)


def test_nothing_at_all_to_tell() -> None:
    assert "no way to" in str(most_telling({}, TARGET))


def test_a_network_that_offers_a_proxy_is_there() -> None:
    broken = TransportError(Stage.PROXY, "no answer", problem="proxy-unreachable")
    nothing = TransportError(Stage.PROXY, "the network offers no proxy")
    assert most_telling({DIRECT: NO_NETWORK, FOUND: broken}, TARGET) is broken
    assert most_telling({DIRECT: NO_NETWORK, FOUND: nothing}, TARGET) is NO_NETWORK
    assert most_telling({DIRECT: BLOCKED, FOUND: broken}, TARGET) is BLOCKED
