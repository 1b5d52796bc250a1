"""Heads of HTTP as proxies and portals say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.http import MAXIMUM_HEADERS, parse_request, parse_response


def test_connect() -> None:
    request = parse_request(
        b"CONNECT da.example.com:443 HTTP/1.1\r\nHost: da.example.com:443\r\n\r\n\x16\x03\x01"
    )
    assert (request.method, request.target) == ("CONNECT", "da.example.com:443")
    assert request.headers.get("host") == "da.example.com:443"
    assert (request.complete, request.length) == (True, 65)


def test_a_proxy_that_wants_to_know_who() -> None:
    response = parse_response(
        b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b"Proxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n<html>"
    )
    assert (response.status, response.reason) == (407, "Proxy Authentication Required")
    assert response.headers.all("proxy-authenticate") == ("Negotiate", "NTLM")
    assert response.headers.get("location") == ""
    assert response.redirect == ""


def test_a_portal() -> None:
    response = parse_response(b"HTTP/1.0 302\nLocation: http://portal.example/login?x=1\n\n")
    assert response.redirect == "http://portal.example/login?x=1"
    assert response.complete


def test_a_head_that_has_not_ended() -> None:
    response = parse_response(b"HTTP/1.1 200 OK\r\nServer: x\r\nno colon\r\nDate")
    assert (response.complete, response.headers.items) == (False, (("server", "x"),))


def test_headers_have_a_limit() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAXIMUM_HEADERS + 50) + b"\r\n"
    assert len(parse_request(head).headers.items) == MAXIMUM_HEADERS


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1", b"FOO / HTTP/1.1\r\n\r\n", b"\x16\x03\r\n\r\n", b"GET\r\n\r\n"]
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_request(data)
    with pytest.raises(WireError):
        parse_response(data)


NAMES = st.from_regex(r"[a-z][a-z-]{0,10}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.from_regex(r"[!-~]{0,20}", fullmatch=True)), max_size=9))
def test_headers_come_back(items: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in items)
    request = parse_request(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
    assert request.headers.items == tuple(items)
