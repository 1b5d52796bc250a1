"""charon's words, as they were seen in its log, and what they mean."""

import pytest

from throughway.net.causes import (
    UNSPECIFIED,
    Cause,
    authorities_known,
    explain,
    goes_along,
    meaning,
)

SEEN = [
    (
        "subject certificate invalid (valid from Oct 01 00:00:00 2025 to Oct 31 00:00:00 2025)",
        "ipsec-cert-expired",
    ),
    (
        "subject certificate invalid (valid from Oct 01 00:00:00 2996 to Oct 31 00:00:00 2997)",
        "ipsec-cert-not-yet-valid",
    ),
    ('no issuer certificate found for "CN=client1.corp.example.com"', "ipsec-cert-wrong-chain"),
    ("no trusted ECDSA public key found for 'client1.corp.example.com'", "ipsec-cert-wrong-chain"),
    (
        "constraint check failed: RULE_CRL_VALIDATION is FAILED, but requires at least GOOD",
        "ipsec-crl-unreachable",
    ),
    (
        "constraint check failed: RULE_CRL_VALIDATION is SKIPPED, but requires at least GOOD",
        "ipsec-crl-unreachable",
    ),
    (
        "constraint check failed: RULE_CRL_VALIDATION is STALE, but requires at least GOOD",
        "ipsec-crl-expired",
    ),
    (
        "certificate was revoked on Nov 20 10:00:00 UTC 2025, reason: key compromise",
        "ipsec-cert-revoked",
    ),
    ("EAP-MS-CHAPv2 verification failed, retry (1)", "ipsec-computer-account-refused"),
    ("no EAP key found for hosts 'da' - 'CLIENT9$'", "ipsec-computer-account-refused"),
    (
        "constraint check failed: EAP identity 'CLIENT1$' required ",
        "ipsec-account-certificate-mismatch",
    ),
    (
        "selected peer config 'x' unacceptable: insufficient authentication rounds",
        "ipsec-policy-mismatch",
    ),
    ("constraint requires cert policy 1.3.6.1.4.1.311.47.1.1", "ipsec-health-certificate-missing"),
    (
        "selected peer config 'x' unacceptable: non-matching authentication done",
        "ipsec-smart-card-required",
    ),
    ("RADIUS authentication of 'alice@CORP.EXAMPLE.COM' failed", "ipsec-user-refused"),
    ("received NO_PROPOSAL_CHOSEN notify error", "ipsec-policy-mismatch"),
    ("no local address found in traffic selector 2001:db8::/64", "ipsec-policy-mismatch"),
    ("received AUTHENTICATION_FAILED notify error", UNSPECIFIED),
    ("received EAP_FAILURE, EAP authentication failed", UNSPECIFIED),
    ("giving up after 4 retransmits", "ipsec-negotiation-timeout"),
    ("error writing to socket: Network is unreachable", "ipsec-endpoint-unreachable"),
]


@pytest.mark.parametrize(("line", "problem"), SEEN)
def test_each_line_has_its_meaning(line: str, problem: str) -> None:
    assert meaning(line) == problem


def test_an_ordinary_line_has_none() -> None:
    assert meaning("sending packet: from 2001:db8::1[500] to 2001:db8::2[500] (312 bytes)") == ""
    assert explain(["authentication of 'da.example.com' with EAP successful"]) is None


def test_the_weightiest_line_explains() -> None:
    lines = [
        "received AUTHENTICATION_FAILED notify error",
        "certificate was revoked on Nov 20, reason: superseded",
        "no alternative config found",
    ]
    assert explain(lines) == Cause("ipsec-cert-revoked", lines[1])
    assert explain([]) is None


def test_a_mismatch_outweighs_the_refusal_that_follows_from_it() -> None:
    lines = [
        "constraint check failed: EAP identity 'CLIENT1$' required ",
        "selected peer config 'infrastructure-client1' unacceptable: non-matching authentication",
    ]
    cause = explain(reversed(lines))
    assert cause is not None
    assert cause.problem == "ipsec-account-certificate-mismatch"


def test_a_responder_that_failed_is_told_from_a_list_that_was_not_there() -> None:
    strict = "constraint check failed: RULE_CRL_VALIDATION is FAILED, but requires at least GOOD"
    failed = "ocsp check failed, fallback to crl"
    wanted = "  fetching crl from 'http://crl.example.com/ca.crl' ..."
    assert goes_along(failed)
    assert goes_along(wanted)
    assert not goes_along(strict)
    assert explain([failed, strict]) == Cause("ipsec-ocsp-unreachable", strict)
    assert explain([failed, wanted, strict]) == Cause("ipsec-crl-unreachable", strict)
    assert explain([failed, wanted]) is None


def test_whom_the_peer_trusts_is_known_only_when_it_says_so() -> None:
    known = 'received cert request for "CN=Corp Root"'
    assert authorities_known(["parsed IKE_SA_INIT response 0", known])
    assert not authorities_known([known, "received 2 cert requests for an unknown ca"])
    assert not authorities_known([known, "received 1 cert requests for an unknown ca"])
    assert not authorities_known(["received AUTHENTICATION_FAILED notify error"])
