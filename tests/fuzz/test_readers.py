"""Real bytes, cut and changed: the readers of captures and policies raise WireError or nothing."""

import contextlib
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measured import seconds
from tests.packets import (
    CLIENT,
    SERVER,
    enhanced,
    ethernet,
    interface,
    ip,
    option,
    pcap,
    section,
    tcp,
    udp,
)
from throughway.doctor.parsers.captures.pcap import parse
from throughway.model.errors import ParseError, WireError
from throughway.model.evidence import Evidence
from throughway.proto.flows.tcp import KEPT_BYTES
from throughway.proto.flows.tracker import Tracker
from throughway.wire.dns import parse_answer
from throughway.wire.http import parse_request, parse_response
from throughway.wire.ike import Message, Payload, PayloadType, build_ike, parse_ike
from throughway.wire.ike_names import Protocol
from throughway.wire.ip import ESP, IPV6_IN_IPV4, TCP, UDP, parse_ip
from throughway.wire.link import HEADER_LENGTHS, find_ip
from throughway.wire.pcap import Reader
from throughway.wire.quiet import QuietFlows
from throughway.wire.registrypol import Entry, build_registry_pol, parse_registry_pol
from throughway.wire.sixtofour import check_packet
from throughway.wire.teredo import parse_teredo, parse_teredo_address
from throughway.wire.tls import Stream, read_stream, recognise
from throughway.wire.transport import parse_icmp_error, parse_tcp, parse_udp

VECTORS = Path(__file__).parent.parent / "vectors"
ROUNDS = 1000
"""Changed copies of each seed."""


def streams() -> list[bytes]:
    """Return whole sides of TLS handshakes."""
    return [
        p.read_bytes()
        for p in sorted((VECTORS / "tls").iterdir())
        if p.suffix in (".client", ".server")
    ]


def answer() -> bytes:
    """Return a DNS answer with an alias."""
    message = dns.message.make_response(dns.message.make_query("da.example.com", "A"))
    for text in ("da.example.com. 60 IN CNAME a.example.com.", "a.example.com. 60 IN A 192.0.2.1"):
        name, ttl, klass, kind, value = text.split()
        message.answer.append(dns.rrset.from_text(name, int(ttl), klass, kind, value))
    return message.to_wire()


def negotiation(protocol: Protocol, exchange: int) -> bytes:
    """Return a message with every payload that is read."""
    transform = bytes.fromhex("0000000c01010000800e0100")
    proposal = bytes.fromhex("00000014010100 01") + transform
    v1 = protocol is not Protocol.IKEV2
    payloads = (
        Payload(PayloadType.SA if v1 else PayloadType.SA_V2, bytes(8 * v1) + proposal),
        Payload(PayloadType.VENDOR_ID_V1 if v1 else PayloadType.VENDOR_ID_V2, bytes(20)),
        Payload(PayloadType.NOTIFY_V1 if v1 else PayloadType.NOTIFY_V2, bytes(12)),
        *([Payload(PayloadType.GSS_API, bytes(9)), Payload(PayloadType.AUTH, bytes(8))] * v1),
    )
    fields = {"initiator_spi": b"initiate", "responder_spi": bytes(8), "exchange_name": ""}
    return build_ike(
        Message(
            protocol=protocol,
            exchange=exchange,
            encrypted=False,
            response=None,
            message_id=0,
            length=0,
            payloads=payloads,
            **fields,  # type: ignore[arg-type]
        )
    )


def packets() -> list[bytes]:
    """Return packets of all kinds that are followed."""
    six, other = "2001:db8::1", "2001:db8::2"
    inner = ip(six, other, UDP, udp(negotiation(Protocol.AUTHIP, 0xF3), (500, 500)))
    hello = (VECTORS / "tls" / "tls13.client").read_bytes()
    return [
        ip(CLIENT, SERVER, TCP, tcp(b"", 2, sequence=9)),
        ip(CLIENT, SERVER, TCP, tcp(hello, sequence=10)),
        ip(SERVER, CLIENT, TCP, tcp(b"", 4, ports=(443, 50000))),
        ip(CLIENT, SERVER, UDP, udp(answer(), (53, 50000))),
        ip(CLIENT, SERVER, UDP, udp(inner, (50000, 3544))),
        ip(CLIENT, SERVER, IPV6_IN_IPV4, inner),
        ip(six, other, ESP, bytes((0, 0, 1, 0)) + bytes(20)),
        ip(six, other, 0, bytes((58, 0)) + bytes(6) + bytes((134,)) + bytes(15)),
    ]


def captures() -> list[bytes]:
    """Return files of both formats."""
    frames = [ethernet(packet) for packet in packets()]
    blocks = section() + interface(options=option(9, b"\x06"))
    return [pcap(*frames), blocks + b"".join(map(enhanced, frames))]


def read_packet(data: bytes) -> None:
    header = parse_ip(data)
    for read in (parse_tcp, parse_udp, parse_icmp_error):
        with contextlib.suppress(WireError):
            read(data, header)


def read_link(data: bytes) -> None:
    for kind in HEADER_LENGTHS:
        with contextlib.suppress(WireError):
            find_ip(kind, data)


def read_tls(data: bytes) -> None:
    recognise(data)
    assert isinstance(read_stream(data), Stream)


def read_http(data: bytes) -> None:
    with contextlib.suppress(WireError):
        parse_request(data)
    parse_response(data)


def read_teredo(data: bytes) -> None:
    with contextlib.suppress(WireError):
        parse_teredo_address(data[:16])
    _ = parse_teredo(data).kind


def read_policy(data: bytes) -> None:
    for entry in parse_registry_pol(data):
        _ = (entry.value, entry.deleted, entry.deletes_all, entry.deleted_names)


def read_capture(data: bytes) -> None:
    quiet = QuietFlows()
    reader, tracker = Reader(quiet), Tracker(quiet)
    try:
        for at in range(0, len(data), 500):
            reader.receive_data(data[at : at + 500])
            for packet in reader.packets():
                tracker.receive_packet(packet, reader.count)
    finally:
        tracker.finish()


def read_evidence(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        list(parse(Evidence("a.pcap", content=data, open=lambda: io.BytesIO(data))))


HTTP = b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nLocation: http://x/\r\n\r\n"
POLICY = [Entry("Software\\Policies", "Name", kind, b"1\0" * 8) for kind in (1, 3, 4, 7, 11)]
TARGETS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "link": (read_link, [ethernet(packet) for packet in packets()]),
    "ip": (read_packet, packets()),
    "tls": (read_tls, streams()),
    "ike": (parse_ike, [negotiation(Protocol.AUTHIP, 0xF3), negotiation(Protocol.IKEV2, 34)]),
    "ikev1": (parse_ike, [negotiation(Protocol.IKEV1, 2)]),
    "dns": (parse_answer, [answer()]),
    "teredo": (read_teredo, [packets()[4][28:], bytes.fromhex("0001000000000000000000000000")]),
    "6to4": (lambda data: check_packet(data[12:16], data[16:20], data[20:]), packets()),
    "http": (read_http, [HTTP, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"]),
    "registry.pol": (read_policy, [build_registry_pol(POLICY)]),
    "pcap": (read_capture, captures()),
    "doctor": (read_evidence, captures()),
}


def changed(seed: bytes, chance: random.Random) -> bytes:
    """Cut, change, repeat."""
    data = bytearray(seed)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(5):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(1, 40)]
            case 3 if data:
                data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1 << at % 8))
            case _:
                data[at : at + 2] = chance.randbytes(2)
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_bytes(name: str) -> None:
    read, seeds = TARGETS[name]
    chance = random.Random(name)
    for seed in seeds:
        for _ in range(max(20, ROUNDS // len(seeds))):
            with contextlib.suppress(WireError):
                read(changed(seed, chance))


@pytest.mark.parametrize("name", TARGETS)
def test_every_cut(name: str) -> None:
    read, seeds = TARGETS[name]
    seed = min(seeds, key=len)
    for end in range(0, len(seed), 1 + len(seed) // 200):
        with contextlib.suppress(WireError):
            read(seed[:end])


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=120))
def test_any_bytes(name: str, data: bytes) -> None:
    with contextlib.suppress(WireError):
        TARGETS[name][0](data)


def bursts(chance: random.Random) -> Iterator[bytes]:
    """Yield segments of a connection in no sensible order, with any numbers and flags."""
    for _ in range(3000):
        ports = chance.choice([(50000, 443), (443, 50000)])
        ends = (CLIENT, SERVER) if ports[0] > ports[1] else (SERVER, CLIENT)
        number = chance.choice([0, 1, 2**31, 2**32 - 1, chance.randrange(2**32)])
        flags = chance.choice([2, 18, 16, 16, 16, 24, 17, 4])
        payload = chance.randbytes(chance.choice([0, 1, 700, 1400]))
        yield ethernet(ip(*ends, TCP, tcp(payload, flags, ports=ports, sequence=number)))


def test_senseless_connections_stay_within_their_limits() -> None:
    quiet = QuietFlows()
    reader, tracker = Reader(quiet), Tracker(quiet)
    reader.receive_data(pcap(*bursts(random.Random(5))))
    for packet in reader.packets():
        tracker.receive_packet(packet, reader.count)
        event = tracker.next_event()
        kept = len(getattr(event, "client_data", b"")) + len(getattr(event, "server_data", b""))
        assert kept <= 2 * KEPT_BYTES
    assert tracker.malformed == 0


MEBIBYTE = 1 << 20
SECONDS = 1.0
"""CPU time that a mebibyte may take, whatever is in it."""
FLOOR = 0.5
"""Seconds besides: a busy machine's caches. What is not linear takes many times that."""


def floods() -> dict[str, bytes]:
    """Return a quarter of a mebibyte of each of what costs most."""
    size = MEBIBYTE // 4
    syns = (
        ip(f"10.{n >> 8 & 255}.{n & 255}.1", SERVER, TCP, tcp(b"", 2, sequence=n))
        for n in range(size // 70)
    )
    name = b"\1a" * 120 + b"\0" + bytes((0, 1, 0, 1))
    record = b"\1b\xc0\x0c" + bytes((0, 1, 0, 1, 0, 0, 0, 60, 0, 4)) + bytes(4)
    head = bytes((0, 1, 0x80, 0, 0, 1, 0, 16, 0, 0, 0, 0))
    names = ip(CLIENT, SERVER, UDP, udp(head + name + record * 16, (53, 50000)))
    hellos = (b"\x16\x03\x03\x00\x04" + bytes(4)) * 150
    said = [ip(CLIENT, SERVER, TCP, tcp(b"", 2, sequence=99))]
    said += [
        ip(CLIENT, SERVER, TCP, tcp(hellos, sequence=100 + n * len(hellos)))
        for n in range(size // len(hellos))
    ]
    few = section() + interface() * 4000
    statistics = bytes.fromhex("05000000 0c000000 0c000000")
    return {
        "connections": pcap(*map(ethernet, syns)),
        "names": pcap(*[ethernet(names)] * (size // len(names))),
        "messages": pcap(*map(ethernet, said)),
        "interfaces": few + (enhanced(b"", 7) + statistics) * (size // 60),
    }


@pytest.mark.parametrize("name", ["connections", "names", "messages", "interfaces"])
def test_nothing_takes_long(name: str) -> None:
    content = floods()[name]
    limit = FLOOR + SECONDS * len(content) / MEBIBYTE
    assert seconds(lambda: read_evidence(content), limit) <= limit
