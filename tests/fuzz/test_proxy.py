"""Any bytes from a proxy: an event of the machine, never another exception, never a secret."""

import base64
import struct

from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.proto.proxy import digest
from throughway.proto.proxy.challenges import MAXIMUM_CHALLENGES, Challenge, parse_challenges
from throughway.proto.proxy.connect import (
    MAXIMUM_REQUESTS,
    ConnectionWanted,
    State,
    TicketWanted,
    Tunnel,
    TunnelFailed,
    TunnelOpened,
)
from throughway.proto.proxy.ntlm import NTLM
from throughway.proto.proxy.schemes import Credentials, Means, Memory
from throughway.proto.proxy.script import Functions, Surroundings, Value
from throughway.proto.proxy.ways import bypassed, parse_proxy_url, parse_routes
from throughway.wire.ntlm import (
    build_authenticate,
    build_challenge,
    parse_authenticate,
    parse_challenge,
    parse_pairs,
)
from throughway.wire.spnego import build_init

PASSWORD = "dr0wssap"
WHO = Credentials(user="alice", password=PASSWORD, domain="CORP", ticket=True)
MEANS = Means(random=lambda n: b"\x07" * n, wall_time=lambda: 1.8e9)
AROUND = Surroundings(
    resolve=lambda _name: ("192.0.2.1", "2001:db8::1"), addresses=("192.0.2.2",), wall_time=1.8e9
)
WORDS = st.sampled_from(
    [
        *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"407 ", b"200 ", b"302 ", b"100 ", b"\r\n", b"\r\n\r\n"),
        *(
            b"Proxy-Authenticate: ",
            b"Basic realm=x",
            b'Digest nonce="n", realm="\xfc"',
            b", stale=true",
        ),
        *(b"NTLM", b"Negotiate ", base64.b64encode(b"NTLMSSP\0\2\0\0\0" + bytes(44)), b", "),
        *(b"Content-Length: ", b"0", b"3", b"Transfer-Encoding: chunked", b"Connection: close"),
        *(b"5\r\nhello\r\n0\r\n\r\n", b"Proxy-Authentication-Info: nextnonce="),
    ]
)
LATIN = st.text(st.characters(max_codepoint=0xFF))
STREAMS = st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=30).map(b"".join)


@given(st.lists(STREAMS, max_size=6), st.integers(1, 64), st.booleans())
def test_tunnel(streams: list[bytes], size: int, tickets: bool) -> None:
    """Every connection gets one of the streams; then it ends."""
    machine = Tunnel("da.example.com", 443, credentials=WHO, memory=Memory(), means=MEANS)
    machine.start(0.0)
    waiting, said = list(streams), b""
    connections = 0
    while machine.state not in (State.OPEN, State.FAILED):
        event = machine.next_event()
        said += machine.data_to_send()
        match event:
            case ConnectionWanted():
                connections += 1
                machine.connection_made(0.0)
            case TicketWanted() if tickets:
                machine.receive_ticket(b"ticket", 0.0)
            case TicketWanted():
                machine.ticket_failed("none", 0.0)
            case None:
                data = waiting.pop() if waiting else b""
                for start in range(0, len(data), size):
                    if machine.state in (State.ASKED, State.DRAINING):
                        machine.receive_data(data[start : start + size], 0.0)
                if not data or not waiting:
                    machine.receive_data(b"", 0.0)
        assert connections <= MAXIMUM_REQUESTS + 1
    event = machine.next_event()
    while not isinstance(event, TunnelOpened | TunnelFailed):
        assert event is not None
        event = machine.next_event()
    if isinstance(event, TunnelFailed):
        assert PASSWORD not in str(event.error)
        assert event.error.problem.startswith("proxy-")


@given(st.lists(st.text(max_size=80), max_size=4))
def test_challenges(headers: list[str]) -> None:
    found = parse_challenges(headers)
    assert len(found) <= MAXIMUM_CHALLENGES
    assert all(challenge.scheme for challenge in found)


@given(st.dictionaries(st.sampled_from(["realm", "nonce", "opaque", "charset"]), LATIN))
def test_digest_parameters_come_back(given_: dict[str, str]) -> None:
    challenge = Challenge("digest", parameters=tuple(given_.items()))
    if digest.usable(challenge):
        value = digest.authorize(
            digest.begin(challenge), user="u", password="p", method="CONNECT", uri="h:1", cnonce="c"
        )
        (read,) = parse_challenges([value])
        assert read.get("realm") == given_.get("realm", "")
        assert read.get("nonce") == given_["nonce"]


@given(st.binary(max_size=200))
def test_ntlm_messages(data: bytes) -> None:
    for text in (data, b"NTLMSSP\0\2\0\0\0" + data, b"NTLMSSP\0\3\0\0\0" + data):
        try:
            message = parse_challenge(text)
        except WireError:
            pass
        else:
            assert parse_challenge(build_challenge(message)).challenge == message.challenge
            NTLM("u", "p", "d", "w").authenticate(text, nonce=bytes(8), wall_time=0.0)
        try:
            proof = parse_authenticate(text)
        except WireError:
            continue
        build_authenticate(proof)


@given(st.binary(max_size=100), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_ntlm_pairs(data: bytes, kind: int, length: int) -> None:
    for text in (data, struct.pack("<HH", kind, length) + data):
        try:
            parse_pairs(text)
        except WireError:
            continue


@given(st.binary(max_size=300))
def test_spnego_holds_its_token(token: bytes) -> None:
    assert build_init(token).endswith(token)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))


@given(st.sampled_from(sorted(Functions(AROUND).table())), st.lists(VALUES, max_size=8))
def test_functions_of_scripts(name: str, arguments: list[Value]) -> None:
    """Whatever a script gives a function, it gets what JavaScript can hold."""
    answer = Functions(AROUND).table()[name](*arguments)
    assert answer is None or isinstance(answer, str | int | bool)


@given(st.text(max_size=60), st.text(max_size=30))
def test_words_of_people_and_scripts(text: str, host: str) -> None:
    assert all(route is None or 0 < route[1] <= 0xFFFF for route in parse_routes(text))
    bypassed(host, 443, text)
    try:
        proxy = parse_proxy_url(text)
    except ValueError:
        return
    assert proxy.host
