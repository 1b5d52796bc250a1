"""The portal of a hotel: said, waited for, never taken for the gateway, and left at once."""

import asyncio
import contextlib
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_uplink import config
from tests.net.iphttps_world import NAME, PREFIX, Authority, FakeTUN, end_server, wait_for
from tests.net.namespace import in_namespace, run
from tests.pki.test_bundle import POLICY
from throughway.client import portal as module
from throughway.client.portal import Portal
from throughway.client.uplink import Uplink
from throughway.model.config import IPHTTPSServerConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import TransportsPolicy
from throughway.net.iphttps_server import IPHTTPSServer, tls_context
from throughway.net.tls import server_context
from throughway.proto.iphttps.client import State
from throughway.proto.portal import Answer

LOGIN = "http://login.hotel.example/"
API = "https://portal.hotel.example/api"
REFUSED = TransportError(Stage.CONNECT, "refused", problem="iphttps-connection-refused")
TIMEOUT = TransportError(Stage.CONNECT, "no answer", problem="iphttps-port-blocked")


class World:
    """What the network answers, in the place of the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Answer | TransportError = Answer(204)
        self.api: bytes | TransportError = TIMEOUT
        self.lease = ""
        self.asked: list[str] = []
        self.told: list[str] = []
        self.policy = POLICY
        monkeypatch.setattr(module, "ask", self.ask)
        monkeypatch.setattr(module, "fetch", self.fetch)
        monkeypatch.setattr(module, "api_of_leases", lambda: self.lease)
        monkeypatch.setattr("throughway.proto.portal.FIRST_WAIT", 0.01)

    async def ask(self, url: str, **_options: object) -> Answer:
        self.asked.append(url)
        if isinstance(self.answer, TransportError):
            raise self.answer
        return self.answer

    async def fetch(self, url: str, **_options: object) -> bytes:
        self.asked.append(url)
        if isinstance(self.api, TransportError):
            raise self.api
        return self.api

    async def resolve(self, _host: str) -> Sequence[str]:
        return ()

    @contextlib.asynccontextmanager
    async def portal(self) -> AsyncIterator[Portal]:
        portal = Portal(
            self.policy,
            self.resolve,
            on_found=lambda url: self.told.append(f"found {url}"),
            on_opened=lambda: self.told.append("opened"),
        )
        portal.start()
        try:
            yield portal
        finally:
            await portal.stop()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_found_and_opened(world: World) -> None:
    world.answer = Answer(302, LOGIN)

    async def scenario() -> None:
        async with world.portal() as portal:
            await wait_for(lambda: world.told)
            assert portal.captive
            assert portal.words == f"a captive portal is in the way: sign in at {LOGIN}"
            await wait_for(lambda: len(world.asked) > 3)
            world.answer = REFUSED  # the gateway's own refusal: nobody answers in its place
            await wait_for(lambda: len(world.told) > 1)
            assert not portal.captive
        assert world.told == [f"found {LOGIN}", "opened"]
        assert all(url.startswith("http://da.example.com/throughway-") for url in world.asked)
        assert len(set(world.asked)) == len(world.asked)

    asyncio.run(scenario())


def test_the_probe_of_the_policy(world: World) -> None:
    url = "http://probe.example.com/"
    world.policy = replace(POLICY, transports=TransportsPolicy(portal_probe=url))
    world.answer = Answer(200, body=b"<h1>Welcome</h1>")

    async def scenario() -> None:
        async with world.portal() as portal:
            await wait_for(lambda: world.told)
            assert portal.words == "a captive portal is in the way"
            world.answer = REFUSED  # says nothing of a page that is there for everybody
            count = len(world.asked)
            await wait_for(lambda: len(world.asked) > count)
            world.answer = Answer(204)
            await wait_for(lambda: not portal.captive)
        assert set(world.asked) == {url}

    asyncio.run(scenario())


@pytest.mark.parametrize("advertised", [True, False])
def test_the_portal_s_own_api(world: World, advertised: bool) -> None:
    world.answer = TIMEOUT
    world.api = b'{"captive": true, "user-portal-url": "http://login.hotel.example/"}'
    world.lease = "" if advertised else API

    async def scenario() -> None:
        async with world.portal() as portal:
            if advertised:
                await wait_for(lambda: world.asked)
                portal._take_api(API)
            await wait_for(lambda: world.told)
            world.api = b'{"captive": false}'
            world.answer = Answer(404)
            await wait_for(lambda: len(world.told) > 1)
        assert world.told == [f"found {LOGIN}", "opened"]
        assert API in world.asked

    asyncio.run(scenario())


def test_an_api_that_cannot_be_asked_is_no_answer(world: World) -> None:
    world.lease = API

    async def scenario() -> None:
        async with world.portal() as portal:
            await wait_for(lambda: len(world.asked) > 1)
            portal.way_failed()
            world.api = b"nonsense"
            portal.way_failed()
            await wait_for(lambda: len(world.asked) > 3)
            assert not portal.captive
            portal.way_found()
            portal.update_policy(POLICY)
        assert world.told == []

    asyncio.run(scenario())


class Hotel:
    """A web server before which everything ends, until somebody clicks."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self.clicked = False

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        web = await asyncio.start_server(self._serve, "127.0.0.1", 8080)
        secure = await asyncio.start_server(self._serve, "127.0.0.1", 8443, ssl=self._tls)
        rules = "; ".join(
            f"ip daddr 131.107.0.2 tcp dport {port} dnat to 127.0.0.1:{own}"
            for port, own in ((80, 8080), (443, 8443))
        )
        chain = "type nat hook output priority -100; "
        run("nft", "-f", "-", text=f"table ip hotel {{ chain out {{ {chain}{rules}; }}; }}")
        try:
            yield
        finally:
            await end_server(web)
            await end_server(secure)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /click"):
                run("nft", "delete table ip hotel")
                self.clicked = True
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome")
            else:
                where = b"Location: http://127.0.0.1:8080/login\r\n"
                writer.write(b"HTTP/1.1 302 Sign in\r\nContent-Length: 0\r\n" + where + b"\r\n")
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.lab
def test_a_hotel_with_a_real_gateway_behind_it() -> None:
    in_namespace(_stay)


def _stay() -> None:
    run("ip", "address", "add", "131.107.0.2/32", "dev", "lo")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_stay_in(Path(folder)))


async def _stay_in(folder: Path) -> None:
    (folder / "hotel").mkdir()
    authority, strangers = Authority(folder), Authority(folder / "hotel", "Hotel Root")
    pair, client = authority.issue(NAME), authority.issue("client1")
    forged = strangers.issue(NAME)  # the gateway's name, by somebody whom nobody trusts
    server_config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("131.107.0.2", 443),),
        certificate=pair.certificate,
        key=pair.key,
        prefix=PREFIX,
    )
    tun = FakeTUN("gateway")
    server = IPHTTPSServer(server_config, tun, tls=tls_context(server_config))
    server.start()
    policy = replace(
        POLICY, iphttps_url=f"https://{NAME}:443/IPHTTPS", trust_anchors=(authority.root.pem,)
    )
    own = replace(config(folder), certificate=client.certificate, key=client.key)
    told: list[tuple[State, str]] = []

    async def resolve(_host: str) -> Sequence[str]:
        return ("131.107.0.2",)

    hotel = Hotel(server_context(forged.certificate, forged.key))
    async with hotel.open():
        uplink = Uplink(
            own, policy, resolve, lambda state, error: told.append((state, _problem(error)))
        )
        uplink.start()
        await wait_for(lambda: any(problem == "captive-portal" for _, problem in told))
        assert uplink.link().way.endswith("sign in at http://127.0.0.1:8080/login")
        assert not server.sessions()
        assert all(state is not State.LINK_UP for state, _ in told)
        reader, writer = await asyncio.open_connection("127.0.0.1", 8080)
        writer.write(b"GET /click HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readline()
        writer.close()
        clicked = time.monotonic()
        await wait_for(lambda: uplink.up)
        print(f"up {time.monotonic() - clicked:.1f} s after the click")
        assert uplink.link().way == "direct"
        await uplink.stop()
    await server.close()
    tun.close()


def _problem(error: TransportError | None) -> str:
    return error.problem if error else ""


def test_the_way_says_so_only_while_it_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a link there is nothing to say, found portal or not."""
    told: list[State] = []

    async def nobody(_host: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "nobody")

    async def scenario() -> None:
        uplink = Uplink(config(tmp_path), POLICY, nobody, lambda state, _: told.append(state))
        uplink._portal_found(LOGIN)
        uplink._try_again()
        await uplink.stop()

    asyncio.run(scenario())
    assert told == []
