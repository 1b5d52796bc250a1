"""Who connects where, and what each hears: the ADC, and who claims to be it or another."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.gateway.test_channel import CONFIG
from tests.net.iphttps_world import NAME, PREFIX, Authority, FakeTUN, wait_for
from tests.patience import PATIENCE
from throughway.model.config import ADCConfig, AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import TransportError
from throughway.net.certificate_judge import CertificateJudge
from throughway.net.iphttps_server import IPHTTPSServer, tls_context
from throughway.net.listeners import endpoints_of, is_adc, listen, source_of
from throughway.net.tls import Credentials, client_context
from throughway.proto.iphttps.http import build_request, parse_url
from throughway.proto.iphttps.server import ClientRefused, Refusal
from throughway.wire.proxy_protocol import build_v1

ADC = ADCConfig(listen=(("10.0.0.1", 8080),), addresses=("10.0.0.0/29", "2001:db8::5/128"))


def test_the_adc_has_addresses_of_its_own() -> None:
    assert endpoints_of(replace(CONFIG, adc=None)) == CONFIG.listen
    assert endpoints_of(replace(CONFIG, adc=ADC)) == (*CONFIG.listen, ("10.0.0.1", 8080))


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("2001:db8::5", True),
        ("2001:db8::6", False),
        ("fe80::1%eth0", False),
    ],
)
def test_only_what_is_configured_is_the_adc(address: str, known: bool) -> None:
    assert is_adc(replace(CONFIG, adc=ADC), address) is known
    assert not is_adc(replace(CONFIG, adc=None), address)


def test_hosts_of_ipv6_have_a_whole_64() -> None:
    assert source_of("192.0.2.1") == "192.0.2.1"
    assert source_of("2001:db8::1:2:3:4") == "2001:db8::/64"
    assert source_of("fe80::1%eth0") == "fe80::/64"


def test_an_address_that_cannot_be_had_leaves_nothing_open() -> None:
    (taken,) = listen([("127.0.0.1", 0)])
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"port {port}"):
            listen([("127.0.0.1", 0), ("127.0.0.1", port)])


URL = parse_url(f"https://{NAME}/IPHTTPS")
REQUEST = build_request(URL)
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
FORGED = REQUEST[:-2] + b"X-SSL-Client-Verify: SUCCESS\r\n\r\n"


@dataclass
class Gate:
    """A gateway with an address for clients and one for the ADC, which is 127.0.0.1."""

    server: IPHTTPSServer
    authority: Authority
    refused: list[ClientRefused]
    sockets: list[socket.socket] = field(default_factory=list)

    async def ask(self, data: bytes, *, whence: str = "127.0.0.1", tls: bool = False) -> bytes:
        """Connect, say something, and return the first words of the answer."""
        address = self.server.addresses[0 if tls else -1]
        return await asyncio.to_thread(self._ask, address, data, whence, tls=tls)

    def _ask(self, address: tuple[str, int], data: bytes, whence: str, *, tls: bool) -> bytes:
        sock = socket.create_connection(address, timeout=PATIENCE, source_address=(whence, 0))
        if tls:
            context = client_context(anchors=[self.authority.root.pem], system=False)
            sock = context.wrap_socket(sock, server_hostname=NAME)
        self.sockets.append(sock)
        try:
            sock.sendall(data)
            return sock.recv(4096)
        except (ConnectionError, ssl.SSLError):
            return b""

    def codes(self) -> list[str]:
        return [refused.problem for refused in self.refused]


@contextlib.asynccontextmanager
async def gate(
    folder: Path, *, proxy: bool = True, asked: bool = False, alone: bool = False
) -> AsyncIterator[Gate]:
    authority = Authority(folder)
    pair = authority.issue(NAME)
    mode = AuthenticationMode.CERTIFICATES if asked else AuthenticationMode.NONE
    adc = ADCConfig(listen=(("127.0.0.1", 0),), addresses=("127.0.0.1",), proxy_protocol=proxy)
    config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("127.0.0.1", 0),),
        certificate=pair.certificate,
        key=pair.key,
        prefix=PREFIX,
        authentication=mode,
        client_ca=authority.root.certificate,
        max_sessions_per_source=2,
        adc=adc,
    )
    if alone:
        config = replace(config, listen=(), certificate=None, key=None)
    tun = FakeTUN()
    refused: list[ClientRefused] = []
    judge = CertificateJudge(Credentials(client_ca=authority.root.pem))
    server = IPHTTPSServer(
        config,
        tun,
        tls=None if alone else tls_context(config),
        judge=judge,
        on_refused=refused.append,
    )
    server.start()
    made = Gate(server, authority, refused)
    try:
        yield made
    finally:
        for sock in made.sockets:
            sock.close()
        await server.close()
        tun.close()


def play(folder: Path, scenario: Callable[[Gate], Awaitable[None]], **how: bool) -> None:
    async def run() -> None:
        async with gate(folder, **how) as made:
            await scenario(made)

    asyncio.run(run())


def from_client(address: str, data: bytes = REQUEST) -> bytes:
    gateway = "2001:db8::1" if ":" in address else "192.0.2.1"
    return build_v1(address, 4711, gateway, 443) + data


@pytest.mark.parametrize("alone", [False, True])
def test_limits_see_the_client_s_own_address(alone: bool, tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "2001:db8:1:2::3"):
            assert (await made.ask(from_client(address))).startswith(b"HTTP/1.1 200 ")
        assert (await made.ask(from_client("192.0.2.7"))).startswith(b"HTTP/1.1 503 ")
        peers = [session.peer for session in made.server.sessions()]
        assert peers == ["192.0.2.7:4711"] * 2 + ["192.0.2.8:4711", "[2001:db8:1:2::3]:4711"]
        assert made.server.refusals[Refusal.SOURCE_LIMIT] == 1

    play(tmp_path, scenario, alone=alone)


def test_half_open_connections_of_one_client_push_out_their_own(tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        halves = [asyncio.create_task(made.ask(from_client("192.0.2.7", b"P"))) for _ in range(3)]
        await wait_for(lambda: made.server.refusals[Refusal.SOURCE_LIMIT] == 1)
        assert (await made.ask(from_client("192.0.2.8"))).startswith(b"HTTP/1.1 200 ")
        for sock in made.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        await asyncio.gather(*halves)

    play(tmp_path, scenario)


def test_without_a_proxy_header_nobody_counts_and_nobody_is_one_too_many(tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        for _ in range(4):
            assert (await made.ask(REQUEST)).startswith(b"HTTP/1.1 200 ")

    play(tmp_path, scenario, proxy=False)


def test_a_stranger_is_turned_away(tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        assert await made.ask(from_client("192.0.2.7"), whence="127.0.0.2") == b""
        assert made.codes() == ["iphttps-adc-stranger"]
        assert made.refused[0].peer.startswith("127.0.0.2:")
        assert made.server.refusals[Refusal.ADC] == 1

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "data", [REQUEST, b"PROXY TCP4 a b c d\r\n" + REQUEST, LOCAL[:12] + b"!!!!"]
)
def test_a_connection_without_its_header_is_refused(data: bytes, tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        assert await made.ask(data) == b""
        assert made.codes() == ["iphttps-adc-header-missing"]
        assert made.server.refusals[Refusal.ADC] == 1

    play(tmp_path, scenario)


@pytest.mark.parametrize("data", [b"", LOCAL])
def test_a_health_check_is_no_event(data: bytes, tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        with socket.create_connection(made.server.addresses[1]) as sock:
            sock.sendall(data)
        await wait_for(lambda: made.server.refusals[Refusal.CLOSED] == 1)
        assert made.codes() == []

    play(tmp_path, scenario)


@pytest.mark.parametrize("asked", [False, True])
def test_a_client_that_says_it_of_itself_is_refused(asked: bool, tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        if asked:  # then it does not get as far as its request
            await made.ask(FORGED, tls=True)
            await wait_for(lambda: made.codes() == ["iphttps-client-cert-none"])
            return
        answer = await made.ask(FORGED, tls=True)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Throughway-Refusal: iphttps-adc-header-forged only an ADC may send" in answer
        assert made.codes() == ["iphttps-adc-header-forged"]

    play(tmp_path, scenario, asked=asked)


def test_what_is_there_twice_is_refused(tmp_path: Path) -> None:
    async def scenario(made: Gate) -> None:
        twice = (
            REQUEST[:-2] + b"X-SSL-Client-Verify: 0\r\n" * 2 + b"X-SSL-Client-Cert: AA==\r\n\r\n"
        )
        answer = await made.ask(from_client("192.0.2.7", twice))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert made.codes() == ["iphttps-adc-header-forged"]

    play(tmp_path, scenario, asked=True)
