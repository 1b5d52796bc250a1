"""Any bytes: an EAP packet, or WireError."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.eap import build_eap, parse_eap


@given(st.binary(max_size=64))
def test_parse_eap(data: bytes) -> None:
    try:
        packet = parse_eap(data)
    except WireError:
        return
    assert data.startswith(build_eap(packet))
