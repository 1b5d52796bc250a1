"""What the tests of both ends share: certificates, and TUN devices which are socket pairs."""

import asyncio
import datetime
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.patience import PATIENCE
from throughway.net.offload import Pump
from throughway.net.segments import VNET
from throughway.net.tun import TUN
from throughway.wire.ipv6 import MAX_PACKET, IPv6Packet, build_packet, parse_address

NAME = "da.example.com"
PREFIX = "2001:db8:da:1000::/64"
CORP = "2001:db8:c0::80"
ROUTER = "2001:db8:da:1000::1"

CURVE = ec.SECP256R1()
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CLIENT_FAULTS = {
    "none": "iphttps-client-cert-none",
    "untrusted": "iphttps-client-cert-untrusted",
    "expired": "iphttps-client-cert-expired",
    "not yet valid": "iphttps-client-cert-expired",
    "revoked": "iphttps-client-cert-revoked",
    "wrong usage": "iphttps-client-cert-usage",
    "no list": "iphttps-client-crl-unusable",
    "old list": "iphttps-client-crl-unusable",
}
"""What can be wrong with a client's certificate, and the gateway's code for it."""
ONLY_WITH_LISTS = ("revoked", "no list", "old list")
"""Nobody sees these where revocation is not checked."""
RESUMED = {"resumed": "", "resumed, but expired since": "iphttps-client-cert-expired"}
"""Sessions of TLS 1.2 that are resumed, and the gateway's code."""
REJECTED, REQUIRED = "iphttps-client-cert-rejected", "iphttps-client-cert-required"
"""What the client says."""


def told_to_client(fault: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
    """Return the problem that a client names; TLS 1.2 has no word for a missing certificate."""
    if fault != "none":
        return REJECTED
    return REQUIRED if version is ssl.TLSVersion.TLSv1_3 else "iphttps-tls-handshake-failed"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()


class Authority:
    """A root which issues whatever a test needs."""

    def __init__(self, folder: Path, name: str = "Test Root") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._number = 0
        root = self._build(self._name, self._key, True, [], -1, 1)
        self.root = self._write(root, self._key, name.replace(" ", "-"))

    def issue(
        self,
        name: str,
        *,
        begins: float = -1,
        ends: float = 1,
        usage: x509.ObjectIdentifier | None = None,
        by_rsa: bool = False,
    ) -> Pair:
        """Issue a certificate; times are days from now; ``by_rsa``: its key is one of RSA."""
        key = rsa.generate_private_key(65537, 2048) if by_rsa else ec.generate_private_key(CURVE)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._number += 1
        certificate = self._build(subject, key, False, [name], begins, ends, usage)
        return self._write(certificate, key, f"{name}-{self._number}")

    def list_revoked(self, *pairs: Pair, ends: float = 1) -> Path:
        """Issue a revocation list; ``ends``: days until the next one is due."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - datetime.timedelta(days=2))
            .next_update(now + datetime.timedelta(days=ends))
        )
        for pair in pairs:
            certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(now).build())
        self._number += 1
        path = self.folder / f"list-{self._number}.crl"
        crl = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return path

    def client(self, fault: str = "") -> Pair:
        """Issue a client's certificate with one of :data:`CLIENT_FAULTS`; "": a good one."""
        name = "client1.corp.example.com"
        match fault:
            case "":
                return self.issue(name, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
            case "expired":
                return self.issue(name, begins=-3, ends=-1)
            case "not yet valid":
                return self.issue(name, begins=1, ends=3)
            case "wrong usage":
                return self.issue(name, usage=ExtendedKeyUsageOID.SERVER_AUTH)
            case "untrusted":
                (other := self.folder / "other").mkdir(exist_ok=True)
                return Authority(other, "Another Root").client()
        raise ValueError(fault)

    def _build(
        self,
        subject: x509.Name,
        key: Key,
        ca: bool,
        names: list[str],
        begins: float,
        ends: float,
        usage: x509.ObjectIdentifier | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=begins))
            .not_valid_after(now + datetime.timedelta(days=ends))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, certificate: x509.Certificate, key: Key, name: str) -> Pair:
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair


class FakeKernel:
    """The other end of a device: packets as they are, super-packets are what the test makes."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def send(self, packet: bytes, header: bytes = bytes(VNET.size)) -> None:
        self.socket.send(header + packet)

    def recv(self) -> bytes:
        return self.socket.recv(VNET.size + MAX_PACKET)[VNET.size :]

    def close(self) -> None:
        self.socket.close()


class FakeTUN(TUN):
    """A device whose kernel is the test: ``kernel`` is the other end of a socket pair."""

    def __init__(self, name: str = "iphttps-test", *, pump: Pump | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        self.kernel = FakeKernel(theirs)
        super().__init__(ours.detach(), name, pump=pump)

    async def received(self) -> bytes:
        """Wait for the next packet written to the device."""
        waiting = asyncio.get_running_loop().sock_recv(self.kernel.socket, VNET.size + MAX_PACKET)
        return (await asyncio.wait_for(waiting, timeout=PATIENCE))[VNET.size :]

    def close(self) -> None:
        super().close()
        self.kernel.close()


def packet(source: str, destination: str, payload: bytes = b"", next_header: int = 59) -> bytes:
    """Return a packet without a meaning."""
    return build_packet(
        IPv6Packet(
            source=parse_address(source),
            destination=parse_address(destination),
            next_header=next_header,
            payload=payload,
        )
    )


async def end_server(server: asyncio.Server) -> None:
    """Close a server, and wait until its connections have ended: clients are gone before it.

    What is still open when the loop ends is a warning, in whichever test collects the garbage.
    """
    for _ in range(3):
        await asyncio.sleep(0)  # what is being accepted becomes a connection
    server.close()
    await wait_for(lambda: not has_connections(server))


def has_connections(server: asyncio.Server) -> bool:
    """Whether one is open: ``wait_closed`` does not wait for them in every version of Python."""
    return bool(getattr(server, "_active_count", 0) or getattr(server, "_clients", ()))


async def wait_for(condition: Callable[[], object], within: float = PATIENCE) -> None:
    """Wait until something holds; fail when it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)
