"""The page about ADCs is true: every configuration on it runs, with the real nginx and HAProxy.

Each brings clients of ours to a gateway, and keeps those away that it must.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import subprocess
import time
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.adc_faults import (
    ADMITTED,
    CLIENTS,
    CONFIGURATIONS,
    OUTCOMES,
    SAID,
    WINDOWS,
    Said,
    said_by_devices,
)
from tests.iphttps_audit import OPENED, Book, Event, refused_as
from tests.net.iphttps_world import (
    CORP,
    NAME,
    PREFIX,
    REJECTED,
    REQUIRED,
    Authority,
    FakeTUN,
    Pair,
    packet,
    wait_for,
)
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.probe.probe_world import codes, look
from tests.proto.iphttps.test_adc import HEADER_FAULTS
from throughway.gateway.credentials import read_credentials
from throughway.gateway.tables import ADCTable, IPHTTPSTable
from throughway.model.config import ADCConfig, Assertion, AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import TransportError
from throughway.model.probing import ProbeSeen
from throughway.net.certificate_judge import CertificateJudge
from throughway.net.dial import Dialer
from throughway.net.iphttps_client import IPHTTPSClient
from throughway.net.iphttps_server import IPHTTPSServer
from throughway.net.tls import client_context, context_of
from throughway.probe.analysis.verdict import judge
from throughway.probe.https import lenient_context
from throughway.probe.lines import plain
from throughway.probe.report import as_lines
from throughway.proto.iphttps.client import State
from throughway.proto.iphttps.http import SIGNED_LENGTH, build_request, parse_url
from throughway.proto.iphttps.server import ClientRefused
from throughway.wire.proxy_protocol import build_v1

pytestmark = pytest.mark.lab
OWN = "2001:db8:da:1000::a"
ROUNDS, LATE, LONGEST, MOST = 30, 20, 0.03, 500
"""Packets each way, and seconds for two of them: who waits for more to send waits 40 ms."""
PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "adc.md").read_text()
URL = f"https://{NAME}/IPHTTPS"
CLIENT_TLS = re.compile(r" ca-file .*$|^ *http-request .*$|^ *ssl_(client_c|verify).*$", re.M)
"""What the page says to leave out without client certificates."""
NAMES_CERTIFICATES = (
    "haproxy http",
    "haproxy tcp",
    "haproxy through",
    "nginx http",
    "nginx through",
)
"""Where the gateway learns whose certificate it is."""


def blocks(heading: str, language: str) -> list[str]:
    section = PAGE.split(f"### {heading}\n", 1)[1]
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@dataclass
class World:
    """An ADC, the gateway behind it, clients before it."""

    name: str
    authority: Authority
    certificates: bool
    port: int = field(default_factory=lambda: free_port("127.0.0.1", "127.0.0.2"))
    behind: int = field(default_factory=lambda: free_port("127.0.0.1", "127.0.0.2"))
    refused: list[ClientRefused] = field(default_factory=list)
    book: Book = field(default_factory=Book)
    server: IPHTTPSServer = field(init=False)
    tun: FakeTUN = field(init=False)
    shown: Pair = field(init=False)
    clients: dict[str, Pair | None] = field(init=False)

    def __post_init__(self) -> None:
        authority = self.authority
        self.shown = authority.issue(NAME)
        self.clients = {
            fault: None
            if fault == "none"
            else authority.client("" if fault == "revoked" else fault)
            for fault in CLIENTS
        }

    def hear(self, refused: ClientRefused) -> None:
        self.refused.append(refused)
        self.book.refused(refused)

    @property
    def config(self) -> IPHTTPSServerConfig:
        heading, _ = CONFIGURATIONS[self.name]
        table = tomllib.loads("".join(blocks(heading, "toml")))["iphttps"]
        told = table["adc"]
        adc = ADCConfig(
            listen=(("127.0.0.1", self.behind),),
            addresses=("127.0.0.1",),
            tls=told.get("tls", False),
            proxy_protocol=told.get("proxy_protocol", True),
            client_certificate=Assertion(told.get("client_certificate", "header")),
        )
        if self.certificates and not adc.tls:
            assert table["authentication"] == "certificates"
        revoked = self.clients["revoked"]
        assert revoked is not None
        mode = AuthenticationMode.CERTIFICATES if self.certificates else AuthenticationMode.NONE
        return IPHTTPSServerConfig(
            url=URL,
            listen=(),
            certificate=self.shown.certificate if adc.tls else None,
            key=self.shown.key if adc.tls else None,
            prefix=PREFIX,
            authentication=mode,
            client_ca=self.authority.root.certificate,
            client_crls=(self.authority.list_revoked(revoked),),
            adc=adc,
        )

    def configuration(self) -> str:
        """Return the page's configuration with this world's addresses and files."""
        heading, program = CONFIGURATIONS[self.name]
        (text,) = blocks(heading, program)
        if not self.certificates:
            text = CLIENT_TLS.sub("", text)
        folder = self.authority.folder
        both = folder / "both.pem"
        both.write_text(self.shown.pem + self.shown.key.read_text())
        for old, new in (
            ("203.0.113.1:443", f"127.0.0.1:{self.port}"),
            ("10.0.0.2:8080", f"127.0.0.1:{self.behind}"),
            ("/etc/haproxy/da.example.com.pem", both),
            ("/etc/haproxy/clients-ca.crt", self.authority.root.certificate),
            ("/etc/nginx/da.example.com.crt", self.shown.certificate),
            ("/etc/nginx/da.example.com.key", self.shown.key),
            ("/etc/nginx/clients-ca.crt", self.authority.root.certificate),
        ):
            text = text.replace(old, str(new))
        assert "/etc/" not in text
        return text

    async def connect(self, fault: str) -> TransportError | None:
        """Let a client try; return None when its link is up, else its first error for good."""
        pair = self.clients[fault]
        keys = {"certificate": pair.certificate, "key": pair.key} if pair else {}
        errors: list[TransportError] = []

        async def dial(host: str, _port: int) -> socket.socket:
            async def resolve(_: str) -> tuple[str, ...]:
                return ("127.0.0.1",)

            return await Dialer(resolve)(host, self.port)

        tun = FakeTUN()
        client = IPHTTPSClient(
            URL,
            tun,
            dial=dial,
            tls=client_context(anchors=[self.authority.root.pem], system=False, **keys),
            on_state=lambda _, error: errors.append(error) if error is not None else None,
        )
        client.start()
        # nginx in http mode refuses what Windows sends, and is asked otherwise.
        enough = 2 if self.name == "nginx http" else 1
        try:
            await wait_for(lambda: client.state is State.LINK_UP or len(errors) >= enough)
            if client.state is not State.LINK_UP:
                return errors[-1]
            for _ in range(2):
                await tun.received()  # Router Advertisements
            await self.exchange(tun)
            if self.name in NAMES_CERTIFICATES and self.certificates:
                (session,) = self.server.sessions()
                assert "client1.corp.example.com" in session.certificate
                assert session.fingerprint
            return None
        finally:
            await client.close()
            tun.close()
            await wait_for(lambda: not self.server.sessions())

    async def exchange(self, tun: FakeTUN) -> None:
        """Each packet comes through at once, by itself: nothing on the way waits for more."""
        took: list[float] = []
        # What waits for more does so again and again; a busy machine has a quick one among them.
        while len(took) < ROUNDS or (min(took[LATE:]) >= LONGEST and len(took) < MOST):
            number = len(took) % ROUNDS
            begin = time.monotonic()
            up = packet(OWN, CORP, bytes((number,)) * (number * 40))
            tun.kernel.send(up)
            assert await self.tun.received() == up
            down = packet(CORP, OWN, bytes((number,)) * (number * 40))
            self.tun.kernel.send(down)
            assert await tun.received() == down
            took.append(time.monotonic() - begin)
        assert min(took[LATE:]) < LONGEST


@contextlib.contextmanager
def running(world: World) -> Iterator[None]:
    """Run the ADC until it listens."""
    text, folder = world.configuration(), world.authority.folder
    file = folder / "adc.conf"
    if CONFIGURATIONS[world.name][1] == "haproxy":
        file.write_text(text)
        command = ["haproxy", "-db", "-f", str(file)]
    else:
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        own = "".join(f"{path}_temp_path {folder}/{path};\n" for path in paths)
        text = text.replace("http {\n", f"http {{\naccess_log off;\n{own}")
        module = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
        stream = module if "stream {" in text else ""
        file.write_text(
            f"{stream}daemon off;\nuser root;\npid {folder}/pid;\nevents {{}}\n"
            f"error_log {folder}/error.log;\n{text}"
        )
        command = ["nginx", "-e", f"{folder}/error.log", "-c", str(file)]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            while not listens(world.port):
                assert process.poll() is None, (folder / "said").read_text()
            yield
        finally:
            process.terminate()
            process.wait()


def listens(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), PATIENCE),
    ):
        return True
    return False


@contextlib.asynccontextmanager
async def serving(world: World) -> AsyncIterator[IPHTTPSServer]:
    config = world.config
    credentials = read_credentials(config, "gateway.toml")
    world.tun = tun = FakeTUN("gateway")
    world.server = IPHTTPSServer(
        config,
        tun,
        tls=context_of(credentials),
        judge=CertificateJudge(credentials),
        on_opened=world.book.audit.session_opened,
        on_refused=world.hear,
    )
    world.server.start()
    try:
        yield world.server
    finally:
        await world.server.close()
        tun.close()


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_every_key_on_the_page_is_one(block: str) -> None:
    table = tomllib.loads(block)["iphttps"]
    adc = table.pop("adc", {})
    assert table.keys() <= IPHTTPSTable.model_fields.keys()
    assert adc.keys() <= ADCTable.model_fields.keys()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_clients_come_through(name: str, tmp_path: Path) -> None:
    world = World(name, Authority(tmp_path), certificates=False)

    async def scenario() -> None:
        async with serving(world) as server:
            with running(world):
                for fault in ("", "none"):
                    assert await world.connect(fault) is None
                if name == "nginx http":
                    return
                # Limits see the client's own address: here it is the ADC's as well.
                server.machine.limits = replace(server.machine.limits, max_sessions_per_source=0)

    asyncio.run(scenario())
    assert world.refused == []


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_only_clients_with_a_good_certificate_come_through(name: str, tmp_path: Path) -> None:
    world = World(name, Authority(tmp_path), certificates=True)
    outcomes: dict[str, tuple[str, str]] = {}
    written: dict[str, list[Event]] = {}

    async def scenario() -> None:
        async with serving(world):
            with running(world):
                for fault in CLIENTS:
                    world.refused.clear()
                    world.book.take()
                    error = await world.connect(fault)
                    written[fault] = world.book.take()
                    codes = {refused.problem for refused in world.refused}
                    said = "admitted" if error is None else error.problem
                    outcomes[fault] = said, "".join(codes)
                    if error is not None and error.problem in (REQUIRED, REJECTED):
                        assert error.windows_code == WINDOWS[fault]

    asyncio.run(scenario())
    assert written == {
        fault: OPENED if outcome == ADMITTED else refused_as(outcome[1])
        for fault, outcome in outcomes.items()
    }
    assert outcomes.pop("") == ADMITTED
    assert outcomes == OUTCOMES[name]


@pytest.mark.parametrize("name", ["haproxy http", "haproxy tcp", "nginx http"])
def test_nobody_passes_for_another_by_headers(name: str, tmp_path: Path) -> None:
    """Without a certificate, but with the headers of somebody who has one."""
    world = World(name, Authority(tmp_path), certificates=True)
    good = world.clients[""]
    assert good is not None
    claim = b64encode(ssl.PEM_cert_to_DER_cert(good.pem)).decode()
    url = parse_url(URL)
    request = build_request(url, length=SIGNED_LENGTH).decode().removesuffix("\r\n")
    forged = request + f"X-SSL-Client-Cert: {claim}\r\nX-SSL-Client-Verify: SUCCESS\r\n" * 2

    def ask() -> bytes:
        context = client_context(anchors=[world.authority.root.pem], system=False)
        raw = socket.create_connection(("127.0.0.1", world.port), timeout=PATIENCE)
        with context.wrap_socket(raw, server_hostname=NAME) as sock:
            sock.sendall(f"{forged}\r\n".encode())
            return sock.recv(65536)

    async def scenario() -> None:
        async with serving(world):
            with running(world):
                answer = await asyncio.to_thread(ask)
                assert answer.startswith(b"HTTP/1.1 403 ")
                await wait_for(lambda: world.refused)

    asyncio.run(scenario())
    assert [refused.problem for refused in world.refused] == ["iphttps-client-cert-none"]


def proxied(kind: str) -> bytes:
    """Return a PROXY header of a client at 192.0.2.7."""
    text = build_v1("192.0.2.7", 4711, "192.0.2.1", 443)
    if kind == "v2":
        addresses = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1")
        ports = struct.pack(">HH", 4711, 443)
        return b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + addresses + ports
    return {"": b"", "v1": text, "cut": text[:20] + b"\r\n"}[kind]


@dataclass
class Device:
    """A gateway that believes 127.0.0.1, and has a port of its own beside."""

    world: World
    port: int = field(default_factory=lambda: free_port("127.0.0.1"))
    own: int = field(default_factory=lambda: free_port("127.0.0.1"))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        world, authority = self.world, self.world.authority
        revoked = world.clients["revoked"]
        assert revoked is not None
        config = IPHTTPSServerConfig(
            url=URL,
            listen=(("127.0.0.1", self.own),),
            certificate=world.shown.certificate,
            key=world.shown.key,
            prefix=PREFIX,
            authentication=AuthenticationMode.CERTIFICATES,
            client_ca=authority.root.certificate,
            client_crls=(authority.list_revoked(revoked),),
            adc=ADCConfig(listen=(("127.0.0.1", self.port),), addresses=("127.0.0.1",)),
        )
        credentials = read_credentials(config, "gateway.toml")
        world.tun = FakeTUN("gateway")
        server = IPHTTPSServer(
            config,
            world.tun,
            tls=context_of(credentials),
            judge=CertificateJudge(credentials),
            on_opened=world.book.audit.session_opened,
            on_refused=world.book.refused,
        )
        server.start()
        try:
            yield
        finally:
            await server.close()
            world.tun.close()

    def headers(self, said: Said) -> dict[str, tuple[str, ...]]:
        if not said.claims:
            return {}
        key = "" if said.claims == "good" else said.claims
        pair = self.world.clients[key]
        assert pair is not None
        claim = b64encode(ssl.PEM_cert_to_DER_cert(pair.pem)).decode()
        if said.verify == "SUCCESS":
            claim = quote(pair.pem, safe="")
        return {"X-SSL-Client-Cert": (claim,), "X-SSL-Client-Verify": (said.verify,)}

    def say(self, said: Said, headers: Mapping[str, tuple[str, ...]]) -> bytes:
        """Say it; return what is answered first."""
        port = self.own if said.own else self.port
        lines = [f"{name}: {value}\r\n" for name, values in headers.items() for value in values]
        request = build_request(parse_url(URL)).decode().removesuffix("\r\n")
        data = proxied(said.proxy) + f"{request}{''.join(lines)}\r\n".encode()
        raw = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE, source_address=(said.source, 0)
        )
        try:
            if said.own:
                raw = self.secured(raw)
            raw.sendall(data)
            return raw.recv(65536)
        except ConnectionError:
            return b""
        finally:
            raw.close()

    def secured(self, raw: socket.socket) -> socket.socket:
        """Speak TLS, with a good certificate of client1's own."""
        good = self.world.clients[""]
        assert good is not None
        context = client_context(
            anchors=[self.world.authority.root.pem],
            system=False,
            certificate=good.certificate,
            key=good.key,
        )
        return context.wrap_socket(raw, server_hostname=NAME)


def written_to(found: list[Event], book: Book) -> bool:
    found += book.take()
    return bool(found)


def test_who_is_believed_beside_a_device(tmp_path: Path) -> None:
    device = Device(World("haproxy http", Authority(tmp_path), certificates=True))
    book = device.world.book
    cases = {name: (said, device.headers(said)) for name, said in SAID.items()}
    cases |= {f"headers: {name}": (Said(), told) for name, (told, _) in HEADER_FAULTS.items()}
    written: dict[str, list[Event]] = {}

    async def scenario() -> None:
        async with device.serving():
            for name, (said, headers) in cases.items():
                answer = await asyncio.to_thread(device.say, said, headers)
                found: list[Event] = []
                await wait_for(partial(written_to, found, book))
                written[name] = found
                believed = answer.startswith(b"HTTP/1.1 200 ")
                assert believed is (written[name] == OPENED), (name, answer)

    asyncio.run(scenario())
    codes = said_by_devices()
    assert written == {n: refused_as(code) if code else OPENED for n, code in codes.items()}


DENY = "    http-request deny unless { ssl_c_used }\n    default_backend gateway"
PROBED = {
    "the gateway refuses": ("haproxy http", {}),
    "HAProxy refuses": ("haproxy http", {"    default_backend gateway": DENY}),
    "HAProxy refuses, TLS 1.3": (
        "haproxy http",
        {"    default_backend gateway": DENY, "TLSv1.2": "TLSv1.3"},
    ),
    "the gateway behind nginx refuses": ("nginx http", {}),
    "nginx refuses": ("nginx http", {"optional_no_ca": "on"}),
}
"""Who demands the certificate, and what of the page's configuration is otherwise for that."""


@pytest.mark.parametrize("who", PROBED)
def test_the_probe_says_that_a_certificate_is_wanted(who: str, tmp_path: Path) -> None:
    name, changes = PROBED[who]

    class Changed(World):
        @property
        def config(self) -> IPHTTPSServerConfig:
            # HAProxy passes the port on that was asked for.
            return replace(super().config, url=f"https://{NAME}:{self.port}/IPHTTPS")

        def configuration(self) -> str:
            text = super().configuration()
            for old, new in changes.items():
                assert old in text
                text = text.replace(old, new)
            return text

    world = Changed(name, Authority(tmp_path), certificates=True)

    async def probe(fault: str) -> ProbeSeen:
        pair = world.clients[fault]
        tls = lenient_context(pair.certificate, pair.key) if pair is not None else None
        return await look(world.port, tls=tls, revocation=False)

    async def scenario() -> None:
        async with serving(world):
            with running(world):
                seen = await probe("none")
                assert "iphttps-client-cert-required" in codes(seen)
                text = "\n".join(plain(as_lines(seen, judge(seen))))
                assert "--certificate FILE --key FILE" in text
                assert "iphttps-client-cert-rejected" in codes(await probe("expired"))
                seen = await probe("")
                assert seen.http[0].accepted
                assert seen.http[0].shorter_length is (name == "nginx http")

    asyncio.run(scenario())
