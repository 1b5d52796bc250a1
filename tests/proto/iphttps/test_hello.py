"""Who gets a suite without encryption: nobody who could have a better one."""

import pytest

from throughway.proto.iphttps.hello import MAX_HELLO, judge_hello
from throughway.proto.iphttps.hello import Offer as Judged
from throughway.wire.tls_offer import Offer, build_offer, suites_for

NULL, NULL_SHA, NULL_MD5 = 0x003B, 0x0002, 0x0001
AES_GCM, RSA_GCM, AES_CBC, RC4 = 0xC02B, 0x009C, 0xC009, 0x0005
TLS11, TLS12, TLS13 = 0x0302, 0x0303, 0x0304


def hello(*suites: int, version: int = TLS12) -> bytes:
    return build_offer(
        Offer(version=version, suites=suites, server_name="da.example.com"), bytes(96)
    )


OFFERS = {
    "NULL alone": (hello(NULL, NULL_SHA), True),
    "one NULL suite": (hello(NULL_SHA), True),
    "NULL suites of all kinds": (hello(NULL_MD5, NULL, 0xC010), True),
    "NULL suites that are not served": (hello(NULL_MD5, 0xC010), False),
    "NULL first, AES behind": (hello(NULL, NULL_SHA, AES_GCM), False),
    "NULL first, AES of RSA behind": (hello(NULL, RSA_GCM), False),
    "NULL first, CBC behind": (hello(NULL, AES_CBC), False),
    "NULL first, RC4 behind": (hello(NULL, RC4), False),
    "NULL in TLS 1.3": (hello(NULL, version=TLS13), False),
    "TLS 1.3": (hello(*suites_for(TLS13), version=TLS13), False),
    "NULL in TLS 1.1": (hello(NULL_SHA, version=TLS11), False),
    "everything": (hello(*suites_for(TLS12), NULL), False),
}


@pytest.mark.parametrize("name", OFFERS)
def test_only_who_offers_nothing_else_gets_it(name: str) -> None:
    data, null = OFFERS[name]
    expected = Judged.NULL_ONLY if null else Judged.ENCRYPTION
    assert judge_hello(data) is expected
    assert judge_hello(data + b"more") is expected


@pytest.mark.parametrize("name", OFFERS)
def test_until_the_hello_is_whole_nothing_is_judged(name: str) -> None:
    data, _ = OFFERS[name]
    assert {judge_hello(data[:cut]) for cut in range(len(data))} == {Judged.UNFINISHED}


def test_a_hello_in_many_records_is_read() -> None:
    data, _ = OFFERS["NULL alone"]
    body = data[5:]
    pieces = [body[at : at + 11] for at in range(0, len(body), 11)]
    cut = b"".join(data[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert judge_hello(cut) is Judged.NULL_ONLY


@pytest.mark.parametrize(
    "data",
    [
        b"POST /IPHTTPS HTTP/1.1\r\n",
        b"\x16\x03\x01\xff\xff",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x80\x2e\x01\x00\x02" + bytes(40),
        b"\x16\x03\x01\x40\x00" + bytes(MAX_HELLO),
    ],
)
def test_in_doubt_it_is_what_encrypts(data: bytes) -> None:
    assert judge_hello(data) is Judged.ENCRYPTION
