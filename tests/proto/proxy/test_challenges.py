"""Challenges as proxies write them."""

import pytest

from throughway.proto.proxy.challenges import MAXIMUM_CHALLENGES, Challenge, parse_challenges

BASIC = Challenge("basic", parameters=(("realm", "Squid proxy"),))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (('Basic realm="Squid proxy"',), (BASIC,)),
        (('BASIC  REALM = "Squid proxy" ',), (BASIC,)),
        (("NTLM",), (Challenge("ntlm"),)),
        (("NTLM, Negotiate",), (Challenge("ntlm"), Challenge("negotiate"))),
        (("Negotiate", "NTLM", 'Basic realm="Squid proxy"'), "negotiate ntlm basic"),
        (('Negotiate,NTLM,Basic realm="Squid proxy"',), "negotiate ntlm basic"),
        (("NTLM TlRMTVNTUAACAAAA==",), (Challenge("ntlm", token="TlRMTVNTUAACAAAA=="),)),
        (("Negotiate oRQwEqAD/+-._~==, NTLM",), "negotiate ntlm"),
        (
            (
                'Digest realm="a, b", nonce="x\\"y", qop="auth,auth-int", stale=FALSE'
                ", Basic realm=z",
            ),
            (
                Challenge(
                    "digest",
                    parameters=(
                        *(("realm", "a, b"), ("nonce", 'x"y')),
                        *(("qop", "auth,auth-int"), ("stale", "FALSE")),
                    ),
                ),
                Challenge("basic", parameters=(("realm", "z"),)),
            ),
        ),
        ((',, "nonsense" , NTLM',), "ntlm"),
        (("",), ()),
        ((), ()),
    ],
)
def test_parse(headers: tuple[str, ...], expected: str | tuple[Challenge, ...]) -> None:
    found = parse_challenges(headers)
    if isinstance(expected, str):
        assert [challenge.scheme for challenge in found] == expected.split()
    else:
        assert found == expected


def test_a_parameter_that_is_not_there_is_empty() -> None:
    assert BASIC.get("realm") == "Squid proxy"
    assert BASIC.get("charset") == ""


def test_there_is_an_end_to_them() -> None:
    assert len(parse_challenges(["NTLM, " * 1000] * 10)) == MAXIMUM_CHALLENGES
