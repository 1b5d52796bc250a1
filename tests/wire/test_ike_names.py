"""Names of vendors and numbers."""

import hashlib

import pytest

from throughway.wire.ike_names import NOTIFIES_V1, STATUS_NOTIFIES, Protocol, vendor_name


@pytest.mark.parametrize(
    "text",
    [
        *("GSSAPI", "Vid-Initial-Contact", "NLBS_PRESENT", "FRAGMENTATION", "RFC 3947"),
        *("IKE CGA version 1", "MS-Negotiation Discovery Capable", "MSFT IPsec Security Realm Id"),
        "strongSwan",
    ],
)
def test_vendor_ids_are_digests_of_their_texts(text: str) -> None:
    digest = hashlib.md5(text.encode()).digest()
    assert vendor_name(digest) == text
    assert vendor_name(digest + b"\xc0\0\0\0") == text


def test_windows_says_its_version() -> None:
    digest = hashlib.md5(b"MS NT5 ISAKMPOAKLEY").digest()
    assert vendor_name(digest + b"\0\0\0\7") == "Windows 7"
    assert vendor_name(digest + b"\0\0\0\x63") == "Windows (IKE version 99)"
    assert vendor_name(bytes.fromhex("01528bbbc00696121849ab9a1c5b2a5100000001")).endswith("AuthIP")
    assert vendor_name(bytes.fromhex("7bb93867d76c8d80df0f40fae8fc3b1900000003")).endswith("14")


def test_the_unknown_stays_as_it_is() -> None:
    assert vendor_name(b"") == ""
    assert vendor_name(b"\xab\xcd") == "abcd"
    assert vendor_name(bytes.fromhex("09002689dfd6b712")) == "XAuth"


def test_status_notifies_have_names() -> None:
    for protocol in (Protocol.IKEV1, Protocol.AUTHIP):
        assert NOTIFIES_V1[protocol][STATUS_NOTIFIES[protocol]] == "NOTIFY_STATUS"
