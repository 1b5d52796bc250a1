"""One worker process, ordered about by hand."""

import asyncio
import contextlib
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.gateway.test_channel import CONFIG
from tests.net.iphttps_world import CORP, NAME, Authority, FakeTUN, packet, wait_for
from tests.null_suites import NULL, OFFERS
from tests.patience import PATIENCE
from throughway.gateway.channel import (
    Ask,
    Change,
    Channel,
    Closed,
    DropAll,
    Failed,
    Message,
    Opened,
    Ready,
    Refused,
    Report,
    Serve,
    Sessions,
    Stop,
    pair,
)
from throughway.gateway.worker import REFUSAL_BURST, REFUSAL_RATE
from throughway.model.config import ADCConfig, AuthenticationMode
from throughway.model.errors import TransportError
from throughway.net.iphttps_client import IPHTTPSClient
from throughway.net.listeners import listen
from throughway.net.tls import Credentials, client_context
from throughway.proto.iphttps.client import State
from throughway.proto.iphttps.http import build_request, parse_url
from throughway.wire.proxy_protocol import build_v1

OWN = "2001:db8:da:1000::a"


@dataclass
class Process:
    """A worker and what it has said."""

    process: "subprocess.Popen[bytes]"
    channel: Channel
    order: Serve
    tun: FakeTUN
    authority: Authority
    port: int
    heard: list[Message] = field(default_factory=list)

    async def dial(self, _host: str, _port: int) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        return sock

    async def hear(self, kind: type[Message]) -> Message:
        await wait_for(lambda: any(isinstance(m, kind) for m in self.heard))
        return next(m for m in self.heard if isinstance(m, kind))

    async def counted(self, refusal: str, count: int) -> None:
        """Wait until it has refused so many; who was refused may hear it before it is counted."""
        async with asyncio.timeout(PATIENCE):
            for number in itertools.count(1):
                self.heard[:] = [m for m in self.heard if not isinstance(m, Report)]
                self.channel.send(Ask(number, sessions=False))
                report = await self.hear(Report)
                assert isinstance(report, Report)
                found = dict(report.totals.refusals).get(refusal, 0)
                assert found <= count
                if found == count:
                    return

    async def code(self) -> int:
        await wait_for(lambda: self.process.poll() is not None)
        return self.process.wait()


@asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[Process]:
    authority = Authority(folder)
    issued = authority.issue(NAME)
    (listener,) = listen([("127.0.0.1", 0)])
    tun = FakeTUN("iphttps0")
    ours, theirs = pair()
    descriptors = (theirs.fileno(), tun.fd, listener.fileno())
    process = subprocess.Popen(  # noqa: ASYNC220 (it takes a millisecond)
        [sys.executable, "-m", "throughway.gateway.worker", str(theirs.fileno())],
        pass_fds=descriptors,
        stderr=subprocess.PIPE,
    )
    theirs.close()
    order = Serve(
        config=replace(
            CONFIG, prefix="2001:db8:da:1000::/64", authentication=AuthenticationMode.NONE
        ),
        credentials=Credentials(certificate=issued.pem, key=issued.key.read_text()),
        routes=(),
        interface="iphttps0",
        udp=True,
        tun=tun.fd,
        listeners=(listener.fileno(),),
    )
    heard: list[Message] = []
    channel, port = Channel(ours, heard.append, lambda: None), listener.getsockname()[1]
    made = Process(process, channel, order, tun, authority, port, heard)
    try:
        yield made
    finally:
        made.channel.close()
        process.kill()
        _, said = process.communicate()
        tun.close()
        listener.close()
    assert b"Traceback" not in said


def play(folder: Path, scenario: Callable[[Process], Awaitable[None]]) -> None:
    async def run() -> None:
        async with worker(folder) as made:
            await scenario(made)

    asyncio.run(run())


def test_it_serves_reports_and_stops(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        ready = await one.hear(Ready)
        assert isinstance(ready, Ready)
        assert ready.pump.partition(":")[0] in ("native", "pure")
        one.channel.send(DropAll("nobody is there"))
        one.channel.send(Ask(5, sessions=True))
        report = await one.hear(Report)
        assert isinstance(report, Report)
        assert (report.number, report.state, report.count) == (5, "listen", 0)
        one.channel.send(Stop())
        assert await one.code() == 0

    play(tmp_path, scenario)


def test_what_ends_a_terminal_s_programs_does_not_end_it(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        await one.hear(Ready)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(one.process.pid, number)
        one.channel.send(Ask(1, sessions=False))
        await one.hear(Report)
        one.channel.close()
        assert await one.code() == 1

    play(tmp_path, scenario)


@pytest.mark.parametrize("key", ["", "no key"])
def test_a_first_order_that_cannot_be_obeyed_ends_it(tmp_path: Path, key: str) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(replace(one.order, credentials=replace(one.order.credentials, key=key)))
        failed = await one.hear(Failed)
        assert isinstance(failed, Failed)
        assert failed.fatal
        assert "certificate" in failed.error
        assert await one.code() == 1

    play(tmp_path, scenario)


def test_it_ends_when_its_device_is_deleted(tmp_path: Path) -> None:
    """It would be readable without end, and every read would fail."""

    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        await one.hear(Ready)
        os.write(one.tun.fd, b"never read")
        one.tun.kernel.close()  # with something unread: an error for the next who reads
        failed = await one.hear(Failed)
        assert isinstance(failed, Failed)
        assert failed.fatal
        assert "the interface iphttps0 is gone" in failed.error
        assert await one.code() == 1

    play(tmp_path, scenario)


def test_a_later_one_leaves_it_as_it_was(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(one.order)
        await one.hear(Ready)
        wrong = replace(one.order.credentials, certificate="nothing")
        one.channel.send(Change(config=one.order.config, credentials=wrong))
        failed = await one.hear(Failed)
        assert isinstance(failed, Failed)
        assert not failed.fatal
        one.channel.send(Ask(1, sessions=False))
        await one.hear(Report)

    play(tmp_path, scenario)


def with_null_suites(one: Process, folder: Path, *, allowed: bool = True) -> Serve:
    """Give it a second certificate, for who offers nothing but NULL suites."""
    pair = one.authority.issue(NAME, by_rsa=True)
    credentials = replace(
        one.order.credentials, rsa_certificate=pair.pem, rsa_key=pair.key.read_text()
    )
    config = replace(one.order.config, null_suites=allowed)
    return replace(one.order, config=config, credentials=credentials)


async def openssl(one: Process, *words: str) -> str:
    """Return the suite that openssl s_client gets, "" where there is none."""
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{one.port}", "-servername", NAME, *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    found = re.search(r"^New, (.+), Cipher is (.+)$", said.decode(), re.MULTILINE)
    assert found is not None, said
    return "" if found[2] == "(NONE)" else found[2]


def test_only_who_offers_nothing_else_gets_no_encryption(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(with_null_suites(one, tmp_path, allowed=False))
        await one.hear(Ready)
        got = {name: await openssl(one, *offer.words) for name, offer in OFFERS.items()}
        assert got == {name: offer.otherwise for name, offer in OFFERS.items()}
        assert await refused_without(one) == "iphttps-tls-handshake-failed"
        allowed = with_null_suites(one, tmp_path)
        one.channel.send(Change(config=allowed.config, credentials=allowed.credentials))
        one.channel.send(Ask(1, sessions=False))
        await one.hear(Report)
        got = {name: await openssl(one, *offer.words) for name, offer in OFFERS.items()}
        assert got == {name: offer.allowed for name, offer in OFFERS.items()}

    play(tmp_path, scenario)


async def refused_without(one: Process) -> str:
    """Let a client of ours ask for NULL suites alone; return what it says."""
    errors: list[Exception] = []
    tun = FakeTUN()
    client = IPHTTPSClient(
        f"https://{NAME}/IPHTTPS",
        tun,
        dial=one.dial,
        tls=null_client(one),
        on_state=lambda _, error: errors.append(error) if error is not None else None,
    )
    client.start()
    await wait_for(lambda: errors)
    await client.close()
    tun.close()
    assert isinstance(errors[0], TransportError)
    return errors[0].problem


def null_client(one: Process) -> ssl.SSLContext:
    tls = client_context(anchors=[one.authority.root.pem], system=False)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers(f"{NULL}:@SECLEVEL=0")
    return tls


def test_packets_cross_without_encryption(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        one.channel.send(with_null_suites(one, tmp_path))
        await one.hear(Ready)
        tun = FakeTUN()
        tls = null_client(one)
        client = IPHTTPSClient(f"https://{NAME}/IPHTTPS", tun, dial=one.dial, tls=tls)
        client.start()
        await wait_for(lambda: client.state is State.LINK_UP)
        for _ in range(2):
            await tun.received()  # Router Advertisements
        for number in range(50):
            up = packet(OWN, CORP, bytes((number,)) * 1200)
            tun.kernel.send(up)
            assert await one.tun.received() == up
            down = packet(CORP, OWN, bytes((number,)) * 1200)
            one.tun.kernel.send(down)
            assert await tun.received() == down
        assert client.status().tls == "TLSv1.2 NULL-SHA256"
        one.channel.send(Ask(7, sessions=True))
        report, told = await one.hear(Report), await one.hear(Sessions)
        assert isinstance(report, Report)
        assert isinstance(told, Sessions)
        assert report.suites == (("TLSv1.2 NULL-SHA256", 1),)
        assert [session.suite for session in told.sessions] == ["TLSv1.2 NULL-SHA256"]
        credentials = one.order.credentials
        one.channel.send(Change(config=one.order.config, credentials=credentials))
        closed = await one.hear(Closed)
        assert isinstance(closed, Closed)
        assert closed.reason == "NULL suites are not allowed any more"
        await client.close()
        tun.close()

    play(tmp_path, scenario)


def test_a_flood_of_refused_clients_is_told_in_part(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        credentials = replace(one.order.credentials, client_ca=one.authority.root.pem)
        config = replace(one.order.config, authentication=AuthenticationMode.CERTIFICATES)
        one.channel.send(replace(one.order, config=config, credentials=credentials))
        await one.hear(Ready)
        tls = client_context(anchors=[one.authority.root.pem], system=False)

        def knock() -> None:
            for _ in range(REFUSAL_BURST + 10):
                raw = socket.create_connection(("127.0.0.1", one.port))
                with contextlib.suppress(OSError), tls.wrap_socket(raw, server_hostname=NAME) as s:
                    s.recv(1)

        began = time.monotonic()
        await asyncio.to_thread(knock)
        await one.counted("certificate", REFUSAL_BURST + 10)
        told = [message for message in one.heard if isinstance(message, Refused)]
        more = 1 + REFUSAL_RATE * (time.monotonic() - began)
        assert REFUSAL_BURST <= len(told) <= REFUSAL_BURST + more
        assert {refused.problem for refused in told} == {"iphttps-client-cert-none"}

    play(tmp_path, scenario)


def test_an_adc_is_believed_as_far_as_its_certificates_are_good(tmp_path: Path) -> None:
    async def scenario(one: Process) -> None:
        """Plain HTTP with a PROXY header before it, from the only address that may."""
        good, bad = one.authority.client(), one.authority.client("untrusted")
        adc = ADCConfig(listen=(("127.0.0.1", one.port),), addresses=("127.0.0.1/32",))
        asked = AuthenticationMode.CERTIFICATES
        config = replace(one.order.config, listen=(), adc=adc, authentication=asked)
        lists = one.authority.list_revoked().read_text()
        credentials = Credentials(client_ca=one.authority.root.pem, client_crls=lists)
        one.channel.send(replace(one.order, config=config, credentials=credentials))
        await one.hear(Ready)
        for shown, status in ((good, b"200 OK"), (bad, b"403 Forbidden")):
            claim = b64encode(ssl.PEM_cert_to_DER_cert(shown.pem)).decode()
            words = f"X-SSL-Client-Cert: {claim}\r\nX-SSL-Client-Verify: 0\r\n\r\n"
            request = build_request(parse_url(config.url)).removesuffix(b"\r\n")
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(build_v1("192.0.2.7", 4711, "192.0.2.1", 443) + request + words.encode())
            assert (await reader.readline()).split(maxsplit=1)[1].strip() == status
            writer.transport.abort()
        opened, refused = await one.hear(Opened), await one.hear(Refused)
        assert isinstance(opened, Opened)
        assert isinstance(refused, Refused)
        assert opened.session.certificate == "CN=client1.corp.example.com"
        assert opened.session.peer == refused.peer == "192.0.2.7:4711"
        assert refused.problem == "iphttps-client-cert-untrusted"
        assert refused.reason.startswith("CN=client1.corp.example.com: it does not lead to")

    play(tmp_path, scenario)
