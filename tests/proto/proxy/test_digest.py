"""Digest against the examples of RFC 7616 and RFC 2617."""

import re

import pytest

from throughway.proto.proxy import digest
from throughway.proto.proxy.challenges import Challenge, parse_challenges

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def challenge(**parameters: str) -> Challenge:
    return Challenge("digest", parameters=tuple(parameters.items()))


def authorized(given: Challenge, **changes: str) -> dict[str, str]:
    """Return the parameters of an answer."""
    asked = {"user": "Mufasa", "password": "Circle of Life", "method": "GET"}
    asked |= {"uri": "/dir/index.html", "cnonce": CNONCE} | changes
    session = digest.begin(given)
    (read,) = parse_challenges([digest.authorize(session, **asked)])
    return dict(read.parameters)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    given = challenge(
        realm="http-auth@example.org",
        qop="auth, auth-int",
        algorithm=algorithm,
        nonce=NONCE,
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )
    answer = authorized(given)
    assert answer["response"] == response
    assert (answer["qop"], answer["nc"], answer["cnonce"]) == ("auth", "00000001", CNONCE)
    assert answer["opaque"] == given.get("opaque")
    assert answer["algorithm"] == algorithm


def test_a_proxy_that_knows_no_qop() -> None:
    """RFC 2069, with the errata's figure for its example."""
    given = challenge(realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093")
    answer = authorized(given, password="CircleOfLife")
    assert answer["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "nc" not in answer


def test_session_algorithm_hashes_once_more() -> None:
    given = {"realm": "r", "nonce": "n", "qop": "auth"}
    plain = authorized(challenge(**given, algorithm="MD5"))
    session = authorized(challenge(**given, algorithm="MD5-sess"))
    assert plain["response"] != session["response"]
    assert session["algorithm"] == "MD5-sess"


def test_user_names_can_be_hidden() -> None:
    """RFC 7616, section 3.9.2, for a hash that everybody has."""
    given = challenge(realm="api@example.org", nonce="n", algorithm="SHA-256", userhash="true")
    answer = authorized(given, user="J\u00e4s\u00f8n Doe", password="Secret, or not?")
    assert answer["userhash"] == "true"
    assert re.fullmatch("[0-9a-f]{64}", answer["username"])


def test_names_with_quotes_stay_whole() -> None:
    answer = authorized(challenge(realm='a "b" \\c', nonce="n"), user='x"y\\z')
    assert (answer["realm"], answer["username"]) == ('a "b" \\c', 'x"y\\z')


def test_a_name_that_latin_1_cannot_hold() -> None:
    given = challenge(realm="r", nonce="n")
    answer = authorized(given, user="\u0436")
    assert answer["response"] != authorized(given, user="?")["response"]
    assert answer["username"].encode("latin-1").decode() == "\u0436"


def test_a_proxy_that_wants_utf_8_gets_it() -> None:
    """The realm is its own, and goes back octet by octet."""
    given = challenge(realm="\xc3\xbc", nonce="n", charset="UTF-8")
    answer = authorized(given, user="\xfc")
    assert answer["username"] == answer["realm"] == "\xc3\xbc"


def test_each_use_of_a_nonce_is_counted_and_the_next_one_taken() -> None:
    session = digest.begin(challenge(realm="r", nonce="first", qop="auth"))
    asked = {"user": "u", "password": "p", "method": "CONNECT", "uri": "h:443", "cnonce": "c"}
    assert "nc=00000001" in digest.authorize(session, **asked)
    assert "nc=00000002" in digest.authorize(session, **asked)
    digest.take_next_nonce(session, 'qop=auth, nextnonce="second", rspauth="x"')
    answer = digest.authorize(session, **asked)
    assert 'nonce="second"' in answer
    assert "nc=00000001" in answer
    digest.take_next_nonce(session, "")
    assert "nc=00000002" in digest.authorize(session, **asked)


@pytest.mark.parametrize(
    ("given", "usable"),
    [
        (challenge(nonce="n"), True),
        (challenge(nonce="n", algorithm="sha-256-SESS", qop="auth"), True),
        (challenge(nonce="n", algorithm="SHA-512-256"), False),
        (challenge(nonce="n", qop="auth-int"), False),
        (challenge(realm="r"), False),
    ],
)
def test_usable(given: Challenge, usable: bool) -> None:
    assert digest.usable(given) == usable


def test_sha_256_is_better_than_md5() -> None:
    old, new = challenge(nonce="n"), challenge(nonce="n", algorithm="SHA-256")
    assert min(old, new, key=digest.strength) is new
