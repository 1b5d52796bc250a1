"""Captures for evidence, written packet by packet: the same bytes each time.

A :class:`Wire` holds what passes between a client and its servers, with times and hop limits. TLS
is written message by message; certificates are signed with Ed25519 keys that are made of their
name, so that nothing in them is random.
"""

import hashlib
import struct
from datetime import UTC, datetime

import dns.message
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.packets import ethernet, ip, tcp, udp
from throughway.wire.icmpv6 import (
    PrefixInformation,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
)
from throughway.wire.ip import ICMP, ICMPV6, TCP, UDP
from throughway.wire.ipv6 import ALL_NODES, ALL_ROUTERS, parse_address
from throughway.wire.tls_handshake import ClientHello, build_client_hello

HOST = "da.example.com"
CLIENT, SERVER, RESOLVER, PROXY = "192.0.2.1", "198.51.100.2", "192.0.2.53", "192.0.2.80"
BEGAN = 1_760_000_000
"""October 2025."""
SYN, ACK, FIN, RST = 2, 16, 1, 4
NULL_SUITES = (0x003B, 0x0002)
USUAL_SUITES = (0xC02F, 0xC030, 0x009C, 0x002F)
_MAC = bytes(32)
_HIDDEN = hashlib.sha256(b"hidden").digest() + bytes(8)
"""What nobody can read: as long as a Finished message."""


class Wire:
    """Frames in order."""

    def __init__(self) -> None:
        self.at = float(BEGAN)
        self.frames: list[tuple[float, bytes]] = []

    def send(self, packet: bytes, after: float = 0.02, hops: int = 0) -> None:
        """Let a packet pass; ``hops``: how many routers it has passed (of 128 or 64)."""
        place = 8 if packet[0] >> 4 == 4 else 7
        start = 128 if hops == 0 else 64
        packet = packet[:place] + bytes((start - hops,)) + packet[place + 1 :]
        self.at += after
        self.frames.append((self.at, ethernet(packet)))

    def wait(self, seconds: float) -> None:
        """Let time pass, and something harmless at its end."""
        self.send(ip(CLIENT, "192.0.2.255", UDP, udp(b"x", (137, 137))), seconds)

    def pcap(self) -> bytes:
        """Return the file."""
        whole = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        for at, frame in self.frames:
            ticks = round(at * 10**6)
            head = (ticks // 10**6, ticks % 10**6, len(frame), len(frame))
            whole += struct.pack("<4I", *head) + frame
        return whole

    def ask(self, name: str, *answers: str, code: int | None = 0, server: str = RESOLVER) -> None:
        """A question for the address and its answer; ``code`` None: no answer."""
        kind = "AAAA" if any(":" in answer for answer in answers) else "A"
        question = dns.message.make_query(name, kind, id=7)
        self.send(ip(CLIENT, server, UDP, udp(question.to_wire(), (50053, 53))))
        if code is None:
            return
        answer = dns.message.make_response(question)
        answer.set_rcode(dns.rcode.Rcode(code))
        if answers:
            answer.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *answers))
        self.send(ip(server, CLIENT, UDP, udp(answer.to_wire(), (53, 50053))), hops=1)

    def icmp(self, kind: int, code: int, packet: bytes, reporter: str = "192.0.2.254") -> None:
        """An ICMP error about a packet of the client."""
        body = struct.pack("!BBHI", kind, code, 0, 0) + packet[:68]
        self.send(ip(reporter, CLIENT, ICMPV6 if ":" in reporter else ICMP, body), hops=1)


class Talk:
    """One TCP connection of the client."""

    def __init__(
        self, wire: Wire, server: str = SERVER, port: int = 443, own: int = 50000, hops: int = 12
    ) -> None:
        self.wire, self.server, self.port, self.own, self.hops = wire, server, port, own, hops
        self.said = {"client": 1000, "server": 5000}

    def segment(
        self, side: str, payload: bytes = b"", flags: int = ACK, after: float = 0.02, hops: int = -1
    ) -> None:
        """One segment."""
        ends, ports, other = (CLIENT, self.server), (self.own, self.port), "server"
        if side == "server":
            ends, ports, other = ends[::-1], ports[::-1], "client"
        at, got = self.said[side], self.said[other]
        packet = ip(*ends, TCP, tcp(payload, flags, ports=ports, sequence=at, acknowledgment=got))
        self.said[side] += len(payload) + bool(flags & (SYN | FIN))
        away = (self.hops if side == "server" else 0) if hops < 0 else hops
        self.wire.send(packet, after, away)

    def repeat(self, side: str, payload: bytes, after: float) -> None:
        """The segment that was sent last, once more."""
        self.said[side] -= len(payload)
        self.segment(side, payload, after=after)

    def begin(self) -> "Talk":
        """The three first segments."""
        self.segment("client", flags=SYN)
        self.segment("server", flags=SYN | ACK, after=0.04)
        self.segment("client")
        return self

    def silence(self) -> None:
        """Nobody answers."""
        for after in (0.02, 1.0, 2.0):
            self.said["client"] = 1000
            self.segment("client", flags=SYN, after=after)

    def say(self, side: str, data: bytes) -> None:
        """Data in segments of full size."""
        for at in range(0, len(data), 1400):
            self.segment(side, data[at : at + 1400])

    def end(self, side: str, flags: int = FIN, hops: int = -1, after: float = 0.04) -> None:
        """Close or reset it."""
        self.segment(side, flags=flags | ACK, hops=hops, after=after)


def hello(suites: tuple[int, ...] = NULL_SUITES, name: str = HOST, version: int = 0x0303) -> bytes:
    """A ClientHello in its record."""
    offer = ClientHello(version=version, versions=(version,), suites=suites, server_name=name)
    return record(22, build_client_hello(offer))


def record(kind: int, body: bytes) -> bytes:
    """A TLS record."""
    return struct.pack("!BHH", kind, 0x0303, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    """A handshake message in its record."""
    return record(22, bytes((kind,)) + len(body).to_bytes(3, "big") + body)


def chain(*certificates: bytes) -> bytes:
    """A Certificate message."""
    listed = b"".join(len(der).to_bytes(3, "big") + der for der in certificates)
    return message(11, len(listed).to_bytes(3, "big") + listed)


def answer(*certificates: bytes, suite: int = NULL_SUITES[0], request: bool = False) -> bytes:
    """What a server says: hello, certificate, perhaps a request for one, done."""
    chosen = message(2, b"\x03\x03" + bytes(32) + b"\0" + suite.to_bytes(2, "big") + b"\0")
    wanted = message(13, b"\x01\x01\x00\x02\x04\x01\x00\x00") if request else b""
    return chosen + chain(*certificates) + wanted + message(14, b"")


def keys() -> bytes:
    """What a client says last: key exchange, change of cipher, Finished."""
    return message(16, bytes(34)) + finished()


def finished() -> bytes:
    """What both say when they go over to their keys."""
    return record(20, b"\x01") + record(22, _HIDDEN)


def alert(description: int) -> bytes:
    """A fatal alert."""
    return record(21, bytes((2, description)))


def in_the_clear(*payloads: bytes) -> bytes:
    """Application data of a session with a NULL suite."""
    return b"".join(record(23, payload + _MAC) for payload in payloads)


def post(status: int = 200) -> tuple[bytes, bytes]:
    """The request of IP-HTTPS, and the head of its answer."""
    request = f"POST /IPHTTPS HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"
    response = f"HTTP/1.1 {status} X\r\nContent-Type: application/octet-stream\r\n\r\n"
    return in_the_clear(request.encode()), in_the_clear(response.encode())


def solicitation() -> bytes:
    """A Router Solicitation on the link."""
    own = parse_address("fe80::1234")
    return in_the_clear(build_icmpv6(RouterSolicitation(), source=own, destination=ALL_ROUTERS))


def advertisement(*, prefix: bool = True, lifetime: int = 1800) -> bytes:
    """A Router Advertisement on the link."""
    given = PrefixInformation(
        prefix=parse_address("2001:db8:5::"),
        length=64,
        on_link=True,
        autonomous=True,
        valid=86400,
        preferred=3600,
    )
    told = RouterAdvertisement(router_lifetime=lifetime, prefixes=(given,) if prefix else ())
    router = parse_address("fe80::1")
    return in_the_clear(build_icmpv6(told, source=router, destination=ALL_NODES))


def certificate(
    name: str = HOST,
    issuer: str = "Example Issuing CA",
    *,
    begins: str = "2025-01-01",
    ends: str = "2026-06-01",
    crl: str = "http://crl.example.com/issuing.crl",
    usage: str = "",
) -> bytes:
    """A certificate, DER."""
    key, signer = _key(name), _key(issuer)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1)
        .not_valid_before(datetime.fromisoformat(begins).replace(tzinfo=UTC))
        .not_valid_after(datetime.fromisoformat(ends).replace(tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    if crl:
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None),
        ]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    if usage:
        usages = x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage)])
        builder = builder.add_extension(usages, critical=False)
    return builder.sign(signer, None).public_bytes(Encoding.DER)


def revocation_list(issuer: str, *, ends: str = "2026-01-01", revoked: str = "") -> bytes:
    """A CRL, DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(issuer))
        .last_update(datetime(2025, 1, 1, tzinfo=UTC))
        .next_update(datetime.fromisoformat(ends).replace(tzinfo=UTC))
    )
    if revoked:
        number = int.from_bytes(hashlib.sha256(revoked.encode()).digest()[:8], "big") >> 1
        entry = x509.RevokedCertificateBuilder().serial_number(number)
        builder = builder.add_revoked_certificate(
            entry.revocation_date(datetime(2025, 2, 1, tzinfo=UTC)).build()
        )
    return builder.sign(_key(issuer), None).public_bytes(Encoding.DER)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
