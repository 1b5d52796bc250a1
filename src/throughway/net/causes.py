"""What charon's words mean: from lines of its log to a problem of the catalogue.

The peer of a failed authentication learns nothing but AUTHENTICATION_FAILED (RFC 7296
section 2.21.2); the reason is in the log of the end that refused, and only in words.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from throughway.model.errors import IPsecError

UNSPECIFIED = "ipsec-auth-failure-unspecified"
TIMEOUT = "ipsec-negotiation-timeout"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a tunnel did not come up."""

    problem: str
    """The code of the catalogue's entry."""
    reason: str
    """charon's own words."""


# In order of weight: a line that proves the cause stands before one which merely goes with it.
# (A CRL that cannot be fetched is logged, and harmless, wherever revocation is relaxed.)
_WORDS: tuple[tuple[str, str], ...] = (
    ("ipsec-cert-revoked", r"certificate was revoked on"),
    ("ipsec-cert-expired", r"subject certificate invalid \(valid from"),
    ("ipsec-cert-expired", r"issuer certificate invalid \(valid from"),
    ("ipsec-crl-expired", r"RULE_(CRL|OCSP)_VALIDATION is STALE, but requires"),
    ("ipsec-crl-unreachable", r"RULE_(CRL|OCSP)_VALIDATION is \w+, but requires"),
    ("ipsec-health-certificate-missing", r"constraint requires cert policy"),
    ("ipsec-account-certificate-mismatch", r"constraint check failed: EAP identity '.*' required"),
    ("ipsec-account-certificate-mismatch", r"constraint check failed: identity '.*' required"),
    ("ipsec-computer-account-refused", r"EAP-MS-CHAPv2 verification failed"),
    ("ipsec-computer-account-refused", r"no EAP key found for hosts"),
    ("ipsec-computer-account-refused", r"EAP-MS-CHAPv2 failed with error"),
    ("ipsec-smart-card-required", r"requesting EAP_GTC authentication, sending EAP_NAK"),
    ("user-certificate-expired", r"fatal TLS alert 'certificate expired'"),
    ("user-certificate-untrusted", r"fatal TLS alert 'unknown ca'"),
    ("user-certificate-wrong-usage", r"fatal TLS alert 'unsupported certificate'"),
    ("user-certificate-revoked", r"fatal TLS alert 'certificate revoked'"),
    ("ipsec-user-refused", r"EAP_TLS method failed"),
    ("ipsec-user-refused", r"RADIUS authentication of '.*' failed"),
    ("ipsec-user-refused", r"EAP_GTC method failed"),
    ("ipsec-cert-wrong-chain", r"no issuer certificate found for"),
    ("ipsec-cert-wrong-chain", r"peer not authenticated by CA"),
    ("ipsec-cert-wrong-chain", r"no trusted \S* ?public key found for"),
    ("ipsec-cert-no-private-key", r"no private key found for"),
    ("ipsec-computer-account-refused", r"no matching peer config found"),
    ("ipsec-smart-card-required", r"non-matching authentication done"),
    ("ipsec-policy-mismatch", r"insufficient authentication rounds"),
    ("ipsec-policy-mismatch", r"peer requested EAP, config unacceptable"),
    ("ipsec-policy-mismatch", r"NO_PROPOSAL_CHOSEN|no acceptable .* found|TS_UNACCEPT|INVALID_KE"),
    ("ipsec-policy-mismatch", r"no local address found in traffic selector"),
    ("ipsec-policy-mismatch", r"no IKE config found for"),
    (UNSPECIFIED, r"AUTHENTICATION_FAILED notify error|received EAP_FAILURE"),
    ("ipsec-endpoint-unreachable", r"error writing to socket|unable to resolve|no route to"),
    ("ipsec-endpoint-unreachable", r"source address .* not usable|no known IPv\d address"),
    ("ipsec-negotiation-timeout", r"giving up after \d+ retransmits|peer not responding"),
)
_CAUSES = tuple((problem, re.compile(words)) for problem, words in _WORDS)
_OUT_OF_DATE, _NOT_YET = "ipsec-cert-expired", "ipsec-cert-not-yet-valid"
_BEGINS = re.compile(r"\(valid from (\w{3} +\d+ [\d:]{8} \d{4}) to")
_UNCHECKED = "ipsec-crl-unreachable"
_NO_ANSWER = re.compile(r"ocsp request to .* failed|ocsp check failed, fallback to crl")
_ASKED = re.compile(r"received (\d+ )?cert requests? for ")
_UNKNOWN = re.compile("for (an )?unknown ca")
_CRL_WANTED = re.compile(r"^\s*fetching (delta )?crl from")


def meaning(line: str) -> str:
    """Return the problem that a line of charon's log speaks of, "" when of none."""
    found = next((problem for problem, words in _CAUSES if words.search(line)), "")
    return _dated(found, line)


def goes_along(line: str) -> bool:
    """Say whether a line, which proves nothing by itself, tells :func:`explain` more."""
    return bool(_NO_ANSWER.search(line) or _CRL_WANTED.search(line))


def authorities_known(lines: Iterable[str]) -> bool:
    """Say whether the peer asked for certificates of authorities that we know, and of no others."""
    asked = [line for line in lines if _ASKED.search(line)]
    return bool(asked) and not any(_UNKNOWN.search(line) for line in asked)


def explain(lines: Iterable[str]) -> Cause | None:
    """Return the weightiest cause that ``lines`` name; of two alike, the first one said."""
    lines = tuple(lines)
    for problem, words in _CAUSES:
        for line in lines:
            if words.search(line):
                return Cause(_dated(_narrowed(problem, lines), line), line)
    return None


def explained(error: IPsecError, lines: Sequence[str]) -> IPsecError:
    """Return the error of an attempt in the words of what charon logged meanwhile."""
    if error.problem:
        return error
    cause = explain(lines) or Cause(TIMEOUT, str(error))
    words = f"the tunnel did not come up: {cause.reason}"
    known = authorities_known(lines)
    return IPsecError(words, problem=cause.problem, authorities_known=known)


def _narrowed(problem: str, lines: tuple[str, ...]) -> str:
    """Tell a certificate that only a responder could have spoken for from one with a list."""
    asked = any(map(_NO_ANSWER.search, lines)) and not any(map(_CRL_WANTED.search, lines))
    return "ipsec-ocsp-unreachable" if problem == _UNCHECKED and asked else problem


def _dated(problem: str, line: str) -> str:
    """Tell a certificate whose time is yet to come from one whose time is over."""
    match = _BEGINS.search(line) if problem == _OUT_OF_DATE else None
    if match is None:
        return problem
    try:
        # In charon's local time, which is ours.
        begins = datetime.strptime(match[1], "%b %d %H:%M:%S %Y").astimezone()
    except ValueError:
        return problem
    return _NOT_YET if begins > datetime.now(UTC) else problem
