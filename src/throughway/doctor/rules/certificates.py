"""What is wrong with the certificate of IP-HTTPS, where a certificate or its check was shown."""

from collections.abc import Sequence
from datetime import timedelta

from throughway.catalogue import iphttps_certificate as catalogue
from throughway.doctor.rule import Rule
from throughway.doctor.rules import chains
from throughway.doctor.rules.chains import Moment
from throughway.doctor.rules.iphttps import host_of, is_address
from throughway.model.facts.certificates import (
    Certificate,
    CertificateVerification,
    CRLRetrieval,
    RevocationList,
)
from throughway.model.facts.server import RemoteAccessConfiguration
from throughway.model.facts.transition import IPHTTPSConfiguration, IPHTTPSInterface
from throughway.model.findings import Confidence, Finding, Problem

_NOT_TIME_VALID = "CERT_TRUST_IS_NOT_TIME_VALID"
"""Of what has expired and of what is not valid yet."""
_SOON = timedelta(days=30)
"""How long before its end a certificate is worth a word; renewed ones rarely have less left."""
_BY_ERROR = (
    ("CERT_TRUST_IS_REVOKED", catalogue.REVOKED),
    ("CRYPT_E_REVOKED", catalogue.REVOKED),
    (_NOT_TIME_VALID, catalogue.EXPIRED),
    ("CERT_E_EXPIRED", catalogue.EXPIRED),
    ("CERT_TRUST_IS_UNTRUSTED_ROOT", catalogue.UNTRUSTED_ROOT),
    ("CERT_E_UNTRUSTEDROOT", catalogue.UNTRUSTED_ROOT),
    ("CERT_TRUST_IS_PARTIAL_CHAIN", catalogue.INTERMEDIATE_MISSING),
    ("CERT_E_CHAINING", catalogue.INTERMEDIATE_MISSING),
)
_OFFLINE = frozenset({"CERT_TRUST_IS_OFFLINE_REVOCATION", "CRYPT_E_REVOCATION_OFFLINE"})
_SSL = "ssl"
Place = IPHTTPSInterface | IPHTTPSConfiguration | RemoteAccessConfiguration
"""What names the host of the IP-HTTPS URL."""


def verification_failed(
    verification: CertificateVerification,
    certificates: tuple[Certificate, ...],
    retrievals: tuple[CRLRetrieval, ...],
    places: tuple[Place, ...],
    moments: tuple[Moment, ...],
) -> tuple[Finding, ...]:
    """Windows itself checked the certificate of the URL's host and says what is wrong."""
    hosts = _hosts(places)
    names = _names_of(verification, certificates)
    if not hosts or not any(chains.covers(names, host) for host in hosts):
        return ()
    problems = dict.fromkeys(p for error, p in _BY_ERROR if error in verification.errors)
    if _NOT_TIME_VALID in verification.errors and _is_early(verification, certificates, moments):
        del problems[catalogue.EXPIRED]
        problems[catalogue.NOT_YET_VALID] = None
    if not problems and _OFFLINE & set(verification.errors):
        return (_offline(verification, retrievals),)
    return tuple(_verified(problem, verification) for problem in problems)


def name_mismatch(certificate: Certificate, places: tuple[Place, ...]) -> Finding | None:
    """The certificate that IP-HTTPS is bound to is for other names than the URL's."""
    hosts = _hosts(places)
    names = certificate.names or (
        (own,) if (own := chains.common_name(certificate.subject)) else ()
    )
    if certificate.purpose != _SSL or not hosts or not names:
        return None
    if any(chains.covers(names, host) for host in hosts):
        return None
    known = certificate.names is not None
    return Finding(
        problem=catalogue.NAME_MISMATCH,
        summary=f"The certificate is for {', '.join(names[:4])}, the URL for {hosts[0]}.",
        confidence=Confidence.CERTAIN if known else Confidence.POSSIBLE,
        reason=(
            "both stand in the evidence"
            if known
            else "the subject is another name; alternative names are not shown"
        ),
        evidence=(certificate.source, *(place.source for place in places[:1])),
        values=(("HOST", hosts[0]),),
    )


def out_of_time(certificate: Certificate, moments: tuple[Moment, ...]) -> Finding | None:
    """The certificate that IP-HTTPS is bound to is past its end, near it, or not valid yet."""
    known = chains.collected(moments)
    if certificate.purpose != _SSL or certificate.not_after is None or known is None:
        return None
    now, where = known
    begin, end = certificate.not_before, certificate.not_after
    if chains.is_past(end, now):
        problem, what = catalogue.EXPIRED, f"expired on {end:%Y-%m-%d}"
    elif chains.is_past(end - _SOON, now):
        problem, what = catalogue.EXPIRING, f"expires on {end:%Y-%m-%d}"
    elif chains.is_early(certificate, moments):
        problem, what = catalogue.NOT_YET_VALID, f"is valid from {begin or now:%Y-%m-%d} on"
    else:
        return None
    return Finding(
        problem=problem,
        summary=f"{certificate.subject} {what}; it was {now:%Y-%m-%d}.",
        reason="the evidence says when it is valid, and when it was collected",
        evidence=(certificate.source, where),
        values=(("THUMBPRINT", certificate.thumbprint),) if certificate.thumbprint else (),
    )


def list_expired(
    revocation: RevocationList,
    certificates: tuple[Certificate, ...],
    places: tuple[Place, ...],
    moments: tuple[Moment, ...],
) -> Finding | None:
    """The list of the authority that issued the host's certificate is out of date."""
    known = chains.collected(moments)
    if known is None or not chains.is_past(revocation.next_update, known[0]):
        return None
    issuers = [
        chains.parts(c.issuer)
        for c in certificates
        if any(chains.covers(_names(c), host) for host in _hosts(places))
    ]
    if not revocation.issuer or chains.parts(revocation.issuer) not in issuers:
        return None
    until = f"{revocation.next_update:%Y-%m-%d}"
    return Finding(
        problem=catalogue.CRL_EXPIRED,
        summary=f"The list of {revocation.issuer} was valid until {until}.",
        confidence=Confidence.LIKELY,
        reason="this list is out of date; whether it is the one that is published it does not say",
        evidence=(revocation.source, known[1]),
    )


def _is_early(
    verification: CertificateVerification,
    certificates: Sequence[Certificate],
    moments: Sequence[Moment],
) -> bool:
    """Whether the certificate that was checked is not valid yet."""
    subject = chains.parts(verification.subject)
    same = [c for c in certificates if subject and chains.parts(c.subject) == subject]
    return any(chains.is_early(c, moments) for c in same)


def _verified(problem: Problem, verification: CertificateVerification) -> Finding:
    return Finding(
        problem=problem,
        summary=f"Checking {verification.subject} ended with {', '.join(verification.errors[:4])}.",
        confidence=Confidence.LIKELY,
        reason="Windows says so of the certificate of the URL's host, on the machine that checked",
        evidence=(verification.source,),
    )


def _offline(verification: CertificateVerification, retrievals: Sequence[CRLRetrieval]) -> Finding:
    failed = [r for r in retrievals if r.retrieved is False]
    where = f" from {failed[0].url}" if failed else ""
    return Finding(
        problem=catalogue.CRL_UNREACHABLE,
        summary=f"The revocation list for {verification.subject} could not be fetched{where}.",
        confidence=Confidence.LIKELY,
        reason="Windows says that revocation could not be checked",
        evidence=(verification.source, *(retrieval.source for retrieval in failed[:3])),
        values=(("CRL_URL", failed[0].url),) if failed else (),
    )


def _hosts(places: Sequence[Place]) -> list[str]:
    found = (
        place.connect_to if isinstance(place, RemoteAccessConfiguration) else host_of(place.url)
        for place in places
    )
    return [host.lower() for host in found if host and not is_address(host)]


def _names(certificate: Certificate) -> tuple[str, ...]:
    return (*(certificate.names or ()), chains.common_name(certificate.subject))


def _names_of(
    verification: CertificateVerification, certificates: Sequence[Certificate]
) -> list[str]:
    """Return the names of the certificate that was checked."""
    subject = chains.parts(verification.subject)
    same = [c for c in certificates if subject and chains.parts(c.subject) == subject]
    return [chains.common_name(verification.subject), *(n for c in same for n in c.names or ())]


RULES = (
    Rule(
        (
            catalogue.REVOKED,
            catalogue.EXPIRED,
            catalogue.NOT_YET_VALID,
            catalogue.UNTRUSTED_ROOT,
            catalogue.INTERMEDIATE_MISSING,
            catalogue.CRL_UNREACHABLE,
        ),
        verification_failed,
    ),
    Rule((catalogue.NAME_MISMATCH,), name_mismatch),
    Rule((catalogue.EXPIRED, catalogue.EXPIRING, catalogue.NOT_YET_VALID), out_of_time),
    Rule((catalogue.CRL_EXPIRED,), list_expired),
)
