"""Windows numbers beside our words."""

import pytest

from throughway.catalogue.windows import CODES, describe


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0x2AF9, "0x2AF9 WSAHOST_NOT_FOUND: the name does not exist"),
        (0x274C, "0x274C WSAETIMEDOUT: no answer in time"),
        (-2146762487, "0x800B0109 CERT_E_UNTRUSTEDROOT: the certificate's root is not trusted"),
        (0x103, "0x103 ERROR_NO_MORE_ITEMS: no usable certificate found"),
        (13801, "0x35E9 ERROR_IPSEC_IKE_AUTH_FAIL: the credentials were not accepted"),
        (0x80190190, "0x80190190: HTTP status 400"),
        (0xDEADBEEF, "0xDEADBEEF"),
        (0, "0x0 ERROR_SUCCESS: no error"),
    ],
)
def test_describe(code: int, text: str) -> None:
    assert describe(code) == text


def test_every_code_has_a_symbol_and_words() -> None:
    for code, (symbol, meaning) in CODES.items():
        assert 0 <= code < 1 << 32
        assert symbol.isupper()
        assert meaning
        assert not meaning.endswith(".")


@pytest.mark.parametrize(
    "code",
    [0x2AF9, 0x2AFC, 0x274C, 0x274D, 0x800B0109, 0x80092013, 0x80090326, 0x90320, 0x103, 0x4BE],
)
def test_the_numbers_of_the_ip_https_client_are_known(code: int) -> None:
    assert code in CODES
