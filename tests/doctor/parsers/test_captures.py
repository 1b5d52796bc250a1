"""Captures as the doctor reads them: TLS of OpenSSL's ends, the rest written by hand."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import dns.message
import dns.rrset
import pytest

from tests.packets import CLIENT, SERVER, ethernet, ip, pcap, tcp, udp
from throughway.doctor.parsers.captures import PARSERS, etl
from throughway.doctor.parsers.captures.pcap import PARSER
from throughway.doctor.reading import read_all
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.capture import (
    Capture,
    ConnectionEnd,
    DNSExchange,
    HTTPExchange,
    IKEExchange,
    RouterAdvertisementSeen,
    TCPConnection,
    TeredoExchange,
    TLSHandshake,
    TLSStage,
)
from throughway.model.facts.certificates import Certificate, Store
from throughway.wire.icmpv6 import (
    PrefixInformation,
    RouteInformation,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
)
from throughway.wire.ike import Message, Payload, PayloadType, build_ike
from throughway.wire.ike_names import Protocol
from throughway.wire.ip import TCP, UDP
from throughway.wire.ipv6 import ALL_NODES, ALL_ROUTERS, parse_address
from throughway.wire.teredo import Mapping, TeredoPacket, build_teredo

TLS = Path(__file__).parent.parent.parent / "vectors" / "tls"
SYN, ACK, FIN, RST = 2, 16, 1, 4
AnyFact = TypeVar("AnyFact", bound=Fact)


def evidence(content: bytes) -> Evidence:
    return Evidence("a.pcap", content=content[:100], open=lambda: io.BytesIO(content))


def facts(kind: type[AnyFact], *packets: bytes, step: float = 1.0) -> list[AnyFact]:
    found = PARSER.parse(evidence(pcap(*map(ethernet, packets), step=step)))
    return [fact for fact in found if isinstance(fact, kind)]


def connection(
    said: Sequence[tuple[str, bytes]], end: int = 0, by: str = "server", port: int = 443
) -> list[bytes]:
    """Write a connection: who says what in turn, in segments of 1000 bytes, and how it ends."""
    numbers = {"client": 100, "server": 900}
    packets = []

    def say(side: str, payload: bytes, flags: int) -> None:
        ends, ports = (CLIENT, SERVER), (50000, port)
        if side == "server":
            ends, ports = ends[::-1], ports[::-1]
        segment = tcp(payload, flags, ports=ports, sequence=numbers[side])
        numbers[side] += len(payload) + bool(flags & (SYN | FIN))
        packets.append(ip(*ends, TCP, segment))

    say("client", b"", SYN)
    say("server", b"", SYN | ACK)
    for side, data in said:
        for at in range(0, len(data), 1000):
            say(side, data[at : at + 1000], ACK)
    if end:
        say(by, b"", end | ACK)
    return packets


def handshake(
    name: str, end: int = 0, by: str = "server", before: Sequence[tuple[str, bytes]] = ()
) -> list[bytes]:
    ends = [(side, (TLS / f"{name}.{side}").read_bytes()) for side in ("client", "server")]
    return connection([*before, *ends], end, by)


def test_the_capture_as_a_whole() -> None:
    content = pcap(*map(ethernet, connection([])))
    (capture,) = (f for f in PARSER.parse(evidence(content)) if isinstance(f, Capture))
    assert (capture.packets, capture.truncated) == (2, False)
    assert (capture.began, capture.ended) == (1000.0005, 1001.0005)
    (capture,) = (f for f in PARSER.parse(evidence(content[:-1])) if isinstance(f, Capture))
    assert (capture.packets, capture.truncated) == (1, True)


@pytest.mark.parametrize("rest", [b"\xff" * 1000, b"\0" * 8], ids=["garbage", "cut off"])
def test_a_capture_without_one_whole_packet_says_nothing(rest: bytes) -> None:
    """Not even that there was a capture: that would be a fact in which nothing is wrong."""
    reading = PARSER.parse(evidence(pcap() + rest))
    with pytest.raises(ParseError):
        next(iter(reading))


@pytest.mark.parametrize(
    ("packets", "end"),
    [
        (connection([("client", b"x")]), ConnectionEnd.OPEN),
        (connection([("client", b"x")], RST), ConnectionEnd.RESET_BY_SERVER),
        (connection([("client", b"x")], RST, "client"), ConnectionEnd.RESET_BY_CLIENT),
        (connection([("client", b"x")], FIN), ConnectionEnd.CLOSED_BY_SERVER),
        (connection([("client", b"x")], FIN, "client"), ConnectionEnd.CLOSED_BY_CLIENT),
        (connection([])[:1] * 3, ConnectionEnd.NO_ANSWER),
        ([connection([])[0], connection([], RST)[-1]], ConnectionEnd.REFUSED),
    ],
)
def test_how_connections_end(packets: list[bytes], end: ConnectionEnd) -> None:
    (fact,) = facts(TCPConnection, *packets)
    assert (fact.client, fact.server, fact.port, fact.end) == (CLIENT, SERVER, 443, end)
    assert fact.attempts == (3 if end is ConnectionEnd.NO_ANSWER else 1)
    assert fact.source.text == "packet 1"


def test_an_answer_may_just_not_have_come_yet() -> None:
    syn = connection([])[0]
    other = ip(CLIENT, SERVER, UDP, udp(b""))
    assert facts(TCPConnection, syn, other) == []
    assert len(facts(TCPConnection, syn, *[other] * 4)) == 1


def test_many_refusals_are_told_once() -> None:
    refused = [connection([])[0], connection([], RST)[-1]]
    (fact,) = facts(TCPConnection, *refused * 5)
    assert (fact.attempts, fact.end) == (5, ConnectionEnd.REFUSED)


def test_a_null_session_is_an_open_book() -> None:
    packets = handshake("null-sha256")
    (fact,) = facts(TLSHandshake, *packets)
    assert (fact.offered, fact.chosen, fact.version) == ((0x3B, 2), 0x3B, 0x0303)
    assert (fact.stage, fact.alert, fact.reset) == (TLSStage.FINISHED, None, False)
    assert fact.server_name == "da.example.com"
    assert (fact.certificate_requested, fact.client_certificate_sent) == (True, True)
    shown, root = facts(Certificate, *packets)
    assert (shown.store, shown.names) == (Store.CAPTURE, ("da.example.com",))
    assert (shown.subject, shown.issuer) == ("CN=da.example.com", "CN=Example Root")
    assert (shown.self_signed, root.self_signed, root.authority) == (False, True, True)
    assert fact.certificate == shown.thumbprint
    assert len(shown.thumbprint) == 40
    (post,) = facts(HTTPExchange, *packets)
    assert (post.method, post.target) == ("POST", "/IPHTTPS")


@pytest.mark.parametrize(
    ("name", "stage", "alert", "by_server"),
    [
        ("no-common-suite", TLSStage.CLIENT_HELLO, 40, True),
        ("no-common-version", TLSStage.CLIENT_HELLO, 70, True),
        ("certificate-refused", TLSStage.CERTIFICATE, 42, False),
        ("tls13", TLSStage.FINISHED, None, None),
        ("hello-retry", TLSStage.FINISHED, None, None),
    ],
)
def test_where_handshakes_break(
    name: str, stage: TLSStage, alert: int | None, by_server: bool | None
) -> None:
    (fact,) = facts(TLSHandshake, *handshake(name))
    assert (fact.stage, fact.alert, fact.alert_by_server) == (stage, alert, by_server)


def test_a_client_that_has_no_certificate() -> None:
    (fact,) = facts(TLSHandshake, *handshake("client-certificate-missing", RST))
    assert (fact.certificate_requested, fact.client_certificate_sent) == (True, False)
    assert fact.alert_by_server
    assert fact.reset


def test_a_reset_right_after_the_hello() -> None:
    hello = (TLS / "tls13.client").read_bytes()[:200]
    whole = (TLS / "null-sha256.client").read_bytes()[:143]
    for data in (hello, whole):
        (fact,) = facts(TLSHandshake, *connection([("client", data)], RST))
        assert (fact.stage, fact.reset, fact.chosen) == (TLSStage.CLIENT_HELLO, True, None)


def test_a_refusal_that_tls_1_3_hides() -> None:
    server = (TLS / "tls13.server").read_bytes()
    client = (TLS / "tls13.client").read_bytes()
    hello = client[: 5 + int.from_bytes(client[3:5], "big")]
    alert = bytes.fromhex("140303000101 1703030013") + bytes(19)
    said = [("client", hello), ("server", server), ("client", alert)]
    (fact,) = facts(TLSHandshake, *connection(said, FIN, "client"))
    assert (fact.stage, fact.alert) == (TLSStage.CERTIFICATE, None)
    assert fact.certificate_requested is None


def test_who_answers_without_tls() -> None:
    hello = (TLS / "null-sha256.client").read_bytes()[:143]
    said = [("client", hello), ("server", b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n")]
    (fact,) = facts(TLSHandshake, *connection(said))
    assert fact.not_tls == "HTTP response: HTTP/1.1 400 Bad Request"


def test_by_way_of_a_proxy() -> None:
    before = [
        ("client", b"CONNECT da.example.com:443 HTTP/1.1\r\nHost: da.example.com\r\n\r\n"),
        ("server", b"HTTP/1.1 200 Connection established\r\n\r\n"),
    ]
    packets = handshake("no-common-suite", before=before)
    (exchange,) = facts(HTTPExchange, *packets)
    assert (exchange.method, exchange.target, exchange.status) == (
        *("CONNECT", "da.example.com:443"),
        200,
    )
    (fact,) = facts(TLSHandshake, *packets)
    assert (fact.alert, fact.server_name) == (40, "da.example.com")


def test_a_proxy_that_refuses_and_a_portal() -> None:
    refused = connection(
        [
            ("client", b"CONNECT da.example.com:443 HTTP/1.1\r\n\r\n"),
            ("server", b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n"),
        ],
        port=8080,
    )
    (exchange,) = facts(HTTPExchange, *refused)
    assert (exchange.status, exchange.authenticate) == (407, "NTLM")
    assert facts(TLSHandshake, *refused) == []
    portal = connection(
        [
            ("client", b"GET /connecttest.txt HTTP/1.1\r\nHost: www.msftconnecttest.com\r\n\r\n"),
            ("server", b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n"),
        ],
        port=80,
    )
    (exchange,) = facts(HTTPExchange, *portal)
    assert exchange.location == "http://portal.example/"
    assert exchange.host == "www.msftconnecttest.com"


def test_names() -> None:
    asked = dns.message.make_query("da.example.com", "A")
    answer = dns.message.make_response(asked)
    answer.answer.append(dns.rrset.from_text("da.example.com.", 60, "IN", "A", "192.0.2.9"))
    lost = dns.message.make_query("nls.example.com", "AAAA").to_wire()
    question = ip(CLIENT, SERVER, UDP, udp(asked.to_wire(), (50000, 53)))
    told = ip(SERVER, CLIENT, UDP, udp(answer.to_wire(), (53, 50000)))
    again = ip(CLIENT, SERVER, UDP, udp(lost, (50001, 53)))
    first, second = facts(DNSExchange, question, question, told, again, again)
    assert (first.name, first.type, first.server) == ("da.example.com", 1, SERVER)
    assert (first.answered, first.code, first.addresses) == (True, 0, ("192.0.2.9",))
    assert (second.name, second.answered, second.code) == ("nls.example.com", False, None)


def ike(*payloads: Payload, exchange: int = 0xF3, **fields: object) -> bytes:
    message = Message(
        protocol=Protocol.AUTHIP,
        initiator_spi=b"initiate",
        responder_spi=bytes(8),
        exchange=exchange,
        exchange_name="",
        encrypted=bool(fields.get("encrypted")),
        response=None,
        message_id=0,
        length=0,
        payloads=payloads,
    )
    return build_ike(message)


def test_authip_that_fails() -> None:
    ends = ("2001:db8::1", "2002:836b:2::836b:2")
    windows = Payload(
        PayloadType.VENDOR_ID_V1, bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009")
    )
    status = Payload(PayloadType.NOTIFY_V1, struct.pack("!IBBHI", 1, 1, 0, 0x9C54, 13801))
    first = ip(*ends, UDP, udp(ike(windows), (500, 500)))
    refused = ip(*ends[::-1], UDP, udp(ike(status, exchange=0xF6), (500, 500)))
    (fact,) = facts(IKEExchange, first, first, first, refused)
    assert (fact.initiator, fact.responder, fact.protocol) == (*ends, "AuthIP")
    assert (fact.answered, fact.retransmissions, fact.error_code) == (True, 2, 13801)
    assert fact.notifies == (0x9C54,)
    assert fact.vendors == ("Windows 8 or Server 2012 or later",)
    (silent,) = facts(IKEExchange, first, first, step=0.001)
    assert (silent.answered, silent.retransmissions) == (False, 0)


def test_ike_behind_a_nat() -> None:
    packet = ip(CLIENT, SERVER, UDP, udp(bytes(4) + ike(encrypted=True), (4500, 4500)))
    esp = ip(CLIENT, SERVER, UDP, udp(b"\0\0\0\1" + bytes(60), (4500, 4500)))
    (fact,) = facts(IKEExchange, packet, esp, esp, esp)
    assert fact.encrypted


@pytest.mark.parametrize(("port", "same"), [(40000, True), (40001, False)])
def test_teredo_qualification(port: int, same: bool) -> None:
    local, relay = parse_address("fe80::ffff:ffff:ffff"), parse_address("fe80::8000:f227:7c94:fffd")
    asked = build_icmpv6(RouterSolicitation(), source=local, destination=ALL_ROUTERS)
    answer = build_icmpv6(RouterAdvertisement(), source=relay, destination=local)
    packets = []
    for server, seen in (("131.107.0.2", 40000), ("131.107.0.3", port)):
        origin = Mapping(bytes((203, 0, 113, 9)), seen)
        told = build_teredo(TeredoPacket(packet=answer, origin=origin))
        packets += [
            ip(CLIENT, server, UDP, udp(asked, (50000, 3544))),
            ip(server, CLIENT, UDP, udp(told, (3544, 50000))),
        ]
    first, second = facts(TeredoExchange, *packets)
    assert (first.client, first.server) == (CLIENT, "131.107.0.2")
    assert (first.solicitations, first.answers) == (1, 1)
    assert first.same_mapping is second.same_mapping is same


def test_a_teredo_server_that_is_silent() -> None:
    local = parse_address("fe80::ffff:ffff:ffff")
    asked = build_icmpv6(RouterSolicitation(), source=local, destination=ALL_ROUTERS)
    (fact,) = facts(TeredoExchange, *[ip(CLIENT, SERVER, UDP, udp(asked, (50000, 3544)))] * 3)
    assert (fact.solicitations, fact.answers, fact.same_mapping) == (3, 0, None)


def test_router_advertisements() -> None:
    prefix = PrefixInformation(
        prefix=parse_address("2001:db8:1::"),
        length=64,
        on_link=True,
        autonomous=True,
        valid=1,
        preferred=1,
    )
    route = RouteInformation(prefix=parse_address("2001:db8::"), length=48, lifetime=600)
    sent = RouterAdvertisement(router_lifetime=0, prefixes=(prefix,), routes=(route,))
    packet = build_icmpv6(sent, source=parse_address("fe80::1"), destination=ALL_NODES)
    (fact,) = facts(RouterAdvertisementSeen, packet, packet)
    assert (fact.router, fact.lifetime) == ("fe80::1", 0)
    assert (fact.prefixes, fact.routes) == (("2001:db8:1::/64",), ("2001:db8::/48",))


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(ParseError, match="monitor mode"):
        list(PARSER.parse(evidence(pcap(b"frame", link=105))))
    with pytest.raises(ParseError):
        list(PARSER.parse(evidence(pcap(b"x" * 60)[:40])))
    broken = pcap(b"x" * 60) + struct.pack("<4I", 0, 0, 1 << 30, 0)
    (capture,) = PARSER.parse(evidence(broken))
    assert isinstance(capture, Capture)
    assert (capture.packets, capture.truncated) == (1, True)


def test_captures_and_traces_are_known_by_their_first_bytes() -> None:
    trace = bytearray(200)
    trace[:4] = (65536).to_bytes(4, "little")
    trace[74:76] = b"\x02\xc0"
    found = read_all(
        [
            Evidence("a.bin", content=pcap()),
            Evidence("b.bin", content=bytes(trace)),
            Evidence("c.bin", content=b"MZ" + bytes(200)),
        ],
        PARSERS,
    )
    assert [item.parsers for item in found.read] == [("network capture",), ("ETL trace",), ()]
    (refused,) = found.unreadable
    assert "etl2pcapng b.bin b.pcapng" in refused.why
    assert list(etl.parse(Evidence("b.etl"))) == []
    assert not etl.is_trace(bytes(trace[:75]))


@pytest.mark.parametrize("name", ["ethernet.pcap", "cooked.pcapng"])
def test_what_tcpdump_saw(name: str) -> None:
    content = (TLS.parent / "captures" / name).read_bytes()
    found = list(PARSER.parse(evidence(content)))
    refused, distrusted = [fact for fact in found if isinstance(fact, TLSHandshake)]
    assert (refused.offered, refused.alert, refused.alert_by_server) == ((0x3B,), 40, True)
    assert (refused.stage, refused.source.text) == (TLSStage.CLIENT_HELLO, "packet 1")
    assert (distrusted.alert, distrusted.alert_by_server) == (48, False)
    assert (distrusted.stage, distrusted.reset) == (TLSStage.CERTIFICATE, True)
    (shown,) = [fact for fact in found if isinstance(fact, Certificate)]
    assert shown.thumbprint == distrusted.certificate
    ends = {fact.port: fact.end for fact in found if isinstance(fact, TCPConnection)}
    assert ends[444] is ConnectionEnd.REFUSED
