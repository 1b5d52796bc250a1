"""Hostile bytes: only the errors that are promised come out of wire and proto."""

import contextlib
import random

from hypothesis import given
from hypothesis import strategies as st

from throughway.model.config import AuthenticationMode
from throughway.model.errors import RemoteProtocolError, WireError
from throughway.proto.iphttps.client import Client, State
from throughway.proto.iphttps.http import (
    RequestError,
    RequestReader,
    ResponseReader,
    build_request,
    build_response,
    parse_url,
)
from throughway.proto.iphttps.server import Limits, Server
from throughway.proto.iphttps.session import Session, SessionState
from throughway.proto.iphttps.slowpath import PacketForClient, PacketForHost
from throughway.proto.iphttps.stream import may_leave, sort_packets
from throughway.proto.router import Link, Router
from throughway.wire import icmpv6
from throughway.wire.icmpv6 import build_icmpv6, checksum, parse_icmpv6
from throughway.wire.ipv6 import (
    IPv6Packet,
    build_packet,
    format_address,
    parse_address,
    parse_packet,
    parse_prefix,
)

URL = parse_url("https://da.example.com/IPHTTPS")
LINK = Link.of("2001:db8:da:1000::/64")
ADDRESSES = st.sampled_from(
    [
        *("2001:db8:da:1000::1", "2001:db8:da:1000::a", "2001:db8:da:1000::b", "2001:db8:c0::80"),
        *("fe80::1", "fe80::a", "ff02::1", "ff02::2", "ff02::1:ff00:a", "::", "::1"),
    ]
).map(parse_address) | st.binary(min_size=16, max_size=16)
TYPES = st.sampled_from([128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143]) | st.integers(
    0, 255
)


@st.composite
def discovery(draw: st.DrawFn) -> bytes:
    """An ICMPv6 packet with a right checksum and anything else wrong."""
    source, destination = draw(ADDRESSES), draw(ADDRESSES)
    target = draw(ADDRESSES)
    body = bytes((draw(TYPES), draw(st.sampled_from([0, 0, 0, 1])), 0, 0)) + draw(
        st.binary(min_size=4, max_size=4)
    )
    body += draw(st.sampled_from([b"", target, target[:9]])) + draw(st.binary(max_size=40))
    total = checksum(source, destination, body).to_bytes(2, "big")
    return build_packet(
        IPv6Packet(
            source=source,
            destination=destination,
            next_header=draw(st.sampled_from([58, 58, 58, 0, 59])),
            hop_limit=draw(st.sampled_from([255, 255, 64])),
            payload=body[:2] + total + body[4:],
        )
    )


@given(st.binary(max_size=200) | discovery())
def test_packets(data: bytes) -> None:
    with contextlib.suppress(WireError):
        packet = parse_packet(data)
        assert build_packet(packet) == data
        message = parse_icmpv6(packet)
        again = build_icmpv6(message, source=packet.source, destination=packet.destination)
        assert parse_icmpv6(parse_packet(again)) == message


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z.\[\]:0-9@%/]{0,40}", fullmatch=True))
def test_texts(text: str) -> None:
    for parse in (parse_address, parse_prefix, parse_url, Link.of):
        with contextlib.suppress(WireError):
            parse(text)


@given(st.binary(max_size=20))
def test_address_bytes(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert parse_address(format_address(data)) == data


LINES = st.sampled_from(
    [
        *(b"POST /IPHTTPS HTTP/1.1", b"GET / HTTP/1.1", b"POST /IPHTTPS HTTP/9.9", b"PRI * HTTP/2"),
        *(b"Host: da.example.com", b"Host: [::", b"Host:", b"Content-Length: 18446744073709551615"),
        *(b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Throughway-Session: k", b" x"),
        *(b"", b"HTTP/1.1 200 OK", b"HTTP/1.1 101 Switching", b"HTTP/1.1 204 No", b"Server: \xff"),
    ]
)
HEADS = st.lists(LINES | st.binary(max_size=30), max_size=8).map(b"\r\n".join) | st.binary()
CHUNKS = st.lists(HEADS | st.just(b"\r\n\r\n"), max_size=6)


@given(CHUNKS)
def test_requests(chunks: list[bytes]) -> None:
    reader = RequestReader(URL)
    with contextlib.suppress(RequestError):
        for chunk in chunks:
            if reader.receive_data(chunk) is not None:
                break


@given(CHUNKS)
def test_responses(chunks: list[bytes]) -> None:
    reader = ResponseReader()
    with contextlib.suppress(RemoteProtocolError):
        for chunk in chunks:
            if reader.receive_data(chunk) is not None:
                break


@given(CHUNKS)
def test_the_client(chunks: list[bytes]) -> None:
    client = Client(URL)
    client.enable()
    client.initialize()
    client.connection_made(0)
    for chunk in chunks:
        client.receive_data(chunk, 0)
    assert client.state in (State.ESTABLISHED, State.LINK_DOWN, State.LINK_UP)


def judge(server: Server, session: Session, packet: bytes, now: float) -> None:
    """Feed one packet, and hold what comes out against the rules for every session."""
    session.heard_at = now
    server.receive_slow(session, packet, now)
    certificates = server.authentication is AuthenticationMode.CERTIFICATES
    while (event := server.next_event()) is not None:
        match event:
            case PacketForHost(out):
                seen = parse_packet(out)
                assert server.neighbours.sessions[seen.source] is session
                assert may_leave(seen.destination, LINK) or seen.destination == LINK.link_local
            case PacketForClient(to, out) if to is not session and out == packet:
                seen = parse_packet(out)
                assert certificates
                assert seen.destination[0] == 0xFF
                assert seen.payload[:1] != bytes((icmpv6.ROUTER_ADVERTISEMENT,)) or (
                    seen.next_header != icmpv6.NEXT_HEADER
                )
            case PacketForClient(_, out):
                parse_icmpv6(parse_packet(out))


@given(
    st.sampled_from(AuthenticationMode),
    st.lists(st.tuples(st.integers(0, 2), discovery(), st.floats(0, 3)), max_size=25),
)
def test_the_slow_path(mode: AuthenticationMode, packets: list[tuple[int, bytes, float]]) -> None:
    server = Server(
        URL,
        Router(LINK, now=0),
        authentication=mode,
        limits=Limits(max_addresses_per_session=2),
        wall_clock=lambda: 0.0,
    )
    server.start()
    sessions = []
    for _ in range(3):
        session = server.accept("192.0.2.1", 1, "192.0.2.1", 0)
        assert session is not None
        session.certificate = "CN=x"
        server.receive_data(session, build_request(URL), 0)
        sessions.append(session)
    while server.next_event() is not None:
        pass
    now = 0.0
    for number, packet, pause in packets:
        now += pause
        judge(server, sessions[number], packet, now)
        server.handle_timer(now)
        owned = {a: s for s in sessions for a in s.owned}
        assert owned == server.neighbours.sessions
        assert all(len(s.owned) <= 2 for s in sessions)


@given(CHUNKS)
def test_the_server_answers_or_waits(chunks: list[bytes]) -> None:
    server = Server(URL, Router(LINK, now=0), wall_clock=lambda: 0.0)
    server.start()
    session = server.accept("192.0.2.1", 1, "192.0.2.1", 0)
    assert session is not None
    for chunk in chunks:
        server.receive_data(session, chunk, 0)
    begins = {
        SessionState.HALF_OPEN: (b"",),
        SessionState.OPEN: (b"HTTP/1.1 200 ",),
        SessionState.CLOSED: (b"HTTP/1.1 4", b"HTTP/1.1 5"),
    }
    assert session.data_to_send().startswith(begins[session.state])


def test_mangled_exchanges() -> None:
    """Whole exchanges with a few bytes changed, many times over."""
    chance = random.Random(1)
    request = build_request(URL, "key") + Router(LINK, now=0).advertisement()
    response = build_response(0) + Router(LINK, now=0).advertisement()
    for _ in range(3000):
        up, down = bytearray(request), bytearray(response)
        for data in (up, down):
            for _ in range(chance.randrange(4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(RequestError):
            asked = RequestReader(URL).receive_data(bytes(up))
            if asked is not None:
                sort_packets(asked.remainder, len(asked.remainder), owned=set(), link=LINK)
        with contextlib.suppress(RemoteProtocolError):
            answer = ResponseReader().receive_data(bytes(down))
            if answer is not None:
                sort_packets(answer.remainder, len(answer.remainder))
