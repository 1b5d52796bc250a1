"""Which schemes we can answer, and which first."""

import pytest

from throughway.proto.proxy.challenges import parse_challenges
from throughway.proto.proxy.schemes import Credentials, permitted, ranked

OFFERED = parse_challenges(
    [
        'Basic realm="r"',
        'Digest realm="r", nonce="n"',
        'Digest realm="r", nonce="n", algorithm=SHA-256',
        "NTLM",
        "Negotiate",
        "Bearer",
    ]
)


@pytest.mark.parametrize(
    ("who", "names"),
    [
        (Credentials(), ""),
        (Credentials(ticket=True), "kerberos"),
        (Credentials(user="u"), "ntlm negotiated-ntlm digest digest basic"),
        (Credentials(user="u", ticket=True), "kerberos ntlm negotiated-ntlm digest digest basic"),
        (Credentials(user="u", ticket=True, disclose=False), "kerberos"),
    ],
)
def test_order(who: Credentials, names: str) -> None:
    assert [name for name, _ in ranked(OFFERED, who)] == names.split()
    assert all(permitted(name, who) for name in names.split())


def test_the_stronger_digest_first() -> None:
    found = [c.get("algorithm") for name, c in ranked(OFFERED, Credentials(user="u"))]
    assert found == ["", "", "SHA-256", "", ""]


def test_windows_writes_the_domain_before_the_user() -> None:
    assert Credentials(user="alice", domain="CORP").account == "CORP\\alice"
    assert Credentials(user="alice").account == "alice"
