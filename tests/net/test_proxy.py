"""Tunnels through a proxy: a real squid, and proxies which squid cannot be."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ipsec_world import PASSWORDS, REALM, shared_domain
from tests.ipsec_world import shared_world as shared
from tests.net import squid_world
from tests.net.iphttps_world import CORP, PREFIX, Authority, end_server, packet, wait_for
from tests.net.squid_world import PASSWORD, USER, squid, squid_folder
from tests.net.test_iphttps_client import OWN, Hall, serving
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.model.config import IPHTTPSServerConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.net import proxy as module
from throughway.net.dial import Dialer
from throughway.net.proxy import ProxyServer, Ticket, no_ticket, open_tunnel
from throughway.net.proxy_dial import WayDialer
from throughway.net.proxy_tickets import TicketRequest, make_ticket_apart
from throughway.proto.iphttps.client import State
from throughway.proto.proxy.schemes import Credentials

TARGET = "da.example.com"
ALICE = Credentials(user=USER, password=PASSWORD)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def resolve(_host: str) -> Sequence[str]:
    return ("127.0.0.1",)


@contextlib.asynccontextmanager
async def greeter() -> AsyncIterator[int]:
    """Somebody behind the proxy who says hello when spoken to; gives the port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"hello")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", port := free_port())
    try:
        yield port
    finally:
        await end_server(server)


async def greeting(proxy: ProxyServer, port: int, ticket: Ticket = no_ticket) -> bytes:
    """Return what comes through a tunnel."""
    sock = await open_tunnel(proxy, TARGET, port, dial=Dialer(resolve), ticket=ticket)
    with sock:
        assert sock.gettimeout() == 0
        loop, heard = asyncio.get_running_loop(), b""
        async with asyncio.timeout(PATIENCE):
            await loop.sock_sendall(sock, b"?")
            while data := await loop.sock_recv(sock, 100):
                heard += data
        return heard


def through(proxy: ProxyServer) -> bytes:
    async def run() -> bytes:
        async with greeter() as port:
            return await greeting(proxy, port)

    return asyncio.run(run())


def logged(log: Path, words: str, times: int) -> None:
    """Wait for as many of these words: squid writes of a tunnel when it has ended."""
    asyncio.run(wait_for(lambda: log.read_text().count(words) >= times))


def refusal(proxy: ProxyServer, port: int = 443) -> TransportError:
    with pytest.raises(TransportError) as caught:
        asyncio.run(greeting(proxy, port))
    assert caught.value.stage is Stage.PROXY
    assert PASSWORD not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def plain() -> Iterator[ProxyServer]:
    """A squid that asks nobody."""
    with squid_folder() as folder, squid(port := free_port(), folder=folder):
        yield ProxyServer("127.0.0.1", port)


@pytest.fixture(scope="module", params=["basic", "digest"])
def asking(request: pytest.FixtureRequest) -> Iterator[tuple[ProxyServer, str]]:
    with squid_folder() as folder:
        lines = getattr(squid_world, request.param)(folder)
        with squid(port := free_port(), *lines, folder=folder):
            yield ProxyServer("127.0.0.1", port, ALICE), request.param


@pytest.mark.lab
def test_squid_that_asks_nobody(plain: ProxyServer) -> None:
    assert through(plain) == b"hello"
    assert plain.memory.scheme == ""


@pytest.mark.lab
def test_squid_that_refuses(plain: ProxyServer) -> None:
    error = refusal(plain, 9)
    assert (error.problem, error.windows_code) == ("proxy-blocks-iphttps", 0x80190193)
    assert str(error).startswith(f"proxy {plain}: the proxy (squid")
    assert str(error).endswith("answers 403 Forbidden")


@pytest.mark.lab
def test_squid_that_cannot_connect(plain: ProxyServer) -> None:
    error = refusal(plain, free_port())
    assert (error.problem, error.windows_code) == ("proxy-blocks-iphttps", 0x801901F7)


@pytest.mark.lab
def test_squid_that_asks_on_every_connection(asking: tuple[ProxyServer, str]) -> None:
    """More tunnels than a nonce of Digest is good for."""
    proxy, scheme = asking
    for _ in range(5):
        assert through(proxy) == b"hello"
        assert proxy.memory.scheme == scheme


@pytest.mark.lab
@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
def test_squid_with_ntlm(scheme: str) -> None:
    with (
        squid_folder() as folder,
        squid_world.ntlm(folder, scheme) as asks,
        squid(port := free_port(), *asks, folder=folder) as log,
    ):
        proxy = ProxyServer("127.0.0.1", port, replace(ALICE, domain="CORP"))
        for _ in range(3):
            assert through(proxy) == b"hello"
        assert proxy.memory.scheme == ("ntlm" if scheme == "ntlm" else "negotiated-ntlm")
        # The first time it asks before it is told who we are; then a challenge and a proof.
        logged(log, "TCP_TUNNEL/200", 3)
        assert log.read_text().count("TCP_DENIED/407") == 4
        wrong = ProxyServer("127.0.0.1", port, replace(ALICE, domain="CORP", password="wrong"))
        assert refusal(wrong).problem == "proxy-credentials-refused"


@pytest.mark.lab
@pytest.mark.xdist_group("domain")
def test_squid_with_kerberos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squid, domain controller and client in one network; the ticket is by a password."""
    domain, host = shared_domain(), "proxy.corp.example.com"
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    monkeypatch.setattr("throughway.net.proxy_tickets.TICKET_TIME", PATIENCE)
    inside = ("nsenter", f"--net={shared().corp.namespace}")

    async def ticket(name: str) -> bytes:
        accounts = (("alice", PASSWORDS["alice"]),)
        return await make_ticket_apart(TicketRequest(host=name, realm=REALM, accounts=accounts))

    async def run() -> None:
        async with greeter() as port:
            for _ in range(2):
                assert await greeting(proxy, port, ticket) == b"hello"
            assert proxy.memory.scheme == "kerberos"

            async def none(_name: str) -> bytes:
                raise ThroughwayError("no ticket today")

            with pytest.raises(TransportError, match="no ticket today") as caught:
                await greeting(proxy, port, none)
            assert caught.value.problem == "proxy-credentials-refused"

    with squid_folder() as folder:
        lines = squid_world.kerberos(folder, domain.proxy_keytab, f"HTTP/{host}")
        # Squid's own user may not read the domain's folder.
        environment = {"KRB5_CONFIG": str(shutil.copy(domain.krb5_conf, folder))}
        number = free_port()
        with squid(number, *lines, folder=folder, inside=inside, environment=environment) as log:
            proxy = ProxyServer(host, number, Credentials(ticket=True))
            shared().corp.run(run())
            logged(log, f"alice@{REALM}", 2)


@pytest.mark.lab
def test_the_link_to_a_real_gateway_through_squid(tmp_path: Path) -> None:
    """Packets cross both ways, and more of them than squid has buffers."""
    authority = Authority(tmp_path)
    pair = authority.issue(TARGET)
    config = IPHTTPSServerConfig(
        url=f"https://{TARGET}/IPHTTPS",
        listen=(("127.0.0.1", 0),),
        certificate=pair.certificate,
        key=pair.key,
        prefix=PREFIX,
    )

    async def scenario(proxy: ProxyServer) -> None:
        async with serving(Hall(config, authority)) as hall:

            async def named(_host: str, _port: int) -> tuple[ProxyServer, ...]:
                return (proxy,)

            async def blocked(host: str, port: int) -> socket.socket:
                if host == TARGET:
                    raise TransportError(Stage.CONNECT, "no way but the proxy")
                return await Dialer(resolve)(host, port)

            dialer = WayDialer(blocked, named=named)

            async def dial(host: str, port: int) -> socket.socket:
                assert (host, port) == (TARGET, 443)
                return await dialer(host, hall.port)

            async with hall.client(dial=dial) as (client, tun):
                await wait_for(lambda: client.state is State.LINK_UP)
                for _ in range(2):
                    await tun.received()  # advertisements
                for number in range(200):
                    up = packet(OWN, CORP, number.to_bytes(2, "big") * 600)
                    tun.kernel.send(up)
                    assert await hall.tun.received() == up
                    down = packet(CORP, OWN, number.to_bytes(2, "big") * 600)
                    hall.tun.kernel.send(down)
                    assert await tun.received() == down
                assert dialer.way == f"proxy {proxy} (basic; test)"

    with squid_folder() as folder:
        lines = squid_world.basic(folder)
        with squid(port := free_port(), *lines, folder=folder):
            asyncio.run(scenario(ProxyServer("127.0.0.1", port, ALICE, "test")))


@pytest.mark.lab
def test_squid_that_is_told_a_wrong_password(asking: tuple[ProxyServer, str]) -> None:
    proxy, scheme = asking
    wrong = ProxyServer(proxy.host, proxy.port, replace(ALICE, password="wrong"))
    error = refusal(wrong)
    assert error.problem == "proxy-credentials-refused"
    assert f"{scheme} is refused" in str(error)
    assert refusal(ProxyServer(proxy.host, proxy.port)).problem == "proxy-authentication-required"


@contextlib.asynccontextmanager
async def proxy_that(answer: Answer) -> AsyncIterator[int]:
    """A proxy of our own, for what squid does not do."""
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await answer(reader, writer)
                await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            busy.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port := free_port())
    try:
        yield port
    finally:
        await end_server(server)
        await asyncio.wait_for(asyncio.gather(*busy, return_exceptions=True), PATIENCE)


def error_of(answer: Answer, *, ticket: Ticket = no_ticket, who: Credentials = ALICE) -> str:
    async def run() -> str:
        async with proxy_that(answer) as port:
            with pytest.raises(TransportError) as caught:
                await greeting(ProxyServer("127.0.0.1", port, who), 443, ticket)
            return f"{caught.value.problem}: {caught.value}"

    return asyncio.run(run())


def test_a_proxy_that_hangs_up() -> None:
    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    assert "instead of answering" in error_of(answer)


@pytest.mark.parametrize("hangs", [True, False])
def test_a_proxy_that_says_nothing_is_asked_whether_it_is_there(
    monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(module, "LATE", 0.0)
    told: list[TransportError] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"OPTIONS *" in await reader.readuntil(b"\r\n\r\n") and not hangs:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            await reader.read()

    async def run() -> TransportError:
        async with proxy_that(answer) as port:
            proxy = ProxyServer("127.0.0.1", port)
            with pytest.raises(TransportError) as caught:
                await open_tunnel(proxy, TARGET, 443, dial=Dialer(resolve), on_silent=told.append)
            return caught.value

    # Its answer has time to come, and only then the tunnel's is overdue.
    monkeypatch.setattr(module, "LIFE_TIME", 0.05 if hangs else PATIENCE)
    monkeypatch.setattr("throughway.proto.proxy.connect.ANSWER_TIME", 2.0 if hangs else 0.5)
    error = asyncio.run(run())
    assert error.problem == ("proxy-unreachable" if hangs else "iphttps-port-blocked")
    assert told == ([error] if hangs else [])


def test_a_proxy_that_never_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TUNNEL_TIME", 0.1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.read()

    assert "no tunnel within 0.1 s" in error_of(answer)


def test_a_proxy_that_does_not_wait_for_the_ticket() -> None:
    """It closes while the ticket is made: the next connection begins with the ticket."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if b"Negotiate" in requests[-1]:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await reader.read(1)
            writer.write(b"hello")
        else:
            writer.write(
                b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"
            )

    async def ticket(host: str) -> bytes:
        assert host == "127.0.0.1"
        await asyncio.sleep(0.05)
        return b"ticket"

    async def run() -> bytes:
        async with proxy_that(answer) as port:
            who = Credentials(ticket=True)
            return await greeting(ProxyServer("127.0.0.1", port, who), 443, ticket)

    assert asyncio.run(run()) == b"hello"
    assert len(requests) == 2


def test_no_ticket_says_why() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\n"
            writer.write(head + b"Content-Length: 0\r\n\r\n")

    async def ticket(_host: str) -> bytes:
        raise ThroughwayError("no domain controller answers")

    told = error_of(answer, ticket=ticket, who=Credentials(ticket=True))
    assert told.startswith("proxy-credentials-refused: ")
    assert "no domain controller answers" in told


def test_nobody_listens() -> None:
    error = refusal(ProxyServer("127.0.0.1", free_port()))
    assert (error.problem, error.windows_code) == ("proxy-unreachable", 0x274D)


def test_ends_leave_no_connection() -> None:
    """Cancelling an attempt closes what it has opened; warnings are errors here."""
    heard: list[bytes] = []
    closed: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        closed.append(await reader.read())

    async def run() -> None:
        async with proxy_that(answer) as port:
            task = asyncio.ensure_future(greeting(ProxyServer("127.0.0.1", port), 443))
            await wait_for(lambda: heard)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await wait_for(lambda: closed)

    asyncio.run(run())
    assert closed == [b""]


def test_names_of_proxies() -> None:
    assert str(ProxyServer("proxy.example.com", 3128)) == "proxy.example.com:3128"
    assert str(ProxyServer("2001:db8::1", 3128)) == "[2001:db8::1]:3128"
    assert PASSWORD not in repr(ProxyServer("p", 1, ALICE))
