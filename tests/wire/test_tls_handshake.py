"""Handshake messages by themselves; whole handshakes are in test_tls."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.tls_handshake import (
    NULL_SUITES,
    ClientHello,
    HandshakeType,
    OtherMessage,
    build_client_hello,
    is_grease,
    parse_certificate,
    parse_certificate_request,
    parse_client_hello,
    parse_handshake,
    parse_server_hello,
)

GREASE = [n << 12 | 0x0A00 | n << 4 | 0x0A for n in range(16)]
PLAIN = st.integers(1, 0xFFFF).filter(lambda n: not is_grease(n) and n not in (0xFF, 0x5600))
HELLOS = st.builds(
    ClientHello,
    version=st.just(0x0303),
    versions=st.lists(PLAIN, min_size=2, max_size=5).map(tuple),
    suites=st.lists(PLAIN, max_size=20).map(tuple),
    server_name=st.none() | st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z]{1,9}){0,3}", fullmatch=True),
    protocols=st.lists(st.sampled_from(["h2", "http/1.1"]), max_size=2).map(tuple),
    session=st.binary(max_size=32),
)


@given(HELLOS)
def test_hellos_come_back(hello: ClientHello) -> None:
    data = build_client_hello(hello)
    assert data[0] == HandshakeType.CLIENT_HELLO
    assert int.from_bytes(data[1:4], "big") == len(data) - 4
    assert parse_client_hello(data[4:]) == hello


@given(HELLOS, st.integers(0, 400))
def test_a_hello_that_is_cut_off(hello: ClientHello, length: int) -> None:
    body = build_client_hello(hello)[4:]
    if length < len(body):
        # It may end just where extensions would begin, as old hellos do.
        with contextlib.suppress(WireError):
            assert parse_client_hello(body[:length]).suites == hello.suites


def test_grease_and_signals_are_left_out() -> None:
    offered = (GREASE[3], 0x3B, 0x00FF, 0x5600, 0x1301)
    hello = ClientHello(version=0x0303, versions=(GREASE[0], 0x0304), suites=offered)
    read = parse_client_hello(build_client_hello(hello)[4:])
    assert (read.suites, read.versions) == ((0x3B, 0x1301), (0x0304,))
    assert read.null_suites == (0x3B,)
    assert all(map(is_grease, GREASE))
    assert not any(map(is_grease, NULL_SUITES))


def test_a_hello_without_extensions() -> None:
    body = b"\x03\x00" + bytes(32) + b"\0" + b"\0\2\0\2" + b"\1\0"
    hello = parse_client_hello(body)
    assert (hello.versions, hello.server_name, hello.protocols) == ((0x0300,), None, ())


def test_a_request_of_tls_1_1_has_no_algorithms() -> None:
    names = b"\0\3abc\0\1x"
    old = b"\2\1\2" + len(names).to_bytes(2, "big") + names
    new = b"\1\1" + b"\0\2\4\1" + len(names).to_bytes(2, "big") + names
    assert parse_certificate_request(old).authorities == (b"abc", b"x")
    assert parse_certificate_request(new).authorities == (b"abc", b"x")
    assert parse_certificate_request(new).types == (1,)
    with pytest.raises(WireError):
        parse_certificate_request(new[:-1])


def test_what_is_not_told_apart_keeps_its_type() -> None:
    assert parse_handshake(20, bytes(12)) == OtherMessage(20, 12)


@pytest.mark.parametrize(
    "body",
    [b"", b"\x03\x03" + bytes(33) + b"\0\1\0\1\0", bytes(35) + b"\0\3abc\1\0"],
)
def test_broken_hellos(body: bytes) -> None:
    with pytest.raises(WireError):
        parse_client_hello(body)


def test_broken_messages() -> None:
    for parse in (parse_server_hello, parse_certificate):
        with pytest.raises(WireError):
            parse(b"\0\0\5abc")
    many = b"\0\0\0" * 33
    with pytest.raises(WireError, match="more than"):
        parse_certificate(len(many).to_bytes(3, "big") + many)
    with pytest.raises(WireError):
        parse_handshake(HandshakeType.SSL2_CLIENT_HELLO, b"\2" + bytes(20))
