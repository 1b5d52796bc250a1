"""What lists and responders say of a certificate, and whether they are fresh."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from throughway.model.errors import TrustError
from throughway.model.probing import PointSeen, PointState
from throughway.pki.judgement import RevocationState, name_of, revocation
from throughway.pki.pem import parse_crl
from throughway.probe.analysis.certificates import delta_urls, see_certificate

MAXIMUM_POINTS = 16
"""Places that are asked of one chain."""
_STATES = {
    RevocationState.GOOD: PointState.GOOD,
    RevocationState.REVOKED: PointState.REVOKED,
    RevocationState.STALE: PointState.STALE,
    RevocationState.UNKNOWN: PointState.USELESS,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One place to ask about one certificate; ``seen`` says what is known before asking."""

    seen: PointSeen
    certificate: x509.Certificate
    issuer: x509.Certificate | None


def questions(pairs: Sequence[tuple[x509.Certificate, x509.Certificate | None]]) -> list[Question]:
    """Return every place to be asked, from certificates (the leaf first) with their issuers.

    A certificate that signed itself cannot be revoked by anybody else.
    """
    found = []
    for number, (certificate, issuer) in enumerate(pairs):
        if certificate.subject == certificate.issuer:
            continue
        told = see_certificate(certificate, certificate.not_valid_after_utc)
        kinds = (("crl", told.crl_urls), ("delta", told.delta_urls), ("ocsp", told.ocsp_urls))
        for kind, urls in kinds:
            for url in urls:
                seen = PointSeen(
                    kind=kind,
                    url=url,
                    subject=told.subject,
                    leaf=number == 0,
                    state=PointState.NOT_TRIED,
                )
                found.append(Question(seen, certificate, issuer))
    return found[:MAXIMUM_POINTS]


def further(question: Question, body: bytes, known: Sequence[Question]) -> list[Question]:
    """Return the delta lists which a base list points to, and which are not asked yet."""
    if question.seen.kind != "crl":
        return []
    try:
        urls = delta_urls(parse_crl(body))
    except (TrustError, ValueError):
        return []
    asked = {each.seen.url for each in known}
    seen = replace(question.seen, kind="delta")
    return [
        replace(question, seen=replace(seen, url=url))
        for url in dict.fromkeys(urls[:MAXIMUM_POINTS])
        if url not in asked
    ]


def web_address(question: Question) -> str:
    """Return what to fetch; "" where it is not for us: LDAP, or a responder of no known issuer."""
    url = question.seen.url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    if not usable:
        return ""
    if question.seen.kind != "ocsp":
        return url
    return _ocsp_address(url, question)


def not_asked(question: Question) -> PointSeen:
    """Say why a place is not asked."""
    scheme = question.seen.url.partition(":")[0].lower()
    if scheme == "ldap":
        words = "ldap: computers outside cannot ask it"
    elif question.seen.kind == "ocsp" and question.issuer is None:
        words = "the issuer's certificate is needed for the question, and is not known"
    else:
        words = "not an address that can be asked"
    return replace(question.seen, words=words)


def judge(question: Question, body: bytes, now: datetime, seconds: float) -> PointSeen:
    """Judge what came."""
    seen = replace(question.seen, seconds=seconds, size=len(body))
    if question.seen.kind == "ocsp":
        return _judge_ocsp(question, seen, body, now)
    return _judge_crl(question, seen, body, now)


def _judge_crl(question: Question, seen: PointSeen, body: bytes, now: datetime) -> PointSeen:
    try:
        crl = parse_crl(body)
        seen = replace(
            seen,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            entries=len(crl),
            number=_number(crl),
        )
    except (TrustError, ValueError):
        return replace(seen, state=PointState.USELESS, words="what it serves is no CRL")
    if question.issuer is None:
        late = crl.next_update_utc is not None and now >= crl.next_update_utc
        if crl.issuer != question.certificate.issuer:
            words = f"it is the CRL of {name_of(crl.issuer)}"
            return replace(seen, state=PointState.USELESS, words=words)
        words = "its signature cannot be checked: the issuer's certificate is not known"
        return replace(seen, state=PointState.STALE if late else PointState.GOOD, words=words)
    try:
        fact = revocation(question.certificate, question.issuer, crl, now)
    except ValueError as error:
        return replace(seen, state=PointState.USELESS, words=f"the CRL is broken: {error}")
    return replace(seen, state=_STATES[fact.state], words=fact.why)


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError):
        return None


def _ocsp_address(url: str, question: Question) -> str:
    """Return the address of the question by GET (RFC 6960, appendix A.1)."""
    if question.issuer is None:
        return ""
    request = (
        ocsp.OCSPRequestBuilder()
        # SHA-1 is what every responder knows; it names, and proves nothing.
        .add_certificate(question.certificate, question.issuer, hashes.SHA1())
        .build()
    )
    der = request.public_bytes(Encoding.DER)
    return f"{url.rstrip('/')}/{quote(base64.b64encode(der), safe='')}"


def _judge_ocsp(question: Question, seen: PointSeen, body: bytes, now: datetime) -> PointSeen:
    useless = replace(seen, state=PointState.USELESS)
    try:
        answer = ocsp.load_der_ocsp_response(body)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            words = f"the responder says {answer.response_status.name.lower().replace('_', ' ')}"
            return replace(useless, words=words)
        seen = replace(seen, this_update=answer.this_update_utc, next_update=answer.next_update_utc)
        if answer.serial_number != question.certificate.serial_number:
            return replace(useless, words="the answer is about another certificate")
        if not _signed(answer, question.issuer):
            return replace(useless, words="the answer is not signed by the issuer or its responder")
        return _ocsp_state(answer, seen, now)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return replace(useless, words="what it answers is no OCSP response")


def _ocsp_state(answer: ocsp.OCSPResponse, seen: PointSeen, now: datetime) -> PointSeen:
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        at = answer.revocation_time_utc
        words = f"revoked on {at:%Y-%m-%d}" if at else "revoked"
        return replace(seen, state=PointState.REVOKED, words=words)
    if answer.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        words = "the responder does not know the certificate"
        return replace(seen, state=PointState.USELESS, words=words)
    if answer.next_update_utc is not None and now >= answer.next_update_utc:
        words = f"the answer was good until {answer.next_update_utc:%Y-%m-%d %H:%M} UTC"
        return replace(seen, state=PointState.STALE, words=words)
    return replace(seen, state=PointState.GOOD)


def _signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate | None) -> bool:
    """Whether the issuer signed, or a responder to which it gave a certificate (RFC 6960, 2.6)."""
    signers = [issuer] if issuer is not None else []
    for each in answer.certificates:
        try:
            if issuer is not None:
                each.verify_directly_issued_by(issuer)
                signers.append(each)
        except (InvalidSignature, ValueError, TypeError):
            continue
    return any(_verifies(answer, signer) for signer in signers)


def _verifies(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            tbs = answer.tbs_response_bytes
            key.verify(answer.signature, tbs, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True
