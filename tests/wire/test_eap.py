"""EAP packets, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap

packets = st.one_of(
    st.builds(EAPPacket, st.sampled_from((EAPCode.SUCCESS, EAPCode.FAILURE)), st.integers(0, 255)),
    st.builds(
        EAPPacket,
        st.sampled_from((EAPCode.REQUEST, EAPCode.RESPONSE)),
        st.integers(0, 255),
        st.integers(0, 255),
        st.binary(max_size=2000),
    ),
)


@given(packets)
def test_what_is_built_is_parsed(packet: EAPPacket) -> None:
    assert parse_eap(build_eap(packet)) == packet


@given(packets, st.binary(min_size=1))
def test_octets_after_the_length_are_padding(packet: EAPPacket, padding: bytes) -> None:
    assert parse_eap(build_eap(packet) + padding) == packet


def test_an_identity_response() -> None:
    data = bytes.fromhex("02 07 000a 01") + b"alice"
    assert parse_eap(data) == EAPPacket(EAPCode.RESPONSE, 7, EAPType.IDENTITY, b"alice")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "of 0 bytes"),
        ("0207", "of 2 bytes"),
        ("02070003", "EAP length 3"),
        ("0207000601", "EAP length 6 in 5 bytes"),
        ("02070004", "without a type"),
        ("03070005 01", "SUCCESS of 5 bytes"),
        ("05070005 01", "EAP code 5"),
    ],
)
def test_what_is_no_eap_packet_is_refused(data: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse_eap(bytes.fromhex(data))


def test_a_packet_that_no_length_field_can_tell_is_not_built() -> None:
    with pytest.raises(WireError):
        build_eap(EAPPacket(EAPCode.REQUEST, 1, EAPType.GTC, bytes(65536)))
