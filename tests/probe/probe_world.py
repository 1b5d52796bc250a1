"""Servers on loopback of every kind that a probe may meet, and certificates to fit."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.net.iphttps_world import NAME, PREFIX, FakeTUN, end_server
from tests.ports import free_port
from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.probing import ProbeSeen
from throughway.net.iphttps_server import IPHTTPSServer, tls_context
from throughway.net.tls import null_context
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.probe.analysis.verdict import judge
from throughway.probe.course import Course, Options
from throughway.probe.target import parse_target

NOW = datetime.now(UTC).replace(microsecond=0)
HOME = "127.0.0.1"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
RSA_KEY = rsa.generate_private_key(65537, 2048)
"""Made once: it takes long."""


@dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return build_certificate_pem(self.certificate)


def make(
    subject: str,
    issuer: Made | None = None,
    *,
    ca: bool = False,
    names: Sequence[str] = (),
    key: Key | None = None,
    begins: timedelta = timedelta(days=-10),
    ends: timedelta = timedelta(days=300),
    crl: Sequence[str] = (),
    delta: Sequence[str] = (),
    ocsp: Sequence[str] = (),
    issuers: Sequence[str] = (),
    client: bool = False,
) -> Made:
    """Issue whatever a test needs; without an issuer it signs itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternative, critical=False)
    if crl:
        builder = builder.add_extension(x509.CRLDistributionPoints(_points(crl)), critical=False)
    if delta:
        builder = builder.add_extension(x509.FreshestCRL(_points(delta)), critical=False)
    access = [(AuthorityInformationAccessOID.OCSP, url) for url in ocsp]
    access += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in issuers]
    if access:
        described = [
            x509.AccessDescription(how, x509.UniformResourceIdentifier(url)) for how, url in access
        ]
        builder = builder.add_extension(x509.AuthorityInformationAccess(described), critical=False)
    return Made(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _points(urls: Sequence[str]) -> list[x509.DistributionPoint]:
    return [
        x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
        for url in urls
    ]


def make_crl(
    issuer: Made,
    revoked: Sequence[Made] = (),
    *,
    ends: timedelta = timedelta(days=5),
    delta: Sequence[str] = (),
    base: int | None = None,
) -> bytes:
    """Return a CRL, DER; with ``base`` a delta CRL."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - timedelta(days=9))
        .next_update(NOW + ends)
        .add_extension(x509.CRLNumber(7), critical=False)
    )
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    if delta:
        builder = builder.add_extension(x509.FreshestCRL(_points(delta)), critical=False)
    for each in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(each.certificate.serial_number)
            .revocation_date(NOW - timedelta(days=1))
            .build()
        )
        builder = builder.add_revoked_certificate(entry)
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def write(folder: Path, leaf: Made, *chain: Made) -> tuple[Path, Path]:
    """Write a certificate with what is sent behind it, and its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(b"".join(each.pem for each in (leaf, *chain)))
    key.touch(mode=0o600)
    key.write_bytes(build_key_pem(leaf.key))
    return certificate, key


@contextlib.asynccontextmanager
async def gateway(
    files: tuple[Path, Path],
    *,
    client_ca: Path | None = None,
    routes: Sequence[str] = (),
    null: tuple[Path, Path] | None = None,
) -> AsyncIterator[int]:
    """Run the product's own server; give its port."""
    mode = AuthenticationMode.CERTIFICATES if client_ca else AuthenticationMode.NONE
    port = free_port(HOME)
    config = IPHTTPSServerConfig(
        url=f"https://{NAME}:{port}/IPHTTPS",
        listen=((HOME, port),),
        certificate=files[0],
        key=files[1],
        prefix=PREFIX,
        authentication=mode,
        client_ca=client_ca,
    )
    tun = FakeTUN()
    null_tls = null_context(*null) if null is not None else None
    tls = tls_context(config)
    server = IPHTTPSServer(config, tun, tls=tls, null_tls=null_tls, routes=routes)
    server.start()
    try:
        yield port
    finally:
        await server.close()
        tun.close()


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def speaking(speak: Speak) -> AsyncIterator[int]:
    """Run a server that does what a test wants with each connection; give its port."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await speak(reader, writer)
        finally:
            writer.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(serve, HOME, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ending = asyncio.ensure_future(end_server(server))
        while not ending.done():
            for task in tuple(running):
                task.cancel()
            await asyncio.wait((ending, *running), timeout=0.01)
        await ending


@contextlib.asynccontextmanager
async def web(pages: Mapping[str, bytes]) -> AsyncIterator[str]:
    """Serve pages over http, 404 for others; give the address in front of the paths.

    The mapping is looked into at each request: it may be filled after the port is known.
    """

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).split()
        body = next((b for p, b in pages.items() if request[1].startswith(p.encode())), None)
        status = b"200 OK" if body is not None else b"404 Not Found"
        size = b"Content-Length: %d\r\n" % len(body or b"")
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + size + b"\r\n" + (body or b""))
        await writer.drain()

    async with speaking(speak) as port:
        yield f"http://{HOME}:{port}"


def answering(answer: bytes) -> Speak:
    """Say one thing to whatever comes first, then wait for the end."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        await writer.drain()
        while await reader.read(65536):
            pass

    return speak


@contextlib.contextmanager
def s_server(files: tuple[Path, Path], *words: str) -> Iterator[int]:
    """Run OpenSSL's server, which can do what nobody should; give its port."""
    port = free_port(HOME)
    accept = ("-accept", f"{HOME}:{port}", "-cert", str(files[0]), "-key", str(files[1]))
    command = ("openssl", "s_server", *accept, *words)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert process.stdout is not None
        while (line := process.stdout.readline()).strip() != b"ACCEPT":
            assert line, "it ended"
        yield port
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def look(
    port: int,
    *roots: Made,
    host: str = NAME,
    path: str = "/IPHTTPS",
    scheme: str = "https",
    **options: object,
) -> ProbeSeen:
    """Probe a server on loopback."""
    anchors = tuple(root.certificate for root in roots)
    given = {"connect": HOME, "anchors": anchors, "transitions": False, **options}
    target = parse_target(f"{scheme}://{host}:{port}{path}")
    return await Course(target, Options(**given)).run({})  # type: ignore[arg-type]


def codes(seen: ProbeSeen) -> list[str]:
    """Return the codes of all that was found, causes before consequences."""
    return [
        finding.problem.code
        for each in judge(seen)
        for finding in (each.finding, *each.consequences)
    ]
