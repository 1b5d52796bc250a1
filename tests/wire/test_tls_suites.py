"""The names of suites."""

import ssl

from throughway.wire.tls_handshake import NULL_SUITES
from throughway.wire.tls_suites import ENCRYPTING_SUITES, is_worn_out, suite_name


def test_names_agree_with_openssl() -> None:
    """OpenSSL knows most of them by number; its own names are another spelling."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    known = {int(each["id"]) & 0xFFFF: str(each["name"]) for each in context.get_ciphers()}
    both = known.keys() & ENCRYPTING_SUITES.keys()
    assert len(both) > 50
    for number in both:
        strong = known[number].replace("-", "").replace("_", "")
        assert ("AES256" in strong) == ("AES_256" in suite_name(number))
        assert ("GCM" in strong) == ("GCM" in suite_name(number))


def test_null_suites_and_unknown_ones_have_names() -> None:
    assert suite_name(0x003B) == "TLS_RSA_WITH_NULL_SHA256"
    assert suite_name(0xFAFA) == "0xFAFA"
    assert not NULL_SUITES.keys() & ENCRYPTING_SUITES.keys()


def test_worn_out_ones() -> None:
    assert is_worn_out(0x0005)
    assert is_worn_out(0x000A)
    assert not is_worn_out(0x1301)
    assert not is_worn_out(0xC02F)
