"""URIs of keys on tokens (RFC 7512)."""

from pathlib import Path

import pytest

from throughway.model.config import TokenKey
from throughway.pki.key_uri import parse_key_uri


def test_a_whole_uri() -> None:
    text = (
        "pkcs11:token=my%20computer;id=%01%A1;type=private"
        "?module-path=/usr/lib/tpm2.so&pin-source=file:/etc/throughway/pin"
    )
    assert parse_key_uri(text) == TokenKey(
        module=Path("/usr/lib/tpm2.so"),
        token="my computer",
        id="01a1",
        pin_file=Path("/etc/throughway/pin"),
    )
    assert parse_key_uri("pkcs11:token=t;id=%01?module-path=/m.so").pin_file is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pkcs11:", "does not say token"),
        ("pkcs11:token=t?module-path=/m.so", "does not say id"),
        ("pkcs11:token=t;id=%01", "does not say module-path"),
        ("pkcs11:token=t;id=%01?module-path=m.so", "absolute path"),
        ("pkcs11:token=t;id=%01?module-path=/m.so&pin-source=pin", "absolute path"),
        ("pkcs11:token=t;id=%01?module-path=/m.so&pin-value=1234", "PIN does not belong"),
        ("pkcs11:token=t;token=u;id=%01?module-path=/m.so", "twice"),
        ("pkcs11:token=t;id=%01;x=y?module-path=/m.so", "not known"),
        ("pkcs11:token;id=%01?module-path=/m.so", "not known"),
        ("pkcs11:token=t;id=%01;type=cert?module-path=/m.so", "type=private"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_key_uri(text)
    assert "1234" not in str(caught.value)
