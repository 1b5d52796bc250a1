"""IKE and AuthIP messages, written payload by payload after [MS-AIPS], RFC 2408 and RFC 7296."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.ike import (
    HEADER_LENGTH,
    KEEPALIVE,
    GSSToken,
    Message,
    Payload,
    PayloadType,
    build_ike,
    esp_spi,
    exchange_name,
    parse_ike,
    unwrap,
)
from throughway.wire.ike_names import Protocol

COOKIE, ANSWER = b"initiate", b"responds"
WINDOWS_8 = bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009")
MAMIE = bytes.fromhex("214ca4faffa7f32d6748e5303395ae83")
CLEAR_CRYPTO = Payload(PayloadType.CRYPTO, struct.pack("!IQ", 1, 0))
CREDENTIALS = 13801
"""ERROR_IPSEC_IKE_AUTH_FAIL."""


def message(
    *payloads: Payload, protocol: Protocol = Protocol.IKEV1, exchange: int = 2, **fields: bool
) -> bytes:
    return build_ike(
        Message(
            protocol=protocol,
            initiator_spi=COOKIE,
            responder_spi=ANSWER,
            exchange=exchange,
            exchange_name="",
            encrypted=fields.get("encrypted", False),
            response=fields.get("response"),
            message_id=0,
            length=0,
            payloads=payloads,
        )
    )


def status(code: int, kind: int, prefix: bytes = b"", size: int = 0) -> Payload:
    body = struct.pack("!IBBH", 1, 1, size, kind) + bytes(size) + prefix + code.to_bytes(4, "big")
    return Payload(PayloadType.NOTIFY_V1, body)


def transform_v1(*attributes: tuple[int, int], number: int = 1) -> bytes:
    body = b"".join(struct.pack("!HH", 0x8000 | kind, value) for kind, value in attributes)
    return struct.pack("!BBHBBH", 0, 0, 8 + len(body), 1, number, 0) + body


def proposal(protocol: int, *transforms: bytes, spi: bytes = b"") -> bytes:
    body = spi + b"".join(transforms)
    head = struct.pack("!BBHBBBB", 0, 0, 8 + len(body), 1, protocol, len(spi), len(transforms))
    return head + body


def test_main_mode_of_windows() -> None:
    phase_1 = transform_v1((1, 7), (14, 256), (2, 2), (4, 20), (3, 3))
    older = transform_v1((1, 5), (2, 1), (4, 99), number=2)
    sa = bytes.fromhex("0000000100000001") + proposal(1, phase_1, older)
    read = parse_ike(
        message(
            Payload(PayloadType.SA, sa),
            Payload(PayloadType.VENDOR_ID_V1, WINDOWS_8),
            Payload(PayloadType.VENDOR_ID_V1, MAMIE),
            Payload(PayloadType.VENDOR_ID_V1, b"unknown"),
        )
    )
    assert (read.protocol, read.exchange_name) == (Protocol.IKEV1, "main mode")
    assert read.proposals[0].transforms == (
        "AES-256/SHA1/ECP 384/RSA signature",
        "3DES/MD5/99",
    )
    assert read.vendors == (
        "Windows 8 or Server 2012 or later",
        "MS-MamieExists (speaks AuthIP)",
        b"unknown".hex(),
    )
    assert not read.encrypted
    assert read.response is None


def test_phase_2_proposals() -> None:
    esp = proposal(3, transform_v1((5, 2), (6, 128), number=12), spi=b"abcd")
    null = proposal(3, transform_v1((5, 5), number=11), spi=b"abcd")
    ah = proposal(2, transform_v1(number=3))
    sa = Payload(PayloadType.SA, bytes(8) + esp + null + ah)
    texts = [p.transforms for p in parse_ike(message(sa, exchange=32)).proposals]
    assert texts == [("AES-128/SHA1",), ("NULL/SHA256",), ("SHA1",)]


def test_authip_says_the_error_of_windows() -> None:
    read = parse_ike(
        message(CLEAR_CRYPTO, status(CREDENTIALS, 0x9C54), protocol=Protocol.AUTHIP, exchange=0xF6)
    )
    assert (read.protocol, read.exchange_name) == (Protocol.AUTHIP, "notify")
    assert [notify.name for notify in read.notifies] == ["NOTIFY_STATUS"]
    assert read.windows_error == CREDENTIALS


def test_authip_main_mode() -> None:
    auth = Payload(PayloadType.AUTH, struct.pack("!8H", 4, 0, 2, 0, 5, 0, 3, 0))
    token = Payload(PayloadType.GSS_API, struct.pack("!IB", 0x80090326, 0x04) + b"\x16\x03\x01")
    read = parse_ike(message(CLEAR_CRYPTO, auth, token, protocol=Protocol.AUTHIP, exchange=0xF3))
    assert read.authentication == (4, 2, 5, 3)
    assert read.tokens == (GSSToken(0x80090326, 0x04, b"\x16\x03\x01"),)
    assert read.windows_error == 0x80090326


def test_the_flags_of_an_authip_notify_are_no_size() -> None:
    reliable = Payload(PayloadType.NOTIFY_V1, struct.pack("!IBBHI", 1, 1, 1, 0x9C54, 13805))
    read = parse_ike(message(reliable, protocol=Protocol.AUTHIP, exchange=0xF6))
    assert read.windows_error == 13805


def test_what_is_under_keys() -> None:
    hidden = Payload(PayloadType.CRYPTO, bytes(60))
    for protocol, exchange in ((Protocol.AUTHIP, 0xF4), (Protocol.IKEV1, 32)):
        read = parse_ike(message(hidden, protocol=protocol, exchange=exchange, encrypted=True))
        assert (read.encrypted, read.payloads, read.cut_off) == (True, (), False)
        assert read.exchange_name == "quick mode"


def test_an_ikev1_status_with_cookies_and_message_id() -> None:
    read = parse_ike(message(status(13868, 0x9C43, b"\0\0\0\7", 8), exchange=5))
    assert (read.notifies[0].name, read.notifies[0].spi) == ("NOTIFY_STATUS", bytes(8))
    assert read.windows_error == 13868


def transform_v2(kind: int, number: int, size: int = 0) -> bytes:
    body = struct.pack("!HH", 0x800E, size) if size else b""
    return struct.pack("!BBHBBH", 3, 0, 8 + len(body), kind, 0, number) + body


def test_ikev2() -> None:
    offered = proposal(1, transform_v2(1, 12, 256), transform_v2(3, 12), transform_v2(9, 9))
    no_proposal = Payload(PayloadType.NOTIFY_V2, struct.pack("!BBH", 0, 0, 14))
    private = Payload(PayloadType.NOTIFY_V2, struct.pack("!BBH4sI", 3, 4, 0x3039, b"spi!", 13816))
    parts = (Payload(PayloadType.SA_V2, offered), no_proposal, private)
    read = parse_ike(message(*parts, protocol=Protocol.IKEV2, exchange=34, response=True))
    assert (read.protocol, read.exchange_name, read.response) == ("IKEv2", "IKE_SA_INIT", True)
    assert read.proposals[0].transforms == ("AES-CBC-256", "SHA256-128", "9:9")
    assert [notify.name for notify in read.notifies] == ["NO_PROPOSAL_CHOSEN", "NOTIFY_STATUS"]
    assert (read.notifies[1].spi, read.windows_error) == (b"spi!", 13816)
    assert not read.encrypted


def test_ikev2_under_keys() -> None:
    sealed = Payload(PayloadType.ENCRYPTED_V2, bytes(50))
    data = bytearray(message(sealed, protocol=Protocol.IKEV2, exchange=35))
    data[HEADER_LENGTH] = 35
    read = parse_ike(bytes(data))
    assert (read.encrypted, read.response) == (True, False)
    assert [payload.type for payload in read.payloads] == [PayloadType.ENCRYPTED_V2]


def test_the_first_fragment_is_read_as_far_as_it_goes() -> None:
    data = message(Payload(PayloadType.VENDOR_ID_V1, MAMIE), Payload(10, bytes(60)))
    read = parse_ike(data[:-20])
    assert (len(read.payloads), read.cut_off) == (1, True)
    assert read.vendors == ("MS-MamieExists (speaks AuthIP)",)


def test_port_4500_carries_three_things() -> None:
    assert unwrap(b"\0\0\0\0ike", 4500) == b"ike"
    assert unwrap(b"\0\0\0\1esp", 4500) is None
    assert unwrap(KEEPALIVE, 4500) is None
    assert unwrap(b"ike", 500) == b"ike"
    assert esp_spi(b"\0\0\1\0\0\0\0\1") == 256
    for data in (bytes(8), b"\1\1"):
        with pytest.raises(WireError):
            esp_spi(data)


def test_unknown_numbers_stay_numbers() -> None:
    assert exchange_name(Protocol.IKEV2, 200) == "exchange 200"
    unknown = Payload(PayloadType.NOTIFY_V2, struct.pack("!BBH", 0, 0, 9999))
    assert parse_ike(message(unknown, protocol=Protocol.IKEV2)).notifies[0].name == "notify 9999"


def test_payloads_of_the_other_version_are_not_read() -> None:
    old, new = (Payload(kind, bytes(12)) for kind in (PayloadType.NOTIFY_V1, PayloadType.NOTIFY_V2))
    assert parse_ike(message(old, protocol=Protocol.IKEV2, exchange=34)).notifies == ()
    assert parse_ike(message(new)).notifies == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(28),
        COOKIE + ANSWER + struct.pack("!BBBBII", 0, 0x30, 2, 0, 0, 28),
        COOKIE + ANSWER + struct.pack("!BBBBII", 0, 0x10, 2, 0, 0, 27),
        message(Payload(10, b""))[:-2] + b"\0\3",
        message(*([Payload(10, b"")] * 65)),
        message(Payload(PayloadType.SA, bytes(8) + bytes(7))),
        message(Payload(PayloadType.SA, bytes(8) + proposal(1, bytes(8)))),
        message(Payload(PayloadType.SA_V2, bytes.fromhex("0000000701010000")), exchange=34),
        message(Payload(PayloadType.NOTIFY_V1, bytes(7))),
        message(Payload(PayloadType.NOTIFY_V1, bytes(5) + b"\x09" + bytes(4))),
        message(Payload(PayloadType.NOTIFY_V2, bytes(3)), protocol=Protocol.IKEV2),
        message(Payload(PayloadType.GSS_API, bytes(4)), protocol=Protocol.AUTHIP, exchange=0xF3),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_ike(data)


@given(st.lists(st.builds(Payload, st.sampled_from([4, 5, 10, 20]), st.binary(max_size=30))))
def test_payloads_come_back(payloads: list[Payload]) -> None:
    if len(payloads) <= 64:
        assert parse_ike(message(*payloads)).payloads == tuple(payloads)
