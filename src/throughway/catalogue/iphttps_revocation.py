"""Problems of checking whether the IP-HTTPS server's certificate was revoked."""

from collections.abc import Mapping
from types import MappingProxyType

from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.iphttps_certificate import (
    CRL_EXPIRED,
    CRL_UNREACHABLE,
    ISSUE,
    REVOKED,
    SHOW,
    WRONG_PEER,
)
from throughway.model.findings import Component, Problem, Severity
from throughway.model.revocation import Fault

LOOK = "curl --remote-name CRL_URL"
CACHE = "throughway pki cache list"
FLUSH = "throughway pki cache flush"
STATUS = "throughway client status"

UNCHECKABLE = Problem(
    code="iphttps-cert-revocation-uncheckable",
    title="The gateway's certificate names no place where its revocation can be checked",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Revocation must be checked here (strong), and a certificate of the gateway's chain has "
        "neither a CRL distribution point nor an OCSP responder that is asked by http "
        "(0x80092012); ldap and file addresses and indirect CRLs are not supported."
    ),
    resolution=(
        "Issue the certificate with an http distribution point that can be reached from outside, "
        'or check less strictly: iphttps = "weak" under [publish.revocation].'
    ),
    fix=(ISSUE, "throughway gateway reload"),
    verify=(SHOW, STATUS),
    depends_on=WRONG_PEER,
)

DELTA_MISSING = Problem(
    code="iphttps-delta-crl-missing",
    title="The delta revocation list for the gateway's certificate cannot be had",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The revocation list says that there is a delta list beside it (Freshest CRL), and that "
        "cannot be fetched, is none, or goes with another base list. Often the web server refuses "
        "the + in its name: IIS needs double escaping allowed."
    ),
    resolution="Publish the delta list where the base list says, or publish none at all.",
    verify=(LOOK, STATUS),
    depends_on=(CRL_EXPIRED, *WRONG_PEER),
)

WRONG_SIGNER = Problem(
    code="iphttps-crl-wrong-signer",
    title="The revocation list for the gateway's certificate is another authority's",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "What the distribution point serves was not signed by the authority that issued the "
        "certificate: a file of another authority lies there, the authority has a new key, or "
        "somebody on the way has put another list in its place."
    ),
    resolution="Publish the list of the authority that issued the certificate, signed by its key.",
    fix=("throughway pki crl --output CRL_FILE",),
    verify=(LOOK, "openssl crl -in CRL_FILE -noout -issuer", STATUS),
    depends_on=WRONG_PEER,
)

UNUSABLE = Problem(
    code="iphttps-crl-unusable",
    title="The revocation list for the gateway's certificate cannot be used",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "What the distribution point serves is no revocation list, or one that says nothing of "
        "this certificate: an indirect list, a list for other certificates, one from the future, "
        "or one with a critical extension that is not known here. A captive portal's page does it."
    ),
    resolution="Look at what is served there, and publish a plain, complete list.",
    verify=(LOOK, "openssl crl -in CRL_FILE -noout -text", STATUS),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

OCSP_UNREACHABLE = Problem(
    code="iphttps-ocsp-unreachable",
    title="The OCSP responder for the gateway's certificate does not answer",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Revocation must be checked, the certificate names no CRL that could be had, and its "
        "responder cannot be reached from outside."
    ),
    resolution="Bring the responder up again, or publish a CRL beside it.",
    verify=("curl --head OCSP_URL", STATUS),
    depends_on=WRONG_PEER,
)

OCSP_UNKNOWN = Problem(
    code="iphttps-ocsp-unknown",
    title="The OCSP responder does not know the gateway's certificate",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        'The responder answers "unknown": it serves another authority, or its data base does '
        "not have the certificate yet."
    ),
    resolution="Let the responder serve the authority that issued the certificate.",
    verify=(SHOW, STATUS),
    depends_on=WRONG_PEER,
)

OCSP_UNTRUSTED = Problem(
    code="iphttps-ocsp-untrusted",
    title="The OCSP answer for the gateway's certificate is not signed as it must be",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The answer is signed neither by the authority that issued the certificate nor by a "
        "responder with a certificate of that authority for it (id-kp-OCSPSigning), or that "
        "certificate has expired."
    ),
    resolution="Renew the responder's certificate from the very authority it answers for.",
    verify=(SHOW, STATUS),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

OCSP_UNUSABLE = Problem(
    code="iphttps-ocsp-unusable",
    title="The OCSP answer for the gateway's certificate proves nothing",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The responder answers with an error, with an answer that is out of date or about another "
        "certificate, or with something that is no OCSP response."
    ),
    resolution="Look at the responder's log; see that its answers are renewed in time.",
    verify=("curl --head OCSP_URL", STATUS),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

WRONG_USAGE = Problem(
    code="iphttps-cert-wrong-usage",
    title="The gateway's certificate may not be used by a server",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Its extended key usage does not hold server authentication (1.3.6.1.5.5.7.3.1), or one "
        "that signed it may not be an authority (0x800B0110)."
    ),
    resolution="Issue the certificate with the server authentication usage.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=(SHOW, STATUS),
    depends_on=WRONG_PEER,
)

CHAIN_INVALID = Problem(
    code="iphttps-cert-chain-invalid",
    title="The chain of the gateway's certificate breaks a rule of its authorities",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "A certificate of the chain is no authority's, stands deeper than its path length allows, "
        "is not for this name (name constraints), has a weak key or signature, or has a critical "
        "extension that is not known here (0x800B010A)."
    ),
    resolution="Look at the certificates that are sent, and issue the one that breaks a rule anew.",
    verify=(SHOW, STATUS),
    depends_on=WRONG_PEER,
)

PROBLEMS = (
    UNCHECKABLE,
    DELTA_MISSING,
    WRONG_SIGNER,
    UNUSABLE,
    OCSP_UNREACHABLE,
    OCSP_UNKNOWN,
    OCSP_UNTRUSTED,
    OCSP_UNUSABLE,
    WRONG_USAGE,
    CHAIN_INVALID,
)

BY_FAULT: Mapping[Fault, Problem] = MappingProxyType(
    {
        Fault.REVOKED: REVOKED,
        Fault.WRONG_SIGNER: WRONG_SIGNER,
        Fault.EXPIRED: CRL_EXPIRED,
        Fault.DELTA_MISSING: DELTA_MISSING,
        Fault.UNUSABLE: UNUSABLE,
        Fault.UNREACHABLE: CRL_UNREACHABLE,
        Fault.OCSP_UNTRUSTED: OCSP_UNTRUSTED,
        Fault.OCSP_UNKNOWN: OCSP_UNKNOWN,
        Fault.OCSP_UNUSABLE: OCSP_UNUSABLE,
        Fault.OCSP_UNREACHABLE: OCSP_UNREACHABLE,
        Fault.NO_POINT: UNCHECKABLE,
    }
)
"""What a fault is called, wherever it is found."""
