"""Kerberos through HTTPS: messages there and back, and only what is exactly as it must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.kkdcp import (
    AS_REQ,
    MAX_MESSAGE,
    TGS_REQ,
    KDCRequest,
    ProxyMessage,
    build_proxy_message,
    parse_kdc_request,
    parse_proxy_message,
)


def der(tag: int, *content: bytes) -> bytes:
    data = b"".join(content)
    if len(data) < 0x80:
        return bytes((tag, len(data))) + data
    size = (len(data).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(data).to_bytes(size, "big") + data


def principal(*names: str) -> bytes:
    kind = der(0xA0, der(0x02, b"\x01"))
    strings = (der(0x1B, name.encode()) for name in names)
    return der(0x30, kind, der(0xA1, der(0x30, *strings)))


def kdc_request(
    kind: int = AS_REQ,
    *,
    client: tuple[str, ...] = ("CLIENT1$",),
    realm: str = "CORP.EXAMPLE.COM",
    service: tuple[str, ...] = ("krbtgt", "CORP.EXAMPLE.COM"),
    number: int | None = None,
) -> bytes:
    """Build a KDC-REQ (RFC 4120 section 5.4.1) as MIT Kerberos does."""
    body = der(
        0x30,
        der(0xA0, der(0x03, b"\0\0\0\0\x10")),
        der(0xA1, principal(*client)) if client else b"",
        der(0xA2, der(0x1B, realm.encode())),
        der(0xA3, principal(*service)),
        der(0xA5, der(0x18, b"20260101000000Z")),
    )
    version, kind_field = der(0x02, b"\x05"), der(0x02, bytes((number or kind,)))
    fields = (der(0xA1, version), der(0xA2, kind_field), der(0xA3, b"\x30\0"), der(0xA4, body))
    return der(0x60 | kind, der(0x30, *fields))


def test_an_as_req() -> None:
    assert parse_kdc_request(kdc_request()) == KDCRequest(
        kind=AS_REQ,
        client="CLIENT1$",
        realm="CORP.EXAMPLE.COM",
        service="krbtgt/CORP.EXAMPLE.COM",
    )


def test_a_tgs_req_names_no_client() -> None:
    asked = parse_kdc_request(kdc_request(TGS_REQ, client=(), service=("host", "da.example.com")))
    assert (asked.kind, asked.client, asked.service) == (TGS_REQ, "", "host/da.example.com")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x6e\x00",
        kdc_request(number=TGS_REQ),
        kdc_request(client=("a/b",)),
        kdc_request(client=("\x07",)),
        kdc_request(realm="\x00"),
        kdc_request() + b"\0",
        kdc_request()[:-1],
        der(0x6A, der(0x30, der(0xA4, b""), der(0xA1, b""))),
    ],
)
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_kdc_request(data)


@given(st.binary(min_size=1, max_size=400), st.sampled_from(["", "CORP.EXAMPLE.COM"]))
def test_a_message_there_and_back(message: bytes, realm: str) -> None:
    whole = ProxyMessage(message=message, realm=realm)
    assert parse_proxy_message(build_proxy_message(whole)) == whole


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for parse in (parse_proxy_message, parse_kdc_request):
        try:
            parse(data)
        except WireError:
            continue


@given(st.data())
def test_a_request_that_is_cut_or_changed(data: st.DataObject) -> None:
    good = bytearray(kdc_request())
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] = data.draw(st.integers(0, 255))
    try:
        asked = parse_kdc_request(bytes(good[: data.draw(st.integers(0, len(good)))]))
    except WireError:
        return
    assert asked.kind in (AS_REQ, TGS_REQ)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_a_message_that_lies_about_its_length(length: int) -> None:
    framed = length.to_bytes(4, "big") + b"abcd"
    with pytest.raises(WireError, match="claims"):
        parse_proxy_message(der(0x30, der(0xA0, der(0x04, framed))))


def test_a_message_without_end_is_none() -> None:
    with pytest.raises(WireError):
        parse_proxy_message(bytes(MAX_MESSAGE + 1))
