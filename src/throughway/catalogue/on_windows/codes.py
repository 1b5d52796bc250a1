"""Which problem a Windows error number stands for, and how surely."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from throughway.catalogue import internet, iphttps, names
from throughway.catalogue import iphttps_certificate as certificate
from throughway.model.findings import Confidence, Problem

_SAYS_SO = "the code says exactly this"
_HTTP = 0x80190000
"""HRESULTs from here on carry an HTTP status in their low word."""


class Meaning(NamedTuple):
    """One problem that a number stands for."""

    problem: Problem
    confidence: Confidence = Confidence.CERTAIN
    reason: str = _SAYS_SO


def _likely(problem: Problem, reason: str) -> Meaning:
    return Meaning(problem, Confidence.LIKELY, reason)


def _possible(problem: Problem, reason: str) -> Meaning:
    return Meaning(problem, Confidence.POSSIBLE, reason)


_NO_ROUTE = _likely(
    internet.INTERNET_DOWN, "the code says that the client has no route to the server's address"
)
_SPLIT_DNS = _likely(
    iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT,
    "the name exists without an address; that is what a name looks like which the name "
    "resolution policy sends into the tunnel",
)
_INSTALL = _possible(
    iphttps.INTERFACE_CREATION_FAILED, "the code is seen where the adapter is missing"
)

LAST_ERROR: Mapping[int, tuple[Meaning, ...]] = MappingProxyType(
    {
        0x32: (_INSTALL,),
        0x34: (Meaning(iphttps.INTERFACE_CREATION_FAILED),),
        0x643: (Meaning(iphttps.INTERFACE_CREATION_FAILED),),
        0xEA: (Meaning(iphttps.URL_TOO_LONG),),
        0x4BE: (Meaning(iphttps.URL_IS_IP_ADDRESS),),
        0x103: (
            _likely(
                certificate.NAME_MISMATCH,
                "no certificate was found that fits the URL; nearly always its names do not",
            ),
            Meaning(certificate.NO_USABLE_CERT),
        ),
        0x490: (_possible(certificate.NO_USABLE_CERT, "an element was not found"),),
        0x2741: (_NO_ROUTE,),
        0x2743: (_NO_ROUTE,),
        0x2751: (_NO_ROUTE,),
        0x2745: (Meaning(iphttps.CONNECTION_RESET),),
        0x2746: (Meaning(iphttps.CONNECTION_RESET),),
        0x274C: (Meaning(iphttps.PORT_BLOCKED),),
        0x274D: (Meaning(iphttps.CONNECTION_REFUSED),),
        0x2AF9: (Meaning(iphttps.NAME_UNRESOLVABLE),),
        0x2AFA: (Meaning(iphttps.NAME_UNRESOLVABLE),),
        0x2AFB: (Meaning(iphttps.NAME_UNRESOLVABLE),),
        0x2AFC: (_SPLIT_DNS, Meaning(iphttps.NAME_UNRESOLVABLE)),
        0x2564: (Meaning(names.NRPT_CORRUPT),),
        0x90320: (Meaning(certificate.CLIENT_CERT_REQUIRED),),
        0x80090308: (
            _likely(iphttps.WRONG_SERVER, "the answer was no TLS; a portal answers so, too"),
        ),
        0x8009030C: (_possible(certificate.CLIENT_CERT_REJECTED, "the logon was denied"),),
        0x80090322: (Meaning(certificate.NAME_MISMATCH),),
        0x80090325: (Meaning(certificate.UNTRUSTED_ROOT),),
        0x80090326: (Meaning(iphttps.TLS_HANDSHAKE_FAILED),),
        0x80090327: (
            _likely(iphttps.TLS_HANDSHAKE_FAILED, "a certificate could not be processed"),
        ),
        0x80090328: (Meaning(certificate.EXPIRED),),
        0x80090331: (
            _likely(iphttps.NULL_SUITES_MISSING, "no suite or TLS version in common"),
            Meaning(iphttps.TLS_HANDSHAKE_FAILED),
        ),
        0x80092010: (Meaning(certificate.REVOKED),),
        0x80092012: (Meaning(certificate.NO_CRL_DISTRIBUTION_POINT),),
        0x80092013: (Meaning(certificate.CRL_UNREACHABLE),),
        0x800B0101: (Meaning(certificate.EXPIRED),),
        0x800B0109: (Meaning(certificate.UNTRUSTED_ROOT),),
        0x800B010A: (Meaning(certificate.INTERMEDIATE_MISSING),),
        0x800B010C: (Meaning(certificate.REVOKED),),
        0x800B010F: (Meaning(certificate.NAME_MISMATCH),),
        _HTTP + 407: (Meaning(internet.PROXY_AUTHENTICATION_REQUIRED),),
    }
)
"""What the Last Error Code of a client's IP-HTTPS interface means, the root cause first."""


def of_last_error(code: int) -> tuple[Meaning, ...]:
    """Return the problems of a Last Error Code; none for a code without an error."""
    if code in LAST_ERROR:
        return LAST_ERROR[code]
    if _HTTP < code < _HTTP + 600:
        return (Meaning(iphttps.HTTP_REFUSED),)
    return ()
