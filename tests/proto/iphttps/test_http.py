import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import RemoteProtocolError, WireError
from throughway.proto.iphttps.http import (
    MAX_HEAD,
    URL,
    Request,
    RequestError,
    RequestReader,
    ResponseReader,
    build_refusal,
    build_request,
    build_response,
    http_date,
    parse_url,
)

DA = parse_url("https://da.example.com:443/IPHTTPS")


def read(data: bytes, url: URL = DA) -> Request | None:
    return RequestReader(url).receive_data(data)


def refused(data: bytes) -> int:
    with pytest.raises(RequestError) as caught:
        read(data)
    return caught.value.status


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join((line, *headers, "", "")).encode()


HOST, LENGTH = "Host: da.example.com", "Content-Length: 18446744073709551615"


@pytest.mark.parametrize(
    ("text", "authority", "path"),
    [
        ("https://da.example.com:443/IPHTTPS", "da.example.com", "/IPHTTPS"),
        ("https://DA.example.com/IPTLS", "da.example.com", "/IPTLS"),
        ("http://da.example.com:8080", "da.example.com:8080", "/"),
        ("https://[2001:db8::1]:4443/x", "[2001:db8::1]:4443", "/x"),
    ],
)
def test_urls(text: str, authority: str, path: str) -> None:
    url = parse_url(text)
    assert (url.authority, url.path) == (authority, path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "da.example.com",
        "ftp://da.example.com/",
        "https:///IPHTTPS",
        "https://da.example.com:99999/",
        "https://user@da.example.com/",
        "https://da.example.com/a b",
        "https://da.example.com/ü",
        "https://[::1/",
        "https://da.example.com/\r\nX: y",
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(WireError):
        parse_url(text)


def test_the_request_is_the_specification_s() -> None:
    assert build_request(DA) == (
        b"POST /IPHTTPS HTTP/1.1\r\nHost: da.example.com\r\n"
        b"Content-Length: 18446744073709551615\r\nContent-Type: application/octet-stream\r\n\r\n"
    )


def test_the_response_is_the_specification_s() -> None:
    """[MS-IPHTTPS] 4.1 has the same moment."""
    assert build_response(1218340312) == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 10 Aug 2008 03:51:52 GMT\r\nServer: throughway\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    assert http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


@given(st.binary(max_size=30), st.data())
def test_any_cut_of_our_request_opens(behind: bytes, data: st.DataObject) -> None:
    whole, reader = build_request(DA, "key-1"), RequestReader(DA)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert reader.receive_data(whole[:cut]) is None
    assert reader.receive_data(whole[cut:] + behind) == Request(session="key-1", remainder=behind)


@pytest.mark.parametrize(
    "request_head",
    [
        head("POST /IPHTTPS HTTP/1.1", HOST, LENGTH),
        head("POST /iphttps HTTP/1.1", "host: DA.EXAMPLE.COM:443", LENGTH),
        head("POST /IPHTTPS HTTP/1.1", "Host: da.example.com.", LENGTH, "X-Forwarded-For: 1.2.3.4"),
        head("POST https://da.example.com:443/IPHTTPS HTTP/1.1", HOST, LENGTH),
    ],
)
def test_what_is_served(request_head: bytes) -> None:
    assert read(request_head + b"`") == Request(session="", remainder=b"`")


@pytest.mark.parametrize(
    ("status", "request_head"),
    [
        (404, head("POST / HTTP/1.1", HOST, LENGTH)),
        (404, head("GET /favicon.ico HTTP/1.1", HOST)),
        (404, head("POST /IPHTTPS HTTP/1.1", "Host: www.example.com", LENGTH)),
        (404, head("POST /IPHTTPS HTTP/1.1", "Host: da.example.com:80", LENGTH)),
        (404, head("POST /IPHTTPS HTTP/1.1", "Host: [", LENGTH)),
        (404, head("POST http://[ HTTP/1.1", HOST, LENGTH)),
        (405, head("GET /IPHTTPS HTTP/1.1", HOST)),
        (400, head("POST /IPHTTPS HTTP/1.1", LENGTH)),
        (400, head("POST /IPHTTPS HTTP/1.1", HOST, HOST, LENGTH)),
        (400, head("POST /IPHTTPS HTTP/1.1", HOST, "Content-Length: x")),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"),
        (400, head("POST /IPHTTPS HTTP/1.1", HOST, LENGTH, "Throughway-Session: " + "a" * 129)),
        (411, head("POST /IPHTTPS HTTP/1.1", HOST)),
        (411, head("POST /IPHTTPS HTTP/1.1", HOST, "Transfer-Encoding: chunked")),
        (431, b"POST /IPHTTPS HTTP/1.1\r\nX: " + b"a" * MAX_HEAD),
        (431, head("POST /IPHTTPS HTTP/1.1", HOST, LENGTH, "X: " + "a" * MAX_HEAD)),
        (501, head("POST /IPHTTPS HTTP/1.1", HOST, "Transfer-Encoding: gzip")),
        (505, head("POST /IPHTTPS HTTP/1.0", HOST, LENGTH)),
        (505, head("POST /IPHTTPS HTTP/2.0", HOST, LENGTH)),
    ],
)
def test_what_is_refused_and_how(status: int, request_head: bytes) -> None:
    assert refused(request_head) == status


def test_a_refusal_says_which_method_it_is() -> None:
    lines = build_refusal(405, "POST only.", 0).decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 405 Method Not Allowed"
    assert "Allow: POST" in lines
    assert "Content-Length: 11" in lines
    assert lines[-1] == "POST only.\n"


def test_responses_are_read_in_any_pieces() -> None:
    reader = ResponseReader()
    for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + build_response(0)[:-1]:
        assert reader.receive_data(bytes((byte,))) is None
    response = reader.receive_data(b"\n`abc")
    assert response is not None
    assert (response.status, response.server, response.remainder) == (200, "throughway", b"`abc")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD + b"\r\n\r\n",
        b"a" * (MAX_HEAD + 1),
    ],
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ResponseReader().receive_data(data)


def test_a_server_that_only_says_continue_is_none() -> None:
    reader, said = ResponseReader(), b"HTTP/1.1 100 Continue\r\n\r\n"
    for _ in range(MAX_HEAD // len(said)):
        assert reader.receive_data(said) is None
    with pytest.raises(RemoteProtocolError, match="more than"):
        reader.receive_data(said)
