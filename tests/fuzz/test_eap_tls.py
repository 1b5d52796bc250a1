"""Any bytes where EAP-TLS belongs: a fragment, a flight, or WireError; and never without end."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.pki.key_uri import parse_key_uri
from throughway.pki.user_certificate import _text
from throughway.proto.eap_tls import MAX_FLIGHT, Fragments


@given(st.lists(st.binary(max_size=64), max_size=8), st.binary(max_size=4096))
def test_fragments(stream: list[bytes], flight: bytes) -> None:
    fragments = Fragments()
    sent = fragments.send(flight)
    with suppress(WireError):
        for data in stream:
            answer, whole = fragments.receive(data)
            assert len(answer) <= MAX_FLIGHT
            assert whole or answer
    assert sent


@given(st.binary(max_size=300))
def test_names(der: bytes) -> None:
    assert _text(der).isprintable()


@given(st.text(max_size=80))
def test_uris_of_keys(text: str) -> None:
    with suppress(ValueError):
        parse_key_uri(f"pkcs11:token=t;id=%01;{text}?module-path=/m.so&{text}")
