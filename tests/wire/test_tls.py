"""TLS streams without keys; the vectors are what OpenSSL's two ends said to each other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.tls import (
    ALERTS,
    MAXIMUM_RECORD,
    Alert,
    ContentType,
    Opening,
    Record,
    Stream,
    build_record,
    parse_alert,
    parse_record,
    read_stream,
    recognise,
)
from throughway.wire.tls_handshake import (
    Certificate,
    CertificateRequest,
    ClientHello,
    HandshakeType,
    ServerHello,
    build_client_hello,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "tls"


def said(name: str) -> tuple[Stream, Stream]:
    """Return what both ends said."""
    ends = ((VECTORS / f"{name}.{end}").read_bytes() for end in ("client", "server"))
    client, server = map(read_stream, ends)
    assert client.broken == server.broken == ""
    return client, server


def types(stream: Stream) -> list[int]:
    return [message.type for message in stream.messages]


def test_a_session_with_a_null_suite() -> None:
    client, server = said("null-sha256")
    hello, answer = client.messages[0], server.messages[0]
    assert isinstance(hello, ClientHello)
    assert isinstance(answer, ServerHello)
    assert hello.suites == hello.null_suites == (0x003B, 0x0002)
    assert (hello.server_name, hello.versions) == ("da.example.com", (0x0303,))
    assert (answer.suite, answer.version, answer.null_suite) == (0x003B, 0x0303, True)
    assert types(server)[1:] == [
        HandshakeType.CERTIFICATE,
        HandshakeType.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE,
        HandshakeType.NEW_SESSION_TICKET,
    ]
    assert types(client)[1:] == [
        HandshakeType.CERTIFICATE,
        HandshakeType.CLIENT_KEY_EXCHANGE,
        HandshakeType.CERTIFICATE_VERIFY,
    ]
    shown, wanted = server.messages[1], server.messages[2]
    assert isinstance(shown, Certificate)
    assert isinstance(wanted, CertificateRequest)
    assert [chain[:2] for chain in shown.chain] == [b"\x30\x82"] * 2
    assert wanted.authorities == ()
    assert b"Example Root" in shown.chain[1]
    assert client.ciphered
    assert server.ciphered
    assert client.application.startswith(b"POST /IPHTTPS HTTP/1.1\r\n\r\n")


def test_no_common_suite() -> None:
    client, server = said("no-common-suite")
    assert types(client) == [HandshakeType.CLIENT_HELLO]
    assert types(server) == []
    assert server.alerts == (Alert(2, 40),)
    assert (server.alerts[0].name, server.alerts[0].fatal) == ("handshake_failure", True)
    assert not server.ciphered


def test_a_client_without_certificate() -> None:
    client, server = said("client-certificate-missing")
    assert HandshakeType.CERTIFICATE_REQUEST in types(server)
    assert Certificate(chain=()) in client.messages
    assert [alert.fatal for alert in server.alerts] == [True]
    assert not server.ciphered


def test_a_client_that_refuses_the_certificate() -> None:
    client, server = said("certificate-refused")
    assert types(server)[:2] == [HandshakeType.SERVER_HELLO, HandshakeType.CERTIFICATE]
    assert [alert.name for alert in client.alerts] == ["bad_certificate"]


def test_tls_1_3() -> None:
    client, server = said("tls13")
    hello, answer = client.messages[0], server.messages[0]
    assert isinstance(hello, ClientHello)
    assert isinstance(answer, ServerHello)
    assert hello.versions == (0x0304,)
    assert hello.version == 0x0303
    assert hello.protocols == ("h2", "http/1.1")
    assert (answer.version, answer.retry, answer.null_suite) == (0x0304, False, False)
    assert (types(client), types(server)) == ([1], [2])
    assert server.encrypted_records > 3
    assert client.ciphered


def test_a_hello_said_twice() -> None:
    client, server = said("hello-retry")
    assert types(client) == [HandshakeType.CLIENT_HELLO] * 2
    retries = [message.retry for message in server.messages if isinstance(message, ServerHello)]
    assert retries == [True, False]


def test_no_common_version() -> None:
    _, server = said("no-common-version")
    assert [alert.name for alert in server.alerts] == ["protocol_version"]


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.*r*")), ids=lambda path: path.name)
def test_a_stream_may_end_anywhere(path: Path) -> None:
    if path.name == "ORIGIN":
        return
    content = path.read_bytes()
    whole = read_stream(content).messages
    for end in range(0, len(content), 53):
        part = read_stream(content[:end])
        assert part.broken == ""
        assert part.messages == whole[: len(part.messages)]


def test_an_ssl2_hello() -> None:
    body = bytes.fromhex("01030300090000001000003b0000ff01002f") + bytes(16)
    stream = read_stream(
        bytes((0x80, len(body))) + body + build_record(Record(21, 0x0301, b"\2\x28"))
    )
    hello = stream.messages[0]
    assert isinstance(hello, ClientHello)
    assert (hello.suites, hello.version) == ((0x3B,), 0x0303)
    assert stream.alerts == (Alert(2, 40),)
    assert read_stream(b"\x80\x40\x01\x03\x03").messages == ()
    assert read_stream(b"\x80\x04\x01\x03\x03\0").broken


def test_a_message_in_many_records() -> None:
    hello = build_client_hello(ClientHello(version=0x0303, versions=(0x0303,), suites=(0x3B, 2)))
    records = b"".join(
        build_record(Record(22, 0x0301, hello[n : n + 1])) for n in range(len(hello))
    )
    assert types(read_stream(records)) == [HandshakeType.CLIENT_HELLO]


@pytest.mark.parametrize(
    ("head", "opening"),
    [
        (b"\x16\x03\x01\x02\x00", Opening.TLS),
        (b"\x15\x03\x01\x00\x02", Opening.TLS),
        (b"\x80\x2e\x01\x03\x01", Opening.SSL2),
        (b"GET / HTTP/1.1", Opening.HTTP_REQUEST),
        (b"CONNECT da:443", Opening.HTTP_REQUEST),
        (b"HTTP/1.1 407 ", Opening.HTTP_RESPONSE),
        (b"SSH-2.0-x", Opening.SSH),
        (b"220 mail ready", Opening.GREETING),
        (b"\0\0\0\x85\xffSMB", Opening.OTHER),
        (b"lower case", Opening.OTHER),
        (b"\x16", None),
        (b"GET", None),
        (b"", None),
    ],
)
def test_how_streams_begin(head: bytes, opening: Opening | None) -> None:
    assert recognise(head) is opening


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01\xff\xff",
        build_record(Record(21, 0x0303, b"\7\x28")),
        build_record(Record(22, 0x0303, b"\1\xff\xff\xff")),
        build_record(Record(22, 0x0303, b"\1\0\0\3\3\3\0")),
        build_record(Record(22, 0x0303, b"\0\0\0\0" * 257)),
    ],
)
def test_what_is_no_tls_is_said(stream: bytes) -> None:
    assert read_stream(stream).broken


def test_alerts_under_keys_are_only_counted() -> None:
    change, alert = Record(20, 0x0303, b"\1"), Record(21, 0x0303, bytes(40))
    stream = read_stream(build_record(change) + build_record(alert))
    assert (stream.alerts, stream.encrypted_alerts) == ((), 1)


def test_names_of_alerts() -> None:
    assert Alert(2, 48).name == ALERTS[48] == "unknown_ca"
    assert Alert(1, 200).name == "alert 200"
    with pytest.raises(WireError):
        parse_alert(b"\2")


@given(
    st.builds(
        Record, st.sampled_from(ContentType), st.integers(0x0300, 0x0304), st.binary(max_size=200)
    )
)
def test_records_come_back(record: Record) -> None:
    assert parse_record(b"xx" + build_record(record) + b"x", 2) == record


def test_records_have_a_limit() -> None:
    with pytest.raises(WireError):
        build_record(Record(23, 0x0303, bytes(MAXIMUM_RECORD + 1)))
