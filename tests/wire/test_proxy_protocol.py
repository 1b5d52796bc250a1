"""Headers as nginx and HAProxy write them, and what is none."""

import struct

import pytest

from throughway.model.errors import WireError
from throughway.wire.proxy_protocol import (
    MAX_TLVS,
    MAX_V1,
    MAX_V2,
    ClientTLS,
    ProxyHeader,
    build_v1,
    parse_proxy_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


IPV4 = bytes((192, 0, 2, 7, 198, 51, 100, 1)) + struct.pack("!HH", 4711, 443)
IPV6 = bytes.fromhex("20010db8") + bytes(11) + b"\x07" + bytes(15) + b"\x01"
IPV6 += struct.pack("!HH", 4711, 443)
TLS = tlv(
    0x20,
    struct.pack("!BI", 7, 0)
    + tlv(0x21, b"TLSv1.3")
    + tlv(0x23, b"TLS_AES_256_GCM_SHA384")
    + tlv(0x22, b"client1.corp.example.com"),
)
CLIENT = {
    "source": "192.0.2.7",
    "source_port": 4711,
    "destination": "198.51.100.1",
    "destination_port": 443,
}

GOOD: dict[str, tuple[bytes, ProxyHeader]] = {
    "v1 IPv4": (
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
        ProxyHeader(version=1, **CLIENT),  # type: ignore[arg-type]
    ),
    "v1 IPv6": (
        b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n",
        ProxyHeader(
            version=1,
            source="2001:db8::7",
            source_port=4711,
            destination="::1",
            destination_port=443,
        ),
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader(version=1)),
    "v1 unknown with more": (b"PROXY UNKNOWN ff ff 1 what?\r\n", ProxyHeader(version=1)),
    "v2 IPv4": (v2(0x21, 0x11, IPV4), ProxyHeader(version=2, **CLIENT)),  # type: ignore[arg-type]
    "v2 IPv6": (
        v2(0x21, 0x21, IPV6),
        ProxyHeader(
            version=2,
            source="2001:db8::7",
            source_port=4711,
            destination="::1",
            destination_port=443,
        ),
    ),
    "v2 IPv4 in IPv6": (
        v2(
            0x21,
            0x21,
            (bytes(10) + b"\xff\xff" + IPV4[:4] + bytes(10) + b"\xff\xff" + IPV4[4:8] + IPV4[8:]),
        ),
        ProxyHeader(version=2, **CLIENT),  # type: ignore[arg-type]
    ),
    "v2 local": (v2(0x20, 0x00, b""), ProxyHeader(version=2, local=True)),
    "v2 local, with what must be ignored": (
        v2(0x20, 0x11, b"what?"),
        ProxyHeader(version=2, local=True),
    ),
    "v2 AF_UNSPEC": (v2(0x21, 0x00, b"anything"), ProxyHeader(version=2)),
    "v2 AF_UNIX": (v2(0x21, 0x31, bytes(216)), ProxyHeader(version=2)),
    "v2 with TLS": (
        v2(0x21, 0x11, IPV4 + tlv(0x04, bytes(5)) + TLS + tlv(0xEA, b"vpce")),
        ProxyHeader(
            version=2,
            tls=ClientTLS(
                version="TLSv1.3",
                cipher="TLS_AES_256_GCM_SHA384",
                common_name="client1.corp.example.com",
                certificate=True,
            ),
            **CLIENT,  # type: ignore[arg-type]
        ),
    ),
    "v2 with TLS, no certificate": (
        v2(0x21, 0x11, IPV4 + tlv(0x20, struct.pack("!BI", 1, 0) + tlv(0x21, b"TLSv1.2"))),
        ProxyHeader(version=2, tls=ClientTLS(version="TLSv1.2"), **CLIENT),  # type: ignore[arg-type]
    ),
    "v2 with TLS, a certificate not verified": (
        v2(0x21, 0x11, IPV4 + tlv(0x20, struct.pack("!BI", 3, 10) + tlv(0x22, b"a\nb"))),
        ProxyHeader(
            version=2,
            tls=ClientTLS(common_name="a\\x0ab", certificate=True, verify=10),
            **CLIENT,  # type: ignore[arg-type]
        ),
    ),
    "v2 without TLS": (
        v2(0x21, 0x11, IPV4 + tlv(0x20, struct.pack("!BI", 0, 0))),
        ProxyHeader(version=2, **CLIENT),  # type: ignore[arg-type]
    ),
}

BAD = {
    "TLS": b"\x16\x03\x01\x02\x00",
    "HTTP": b"POST /IPHTTPS HTTP/1.1\r\n",
    "one wrong byte": b"PROXZ",
    "v1 without an end": b"PROXY UNKNOWN " + b"x" * MAX_V1,
    "v1 of another family": b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
    "v1 with families mixed": b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
    "v1 with a port too large": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    "v1 with a port written otherwise": b"PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n",
    "v1 with two spaces": b"PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
    "v1 with one word": b"PROXY \r\n",
    "v1 with no ASCII": "PROXY TCP4 192.0.2.\u0667 198.51.100.1 1 2\r\n".encode(),
    "v2 of version 1": v2(0x11, 0x11, IPV4),
    "v2 with another command": v2(0x22, 0x11, IPV4),
    "v2 of datagrams": v2(0x21, 0x12, IPV4),
    "v2 of another family": v2(0x21, 0x41, IPV4),
    "v2 too long": v2(0x21, 0x11, bytes(MAX_V2)),
    "v2 cut off": v2(0x21, 0x11, IPV4[:-1]),
    "v2 IPv6 with too little": v2(0x21, 0x21, IPV4),
    "v2 with half a field": v2(0x21, 0x11, IPV4 + b"\x20"),
    "v2 with a field too long": v2(0x21, 0x11, IPV4 + b"\x20\x00\x09abc"),
    "v2 with TLS cut off": v2(0x21, 0x11, IPV4 + tlv(0x20, b"\x07")),
    "v2 with TLS twice": v2(0x21, 0x11, IPV4 + TLS + TLS),
    "v2 with two names": v2(
        0x21,
        0x11,
        IPV4 + tlv(0x20, struct.pack("!BI", 7, 0) + tlv(0x22, b"a") + tlv(0x22, b"b")),
    ),
    "v2 with too many fields": v2(0x21, 0x11, IPV4 + tlv(0x04, b"") * (MAX_TLVS + 1)),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_read(name: str) -> None:
    data, header = GOOD[name]
    assert parse_proxy_header(data) == (header, len(data))
    assert parse_proxy_header(data + b"\x16\x03\x01") == (header, len(data))


@pytest.mark.parametrize("name", GOOD)
def test_until_it_is_whole_more_is_wanted(name: str) -> None:
    data, _ = GOOD[name]
    assert {parse_proxy_header(data[:cut]) for cut in range(len(data))} == {None}


@pytest.mark.parametrize("name", BAD)
def test_what_is_none_is_refused(name: str) -> None:
    with pytest.raises(WireError):
        parse_proxy_header(BAD[name])


def test_what_is_built_is_read() -> None:
    for source, destination in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")):
        data = build_v1(source, 1, destination, 65535)
        found = parse_proxy_header(data)
        assert found is not None
        assert (found[0].source, found[0].destination_port) == (source, 65535)
